"""The nearest policy: what it admits, what it draws, what it leaves out."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from atomweave.growth.policies import Fate, NearestConfig, NearestPolicy, build_policy
from atomweave.growth.trajectories import Decision, Trajectories, focus_species_targets
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules
from reference.nearest import admissible_pairs, start_atoms

SPECIES = Species(["H", "C", "N", "O", "F"])
H, C, N, O, F = range(5)
MOLECULES = qm9_molecules()
P_VALUE = 1e-6
"""A fair draw fails a test below this once in a million seeds; the seeds are fixed."""


def grow(molecules: list[Molecule], seed: int = 0, **options) -> tuple[Trajectories, np.ndarray]:
    return build_policy(NearestConfig(**options), SPECIES).grow_molecules(molecules, seed)


def growth_order(molecule: Molecule, trajectories: Trajectories, row: int) -> list[int]:
    """Return the molecule's atoms in the order in which the trajectory places them."""
    grown = trajectories.positions[row, : len(molecule)].numpy()
    for start in range(len(molecule)):
        shifted = molecule.positions - molecule.positions[start]
        distance = np.linalg.norm(grown[:, None] - shifted, axis=2)
        if distance.min(1).max() < 1e-4:
            return [int(atom) for atom in distance.argmin(1)]
    raise AssertionError("the trajectory holds other positions than the molecule")


def alternatives(trajectories: Trajectories, row: int, decision: int) -> list[tuple[int, int]]:
    t = trajectories
    here = (t.alternative_molecule == row) & (t.alternative_decision == decision)
    return list(zip(t.alternative_focus[here].tolist(), t.alternative_target[here].tolist(), strict=True))


def agrees_with_reference(molecule: Molecule, trajectories: Trajectories, row: int, config: NearestConfig) -> None:
    order = growth_order(molecule, trajectories, row)
    assert sorted(order) == list(range(len(molecule)))
    assert trajectories.species[row, : len(order)].tolist() == SPECIES.indices(molecule.numbers[order]).tolist()
    assert order[0] in start_atoms(molecule, config)
    log_q = -math.log(len(start_atoms(molecule, config)))
    for k in range(1, len(order)):
        got = [(order[f], order[a]) for f, a in alternatives(trajectories, row, k - 1)]
        assert len(got) == len(set(got))
        log_q -= math.log(len(got))
        assert set(got) == admissible_pairs(molecule, order[:k], config)
        drawn = (int(trajectories.focus[row, k - 1]), int(trajectories.target[row, k - 1]))
        assert drawn[1] == k
        assert drawn in alternatives(trajectories, row, k - 1)
    assert alternatives(trajectories, row, len(order) - 1) == []
    assert float(trajectories.log_q[row]) == pytest.approx(log_q)


@pytest.mark.parametrize("heavy_first", [False, True])
@pytest.mark.parametrize("start", ["data", "H", "C"])
def test_real_molecules_grow_as_the_reference_says(start, heavy_first):
    config = NearestConfig(start=start, heavy_first=heavy_first)
    fitting = [m for m in MOLECULES.values() if start_atoms(m, config)]
    molecules = fitting * 3
    trajectories, fates = NearestPolicy(config, SPECIES).grow_molecules(molecules, seed=1)
    assert (fates == Fate.KEPT).all()
    for row, molecule in enumerate(molecules):
        agrees_with_reference(molecule, trajectories, row, config)


@st.composite
def clouds(draw: st.DrawFn) -> Molecule:
    """Random atoms at typical distances, none nearer than 0.1 Å."""
    n_atoms = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lattice = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)
    positions = rng.permutation(lattice)[:n_atoms] + rng.uniform(-0.4, 0.4, (n_atoms, 3))
    return Molecule(rng.choice([1, 6, 7, 8, 9], n_atoms), positions * rng.uniform(0.5, 2.0))


