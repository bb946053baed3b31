"""The breadth-first policy: its order by hand, what it asks, what it leaves out."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomweave.chemistry.radii import bonded_pairs
from atomweave.growth.policies import BreadthFirstConfig, Fate, build_policy
from atomweave.growth.trajectories import Decision, Trajectories
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules
from reference.weaver import special_molecules

SPECIES = Species(["H", "C", "N", "O", "F"])
H, C, N, O, F = range(5)
MOLECULES = qm9_molecules() | special_molecules()
TRIANGLE = np.array([[math.cos(a), math.sin(a), 0.0] for a in np.arange(3) * 2 * math.pi / 3])
CYCLOPROPANE = Molecule(
    ["C"] * 3 + ["H"] * 6,
    np.concatenate([0.87 * TRIANGLE, 1.45 * TRIANGLE + [0, 0, 0.91], 1.45 * TRIANGLE - [0, 0, 0.91]]),
)
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3)
METHANE = Molecule(["C"] + ["H"] * 4, np.concatenate([np.zeros((1, 3)), 1.09 * TETRAHEDRON]))


def grow(molecules: list[Molecule], seed: int = 0, **options) -> tuple[Trajectories, np.ndarray]:
    options = {"any_focus": 0.0} | options
    return build_policy(BreadthFirstConfig(**options), SPECIES).grow_molecules(molecules, seed)


def story(t: Trajectories, row: int = 0) -> list[tuple[str, int]]:
    """Return the decisions as (species placed or END, focus)."""
    told = []
    for kind, focus, target in zip(t.kind[row].tolist(), t.focus[row].tolist(), t.target[row].tolist(), strict=True):
        if kind == Decision.PLACE:
            told.append((SPECIES.symbols[t.species[row, target]], focus))
        elif kind == Decision.END:
            told.append(("END", focus))
    return told


def test_methane_by_hand():
    t, fate = grow([METHANE])
    assert fate.tolist() == [Fate.KEPT]
    assert story(t) == [("H", 0)] * 4 + [("END", 0)]
    assert t.prefix.tolist() == [[1, 2, 3, 4, 5]]
    assert t.target.tolist() == [[1, 2, 3, 4, -1]]
    assert not t.ended.any()
    assert float(t.log_q) == pytest.approx(-math.log(24))


def test_methane_by_hand_where_hydrogens_decide():
    t, _ = grow([METHANE], hydrogens_end=False)
    assert story(t) == [("H", 0)] * 4 + [("END", focus) for focus in range(5)]
    assert t.ended[0, -1].tolist() == [True] * 4 + [False]
    t, _ = grow([METHANE], start="H")
    assert story(t) == [("C", 0), ("END", 0), *[("H", 1)] * 3, ("END", 1)]


def test_ethane_by_hand():
    t, _ = grow([MOLECULES["C2H6"]])
    assert story(t) == [("C", 0), *[("H", 0)] * 3, ("END", 0), *[("H", 1)] * 3, ("END", 1)]
    assert t.prefix[0].tolist() == [1, 2, 3, 4, 5, 5, 6, 7, 8]
    assert t.ended[0].nonzero().tolist() == [[decision, 0] for decision in range(5, 9)]
    assert float(t.log_q) == pytest.approx(-math.log(2 * 6 * 6))


def test_cyclopropane_places_its_ring_before_its_hydrogens():
    t, _ = grow([CYCLOPROPANE])
    ring = [("C", 0)] * 2 + [("H", 0)] * 2 + [("END", 0)]
    assert story(t) == ring + [("H", 1)] * 2 + [("END", 1)] + [("H", 2)] * 2 + [("END", 2)]
    first = (t.alternative_decision == 0).nonzero()[:, 0]
    assert t.alternative_target[first].tolist() == [1, 2], "both neighbours could have come first"


@pytest.mark.parametrize("name", ["acetylene", "HCN"])
def test_linear_molecules_by_hand(name):
    for seed in range(10):
        t, _ = grow([MOLECULES[name]], seed)
        symbols = [SPECIES.symbols[s] for s in t.species[0, : int(t.n_atoms)].tolist()]
        if name == "acetylene":
            assert story(t) == [("C", 0), ("H", 0), ("END", 0), ("H", 1), ("END", 1)]
        elif symbols[0] == "N":
            assert story(t) == [("C", 0), ("END", 0), ("H", 1), ("END", 1)]
        else:
            assert story(t) == [("N", 0), ("H", 0), ("END", 0), ("END", 1)]


def test_first_atom_is_any_heavy_one_and_hydrogen_only_alone():
    t, _ = grow([MOLECULES["CH4O"]] * 400)
    count = Counter(t.species[:, 0].tolist())
    assert set(count) == {C, O}
    assert abs(count[C] - 200) < 60
    _, fate = grow([METHANE], start="C")
    assert fate.tolist() == [Fate.KEPT]
    _, fate = grow([MOLECULES["H2O"]], start="C")
    assert fate.tolist() == [Fate.NO_START]


def test_molecules_in_several_parts_or_joined_by_hydrogen_are_left_out():
    apart = Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 3.0]]))
    bridged = Molecule(["O", "H", "O"], np.array([[0, 0, 0], [0, 0, 1.15], [0, 0, 2.3]]))
    t, fate = grow([apart, bridged, METHANE])
    assert fate.tolist() == [Fate.APART, Fate.APART, Fate.KEPT]
    assert t.n_atoms.tolist() == [5]
    t, fate = grow([bridged], hydrogens_end=False)
    assert fate.tolist() == [Fate.KEPT]
    assert story(t) == [("H", 0), ("END", 0), ("O", 1), ("END", 1), ("END", 2)]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), any_focus=st.sampled_from([0.0, 1.0]), hydrogens_end=st.booleans())
def test_every_decision_follows_the_rule(seed, any_focus, hydrogens_end):
    molecules = [m for m in MOLECULES.values() if len(m) < 20]
    t, fate = grow(molecules, seed, any_focus=any_focus, hydrogens_end=hydrogens_end)
    assert (fate == Fate.KEPT).all()
    for row in range(len(molecules)):
        n = int(t.n_atoms[row])
        numbers = SPECIES.atomic_numbers(t.species[row, :n].numpy())
        bonds = bonded_pairs(numbers, t.positions[row, :n].double().numpy()).tolist()
        neighbours = [{b for a, b in bonds if a == i} | {a for a, b in bonds if b == i} for i in range(n)]
        decides = [i == 0 or not hydrogens_end or numbers[i] != 1 for i in range(n)]
        placed_targets = []
        for d in (t.kind[row] != Decision.PADDING).nonzero()[:, 0].tolist():
            k, focus, target = (int(x[row, d]) for x in (t.prefix, t.focus, t.target))
            assert focus < k
            assert decides[focus]
            left = {a for a in neighbours[focus] if a >= k}
            left = {a for a in left if numbers[a] != 1} or left
            here = (t.alternative_molecule == row) & (t.alternative_decision == d)
            assert set(t.alternative_target[here].tolist()) == left
            assert (t.kind[row, d] == Decision.PLACE) == bool(left)
            assert target in left or (target == -1 and not left)
            ended = t.ended[row, d].nonzero()[:, 0].tolist()
            if any_focus:
                assert all(a < k and a != focus and decides[a] and max(neighbours[a]) < k for a in ended)
            else:
                assert ended == [a for a in range(focus) if decides[a]]
                assert target in {k, -1}
            placed_targets.append(target)
        if not any_focus:
            assert [x for x in placed_targets if x >= 0] == list(range(1, n))
            assert math.isfinite(t.log_q[row])
        assert len(placed_targets) == n - 1 + sum(decides)


def test_log_q_is_the_share_of_draws():
    # Ethanol's skeleton: from the middle carbon, O and C come in either order.
    molecule = Molecule(["C", "C", "O"], np.array([[0, 0, 0], [0, 0, 1.5], [0, 1.35, 2.0]]))
    t, _ = grow([molecule] * 3000)
    orders = Counter((tuple(s), round(q, 6)) for s, q in zip(t.species.tolist(), t.log_q.tolist(), strict=True))
    assert len(orders) == 4
    for (_, log_q), count in orders.items():
        assert count / 3000 == pytest.approx(math.exp(log_q), abs=0.04)


def test_draws_depend_on_neither_neighbours_nor_padding():
    policy = build_policy(BreadthFirstConfig(any_focus=0.5), SPECIES)
    names = ["CH4O", "H2O", "C2H6", "acetylene"]
    together, _ = policy.grow_molecules([MOLECULES[name] for name in [*names, "C9H20"] if name in MOLECULES], 3)
    apart, _ = policy.grow_molecules([MOLECULES[name] for name in names], 3)
    n, d = apart.species.shape[1], apart.kind.shape[1]
    for name in ("kind", "prefix", "focus", "target"):
        assert torch.equal(getattr(together, name)[: len(names), :d], getattr(apart, name))
    assert torch.equal(together.species[: len(names), :n], apart.species)
