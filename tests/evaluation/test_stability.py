from __future__ import annotations

import numpy as np
import pytest
import torch

from atomweave.chemistry.tables import LENGTHS, VALENCES
from atomweave.evaluation.stability import atoms_stable, covers, look_up_orders, stability
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules

MARGINS = (10, 5, 3)


def literal_order(first: str, second: str, distance: float) -> int:
    """EDM's rule as nested questions, for one pair."""
    pair = "".join(sorted([first, second], key=list(VALENCES).index))
    order = 0
    for lengths, margin in zip(LENGTHS, MARGINS, strict=True):
        if pair not in lengths or not 100 * distance < lengths[pair] + margin:
            return order
        order += 1
    return order


def literal_stable(molecule: Molecule) -> list[bool]:
    sums = [0] * len(molecule)
    for a in range(len(molecule)):
        for b in range(a):
            distance = float(np.linalg.norm(molecule.positions[a] - molecule.positions[b]))
            order = literal_order(molecule.symbols[a], molecule.symbols[b], distance)
            sums[a] += order
            sums[b] += order
    return [total == VALENCES[symbol] for symbol, total in zip(molecule.symbols, sums, strict=True)]


def noisy_molecules() -> list[Molecule]:
    rng = np.random.default_rng(0)
    return [
        Molecule(molecule.numbers, molecule.positions + rng.normal(0, scale, molecule.positions.shape))
        for molecule in qm9_molecules().values()
        for scale in (0.0, 0.02, 0.05, 0.1, 0.3)
    ]


def test_padded_blocks_agree_with_the_literal_rule(monkeypatch):
    molecules = [*noisy_molecules(), worked.garbage()]
    expected = [literal_stable(molecule) for molecule in molecules]
    assert 0.2 < np.mean([all(stable) for stable in expected]) < 0.95  # the sample shows both
    for pairs_at_once in (1, 3_000, 10**7):
        monkeypatch.setattr("atomweave.evaluation.stability.PAIRS_AT_ONCE", pairs_at_once)
        found = stability(molecules)
        assert found.n_stable.tolist() == [sum(stable) for stable in expected]
        assert found.molecule_stable.tolist() == [all(stable) for stable in expected]


@pytest.mark.parametrize(
    ("make", "n_stable"),
    [
        (worked.methane, 5),
        (worked.water, 3),
        (worked.carbon_dioxide, 3),
        (worked.hydrogen_cyanide, 3),
        (worked.methyl, 3),
        (worked.benzene, 6),  # 140 pm is no double bond of the table: every carbon of the ring lacks one
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_molecules_worked_by_hand(make, n_stable):
    assert stability([make()]).n_stable.tolist() == [n_stable]


def test_limits_are_strict():
    for length, order in ((164, 0), (163.999, 1), (139, 1), (138.999, 2), (123, 2), (122.999, 3)):
        numbers = torch.tensor([6, 6])
        positions = torch.tensor([[0, 0, 0], [0, 0, length / 100]], dtype=torch.float64)
        assert look_up_orders(numbers, positions).tolist() == [[0, order], [order, 0]]


def test_what_the_table_lacks_is_never_stable():
    chlorine = Molecule(["Cl", "H"], [[0, 0, 0], [0, 0, 1.27]])
    assert stability([chlorine]).n_stable.tolist() == [0]
    assert not covers([worked.methane(), chlorine])
    assert covers([worked.methane()])


def test_padding_is_no_atom():
    stable = atoms_stable(
        torch.tensor([[8, 1, 1, 0, 0]]), torch.from_numpy(np.pad(worked.water().positions, [(0, 2), (0, 0)]))[None]
    )
    assert stable.tolist() == [[True, True, True, False, False]]


def test_no_molecules():
    found = stability([])
    assert found.n_stable.shape == found.n_atoms.shape == (0,)
