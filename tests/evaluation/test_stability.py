from __future__ import annotations

import numpy as np
import pytest

from atomweave.chemistry import close_pairs
from atomweave.chemistry.tables import LENGTHS, VALENCES
from atomweave.evaluation.stability import atoms_stable, covers, stability
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules
from reference.worked_verdicts import WORKED

MARGINS = (10, 5, 3)


def literal_order(first: str, second: str, distance: float) -> int:
    """EDM's rule as nested questions, for one pair."""
    if not {first, second} <= set(VALENCES):
        return 0
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
    return [total == VALENCES.get(symbol, -1) for symbol, total in zip(molecule.symbols, sums, strict=True)]


def noisy_molecules() -> list[Molecule]:
    rng = np.random.default_rng(0)
    return [
        Molecule(molecule.numbers, molecule.positions + rng.normal(0, scale, molecule.positions.shape))
        for molecule in qm9_molecules().values()
        for scale in (0.0, 0.02, 0.05, 0.1, 0.3)
    ]


@pytest.mark.parametrize(("at_once", "most"), [(1, 256), (3_000, 256), (10**7, 256), (100, 0)])
def test_blocks_and_cells_agree_with_the_literal_rule(monkeypatch, at_once, most):
    molecules = [*noisy_molecules(), worked.garbage(), worked.linear(["Na", "Cl", "H"], 2.36, 1.2)]
    expected = [literal_stable(molecule) for molecule in molecules]
    assert 0.2 < np.mean([all(stable) for stable in expected]) < 0.95  # the sample shows both
    monkeypatch.setattr(close_pairs, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setattr(close_pairs, "MOST_ATOMS_IN_PAIRS", most)
    found = stability(molecules)
    assert found.n_stable.tolist() == [sum(stable) for stable in expected]
    assert found.n_atoms.tolist() == [len(stable) for stable in expected]
    assert found.molecule_stable.tolist() == [all(stable) for stable in expected]


@pytest.mark.parametrize("case", WORKED, ids=lambda case: case.name)
def test_molecules_worked_by_hand(case):
    assert stability([case.molecule]).n_stable.tolist() == [case.n_stable]


def test_atoms_of_one_molecule_do_not_bond_to_the_next():
    numbers = np.array([8, 1, 1, 8, 1, 1])
    positions = np.vstack([worked.water().positions, worked.water().positions + 0.3])
    assert atoms_stable(numbers, positions, np.array([0, 3, 6])).tolist() == [True] * 6
    assert not atoms_stable(numbers, positions, np.array([0, 6])).all()


def test_what_the_table_lacks_is_never_stable():
    chlorine = Molecule(["Cl", "H"], [[0, 0, 0], [0, 0, 1.27]])
    assert stability([chlorine]).n_stable.tolist() == [0]
    assert not covers([worked.methane(), chlorine])
    assert covers([worked.methane()])


def test_no_molecules():
    found = stability([])
    assert found.n_stable.shape == found.n_atoms.shape == (0,)