@given(
    molecules=st.lists(clouds(), min_size=1, max_size=5),
    start=st.sampled_from(["data", "H", "C"]),
    heavy_first=st.booleans(),
    tolerance=st.sampled_from([0.0, 0.125, 0.5, 10.0]),
    cutoff=st.sampled_from([1.5, 3.0, 5.0]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=150)
def test_random_molecules_grow_as_the_reference_says(molecules, start, heavy_first, tolerance, cutoff, seed):
    config = NearestConfig(
        start=start, heavy_first=heavy_first, tolerance=tolerance, neighbour_cutoff=cutoff, max_distance=1.8
    )
    trajectories, fates = NearestPolicy(config, SPECIES).grow_molecules(molecules, seed)
    kept = [m for m, fate in zip(molecules, fates, strict=True) if fate == Fate.KEPT]
    assert trajectories.n_atoms.tolist() == [len(m) for m in kept]
    for row, molecule in enumerate(kept):
        agrees_with_reference(molecule, trajectories, row, config)
        x, focus, target = trajectories.positions[row], trajectories.focus[row], trajectories.target[row]
        steps = torch.arange(len(molecule) - 1)
        assert ((x[target[steps]] - x[focus[steps]]).norm(dim=-1) <= 1.8 + 1e-5).all()
    for molecule, fate in zip(molecules, fates, strict=True):
        assert (fate == Fate.NO_START) == (not start_atoms(molecule, config))


def test_layout_of_decisions_prefixes_and_padding():
    trajectories, _ = grow([MOLECULES["H2O"], MOLECULES["C2H6"]])
    place, stop, padding = Decision.PLACE, Decision.STOP, Decision.PADDING
    assert trajectories.kind.tolist() == [[place] * 2 + [stop] + [padding] * 5, [place] * 7 + [stop]]
    assert trajectories.prefix.tolist() == [[1, 2, 3, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]]
    assert trajectories.target.tolist() == [[1, 2, -1, -1, -1, -1, -1, -1], [1, 2, 3, 4, 5, 6, 7, -1]]
    assert (trajectories.focus[0, 2:] == 0).all()
    assert trajectories.focus[1, 7] == 0
    placing = trajectories.kind == place
    assert (trajectories.focus < trajectories.prefix)[placing].all()
    assert (trajectories.positions[0, 3:] == 0).all()
    assert (trajectories.positions[:, 0] == 0).all()
    assert (trajectories.species[0, 3:] == 0).all()
    assert trajectories.positions.dtype == torch.float32
    assert trajectories.n_decisions == 3 + 8
    assert trajectories.policy == "nearest"


def test_methane_from_carbon_as_in_thesis_figure_4_1():
    trajectories, _ = grow([MOLECULES["CH4"]], start="C")
    q = focus_species_targets(trajectories, len(SPECIES))
    expected = torch.zeros(5, 5, 5)
    expected[:4, 0, H] = 1  # the carbon is the focus of every hydrogen; then STOP
    assert torch.equal(q[0], expected)
    assert [len(alternatives(trajectories, 0, k)) for k in range(5)] == [4, 3, 2, 1, 0]


def test_methane_from_hydrogen_as_in_thesis_figure_4_1():
    trajectories, _ = grow([MOLECULES["CH4"]], start="H")
    q = focus_species_targets(trajectories, len(SPECIES))
    expected = torch.zeros(5, 5, 5)
    expected[0, 0, C] = 1  # the other hydrogens are 1.78 Å away, the carbon 1.09 Å
    expected[1:4, 1, H] = 1
    assert torch.equal(q[0], expected)
    assert [len(alternatives(trajectories, 0, k)) for k in range(5)] == [1, 3, 2, 1, 0]


def test_formaldehyde_offers_oxygen_beside_hydrogen():
    # C-H is 1.11 Å and C=O 1.20 Å, within the tolerance of 0.125 Å, so that three pairs are admissible at first.
    trajectories, _ = grow([MOLECULES["CH2O"]] * 30, start="C")
    q = focus_species_targets(trajectories, len(SPECIES))
    first = torch.zeros(4, 5)
    first[0, H], first[0, O] = 2 / 3, 1 / 3
    torch.testing.assert_close(q[:, 0], first.expand(30, 4, 5))
    assert set(trajectories.species[:, 1].tolist()) == {H, O}


def test_targets_are_counts_over_pairs_and_sum_to_one_where_atoms_are_placed():
    trajectories, _ = grow(list(MOLECULES.values()), tolerance=0.5)
    q = focus_species_targets(trajectories, len(SPECIES))
    sums = torch.where(trajectories.kind == Decision.PLACE, 1.0, 0.0)
    torch.testing.assert_close(q.sum((2, 3)), sums)
    for row, decision in [(6, 3), (10, 7), (12, 20)]:
        pairs = alternatives(trajectories, row, decision)
        counts = Counter((f, int(trajectories.species[row, a])) for f, a in pairs)
        expected = torch.zeros_like(q[row, decision])
        for (f, z), count in counts.items():
            expected[f, z] = count / len(pairs)
        torch.testing.assert_close(q[row, decision], expected)


def test_tolerance_is_strict():
    in_line = Molecule([6, 1, 1], [[0, 0, 0], [1.0, 0, 0], [-1.125, 0, 0]])
    trajectories, _ = grow([in_line], start="C")
    assert alternatives(trajectories, 0, 0) == [(0, 1)]
    trajectories, _ = grow([in_line], start="C", tolerance=0.1251)
    assert len(alternatives(trajectories, 0, 0)) == 2


def test_every_admissible_pair_is_drawn_alike():
    molecules = [MOLECULES["C4H8F3N"], MOLECULES["C2H6"], MOLECULES["CF4"]] * 400
    trajectories, _ = grow(molecules, seed=3, tolerance=0.7, max_distance=5.0)
    ranks: dict[int, Counter] = {}
    for row, molecule in enumerate(molecules):
        here = trajectories.alternative_molecule == row
        decision = trajectories.alternative_decision[here]
        pairs = torch.stack([trajectories.alternative_focus[here], trajectories.alternative_target[here]], 1)
        order = growth_order(molecule, trajectories, row)
        for k in range(len(molecule) - 1):
            # In storage order: by growth order the drawn target would always be the first.
            offered = sorted((order[f], order[a]) for f, a in pairs[decision == k].tolist())
            drawn = (order[int(trajectories.focus[row, k])], order[k + 1])
            ranks.setdefault(len(offered), Counter())[offered.index(drawn)] += 1
    tested = {n: counts for n, counts in ranks.items() if n > 1 and sum(counts.values()) >= 20 * n}
    assert len(tested) >= 5
    for n, counts in tested.items():
        assert chisquare([counts[i] for i in range(n)]).pvalue > P_VALUE, n


@pytest.mark.parametrize(("decision", "n_offered"), [(0, 4), (1, 3), (2, 2)])
def test_a_bias_of_a_few_percent_in_the_draws_would_show(decision, n_offered):
    # Tetrafluoromethane from carbon offers every fluorine that is left; told apart by its place among them in storage.
    molecule = MOLECULES["CF4"]
    trajectories, _ = grow([molecule] * 20_000, seed=11, start="C")
    bonds = torch.tensor(np.delete(molecule.positions, 1, 0) - molecule.positions[1], dtype=torch.float32)
    fluorine = torch.cdist(trajectories.positions[:, 1:], bonds).argmin(2)  # growth order -> storage order
    rank = (fluorine[:, decision:] < fluorine[:, decision, None]).sum(1)
    assert chisquare(rank.bincount(minlength=n_offered).numpy()).pvalue > P_VALUE


@pytest.mark.parametrize(
    ("formula", "options", "starts"),
    [
        ("CH4O", {}, range(6)),
        ("CH4O", {"start": "H"}, range(2, 6)),
        ("C2H6", {"start": "C"}, [0, 1]),
        ("CH4O", {"heavy_first": True}, [0, 1]),
        ("CH4O", {"heavy_first": True, "start": "H"}, range(2, 6)),
    ],
)
def test_start_atoms_are_drawn_alike(formula, options, starts):
    molecule = MOLECULES[formula]
    trajectories, _ = grow([molecule] * 1500, seed=5, **options)
    counts = Counter(growth_order(molecule, trajectories, row)[0] for row in range(1500))
    assert set(counts) == set(starts)
    assert chisquare(list(counts.values())).pvalue > P_VALUE


def test_heavy_first_places_hydrogen_last_and_lets_a_first_hydrogen_begin():
    molecule = MOLECULES["C4H8F3N"]
    trajectories, _ = grow([molecule] * 50, heavy_first=True)
    assert (trajectories.species[:, :8] != H).all()
    trajectories, _ = grow([molecule] * 50, heavy_first=True, start="H")
    assert (trajectories.species[:, 0] == H).all()
    assert (trajectories.species[:, 1:9] != H).all()
    assert (trajectories.focus[:, 1:8] > 0).all()


def test_hydrogen_alone_starts_under_heavy_first():
    trajectories, fates = grow([Molecule([1, 1], [[0, 0, 0], [0, 0, 0.74]])], heavy_first=True)
    assert fates.tolist() == [Fate.KEPT]
    assert trajectories.kind.tolist() == [[Decision.PLACE, Decision.STOP]]


def test_single_atoms_stop_at_once():
    trajectories, _ = grow([Molecule([8], [[1.0, 2.0, 3.0]])])
    assert trajectories.kind.tolist() == [[Decision.STOP]]
    assert trajectories.positions.tolist() == [[[0, 0, 0]]]
    assert focus_species_targets(trajectories, 5).tolist() == torch.zeros(1, 1, 1, 5).tolist()


def test_molecules_that_cannot_grow_are_left_out_and_told_apart():
    no_hydrogen = MOLECULES["CF4"]
    stretched = Molecule([1, 1], [[0, 0, 0], [0, 0, 2.04]])
    in_reach = Molecule([1, 1], [[0, 0, 0], [0, 0, 2.02]])
    apart = Molecule([1, 1, 1], [[0, 0, 0], [0, 0, 0.74], [0, 6.0, 0]])
    trajectories, fates = grow([no_hydrogen, stretched, MOLECULES["H2O"], apart, in_reach], start="H")
    assert fates.tolist() == [Fate.NO_START, Fate.TOO_FAR, Fate.KEPT, Fate.APART, Fate.KEPT]
    assert trajectories.n_atoms.tolist() == [3, 2]
    assert trajectories.species.tolist() == [[H, O, H], [H, H, 0]]
    assert trajectories.alternative_molecule.max() == 1


def test_a_batch_may_keep_nothing():
    trajectories, fates = grow([MOLECULES["CF4"]], start="H")
    assert fates.tolist() == [Fate.NO_START]
    assert trajectories.n_decisions == 0
    assert len(trajectories.alternative_focus) == 0


def test_companions_in_the_batch_change_nothing():
    methane, large = MOLECULES["CH4"], MOLECULES["C9H20"]
    alone, _ = grow([methane], seed=7)
    beside, _ = grow([methane, large], seed=7)
    assert torch.equal(beside.positions[0, :5], alone.positions[0])
    assert torch.equal(beside.focus[0, :5], alone.focus[0])
    other, _ = grow([methane], seed=8)
    assert not torch.equal(other.positions, alone.positions)


@pytest.mark.parametrize("wrong", [{"start": "N"}, {"tolerance": -0.1}, {"max_distance": 0}, {"kind": "prim"}])
def test_configuration_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        NearestConfig(**wrong)
