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
from atomweave.growth.trajectories import UNKNOWN, Decision, Trajectories
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules
from reference.weaver import CYCLOPROPANE, special_molecules

SPECIES = Species(["H", "C", "N", "O", "F"])
H, C, N, O, F = range(5)
MOLECULES = qm9_molecules() | special_molecules()
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3)
METHANE = Molecule(["C"] + ["H"] * 4, np.concatenate([np.zeros((1, 3)), 1.09 * TETRAHEDRON]))


def grow(molecules: list[Molecule], seed: int = 0, **options) -> tuple[Trajectories, np.ndarray]:
    options = {"fragment_share": 0.0} | options
    return build_policy(BreadthFirstConfig(**options), SPECIES).grow_molecules(molecules, seed)


def story(t: Trajectories, row: int = 0) -> list[tuple[str | int, int]]:
    """Return the decisions as (species placed with its degree, or count, focus)."""
    told = []
    for d in (t.kind[row] != Decision.PADDING).nonzero()[:, 0].tolist():
        kind, focus, target, count = (int(x[row, d]) for x in (t.kind, t.focus, t.target, t.count))
        if kind == Decision.PLACE:
            assert count == 0
            told.append((f"{SPECIES.symbols[t.species[row, target]]}{int(t.degree[row, target])}", focus))
        else:
            assert (kind == Decision.END) == (count == 0)
            told.append((count, focus))
    return told


def awaits(t: Trajectories, row: int = 0) -> list[list[int]]:
    """Return what the placed atoms await before every decision."""
    return [a[:k].tolist() for a, k in zip(t.awaits[row], t.prefix[row].tolist(), strict=True) if k]


def test_methane_by_hand():
    t, fate = grow([METHANE])
    assert fate.tolist() == [Fate.KEPT]
    assert story(t) == [(4, 0)] + [("H1", 0)] * 4
    assert t.prefix.tolist() == [[1, 1, 2, 3, 4]]
    assert t.target.tolist() == [[-1, 1, 2, 3, 4]]
    assert awaits(t) == [[UNKNOWN], [4], [3, 0], [2, 0, 0], [1, 0, 0, 0]]
    assert t.degree.tolist() == [[0, 1, 1, 1, 1]], "the first atom has nobody to tell its degree"
    assert float(t.log_q) == pytest.approx(-math.log(24))
    t, _ = grow([METHANE], start="H")
    assert story(t) == [(1, 0), ("C4", 0), *[("H1", 1)] * 3]


def test_ethane_by_hand():
    t, _ = grow([MOLECULES["C2H6"]])
    assert story(t) == [(4, 0), ("C4", 0), *[("H1", 0)] * 3, *[("H1", 1)] * 3]
    assert t.prefix[0].tolist() == [1, 1, 2, 3, 4, 5, 6, 7]
    assert awaits(t)[2] == [3, 3]
    assert awaits(t)[-1] == [0, 1, 0, 0, 0, 0, 0]
    assert float(t.log_q) == pytest.approx(-math.log(2 * 6 * 6))


def test_cyclopropane_awaits_the_closing_of_its_ring():
    t, _ = grow([CYCLOPROPANE])
    assert story(t) == [(4, 0), *[("C4", 0)] * 2, *[("H1", 0)] * 2, *[("H1", 1)] * 2, *[("H1", 2)] * 2]
    # The second carbon awaits the third, another child of the first; the bond between them is nobody's decision.
    assert awaits(t)[2:4] == [[3, 3], [2, 2, 2]]
    assert t.closure.tolist() == [[-1, -1, 1, *[-1] * 6]]
    first = (t.alternative_decision == 1).nonzero()[:, 0]
    assert t.alternative_target[first].tolist() == [1, 2], "both neighbours could have come first"


@pytest.mark.parametrize("name", ["acetylene", "HCN"])
def test_linear_molecules_by_hand(name):
    for seed in range(10):
        t, _ = grow([MOLECULES[name]], seed)
        symbols = [SPECIES.symbols[s] for s in t.species[0, : int(t.n_atoms)].tolist()]
        if name == "acetylene":
            assert story(t) == [(2, 0), ("C2", 0), ("H1", 0), ("H1", 1)]
        elif symbols[0] == "N":
            assert story(t) == [(1, 0), ("C2", 0), ("H1", 1)]
        else:
            assert story(t) == [(2, 0), ("N1", 0), ("H1", 0)]


def test_a_given_fragment_by_hand():
    t, _ = grow([METHANE] * 60, fragment_share=1.0)
    told = {tuple(story(t, row)) for row in range(60)}
    # Carbon alone; with one to three hydrogens; whole. Hydrogens that have their neighbour are not asked.
    assert told == {((4 - n, 0), *[("H1", 0)] * (4 - n)) for n in range(5)}
    for row in range(60):
        n_given = 5 - (len(story(t, row)) - 1)
        assert awaits(t, row)[0] == [UNKNOWN] + [0] * (n_given - 1)
        assert t.degree[row].tolist() == [0] * n_given + [1] * (5 - n_given)
        assert math.isnan(t.log_q[row])


def test_first_atom_is_any_heavy_one_and_hydrogen_only_alone():
    t, _ = grow([MOLECULES["CH4O"]] * 400)
    count = Counter(t.species[:, 0].tolist())
    assert set(count) == {C, O}
    assert abs(count[C] - 200) < 60
    _, fate = grow([METHANE], start="C")
    assert fate.tolist() == [Fate.KEPT]
    _, fate = grow([MOLECULES["H2O"]], start="C")
    assert fate.tolist() == [Fate.NO_START]


def test_molecules_in_several_parts_or_too_crowded_are_left_out():
    apart = Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 3.0]]))
    bridged = Molecule(["O", "H", "O"], np.array([[0, 0, 0], [0, 0, 1.15], [0, 0, 2.3]]))
    t, fate = grow([apart, bridged, METHANE], max_degree=3)
    assert fate.tolist() == [Fate.APART, Fate.KEPT, Fate.CROWDED]
    assert story(t) == [(1, 0), ("H2", 0), ("O1", 1)], "a hydrogen may join two atoms"


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), fragment_share=st.sampled_from([0.0, 1.0]))
def test_every_decision_follows_the_rule(seed, fragment_share):
    molecules = [m for m in MOLECULES.values() if len(m) < 20]
    t, fate = grow(molecules, seed, fragment_share=fragment_share)
    assert (fate == Fate.KEPT).all()
    for row in range(len(molecules)):
        n = int(t.n_atoms[row])
        numbers = SPECIES.atomic_numbers(t.species[row, :n].numpy())
        bonds = bonded_pairs(numbers, t.positions[row, :n].double().numpy()).tolist()
        neighbours = [{b for a, b in bonds if a == i} | {a for a, b in bonds if b == i} for i in range(n)]
        n_given = int(t.prefix[row, 0])
        assert fragment_share or n_given == 1
        assert t.degree[row, :n].tolist() == [0] * n_given + [len(x) for x in neighbours[n_given:]]
        inside = [neighbours[i] & set(range(n_given)) for i in range(n_given)]
        assert n_given == 1 or all(inside), "a fragment hangs together"
        known = {i: 0 for i in range(n_given) if numbers[i] == 1 and inside[i]}  # what each atom awaits
        placed = n_given
        for d in (t.kind[row] != Decision.PADDING).nonzero()[:, 0].tolist():
            k, focus, target = (int(x[row, d]) for x in (t.prefix, t.focus, t.target))
            left = {a for a in neighbours[focus] if a >= k}
            assert k == placed
            assert t.awaits[row, d, :k].tolist() == [known.get(i, UNKNOWN) for i in range(k)]
            assert not t.awaits[row, d, k:].any()
            assert focus == min(i for i in range(k) if known.get(i, UNKNOWN) != 0), "the oldest that awaits neighbours"
            here = (t.alternative_molecule == row) & (t.alternative_decision == d)
            if focus not in known:
                assert t.kind[row, d] == (Decision.COUNT if left else Decision.END)
                assert int(t.count[row, d]) == len(left)
                assert not here.any()
                known[focus] = len(left)
                continue
            assert t.kind[row, d] == Decision.PLACE
            assert set(t.alternative_target[here].tolist()) == ({a for a in left if numbers[a] != 1} or left)
            assert target == k
            assert target in t.alternative_target[here].tolist()
            for i in neighbours[k] & set(known):
                known[i] -= 1
            known[k] = len({a for a in neighbours[k] if a > k})
            others = sorted(a for a in neighbours[k] if a < k and a != focus)
            assert int(t.closure[row, k]) == (others[0] if others else -1)
            placed += 1
        assert placed == n
        assert math.isfinite(t.log_q[row]) == (not fragment_share)


def test_log_q_is_the_share_of_draws():
    # Ethanol's skeleton: from the middle carbon, O and C come in either order.
    molecule = Molecule(["C", "C", "O"], np.array([[0, 0, 0], [0, 0, 1.5], [0, 1.35, 2.0]]))
    t, _ = grow([molecule] * 3000)
    orders = Counter((tuple(s), round(q, 6)) for s, q in zip(t.species.tolist(), t.log_q.tolist(), strict=True))
    assert len(orders) == 4
    for (_, log_q), count in orders.items():
        assert count / 3000 == pytest.approx(math.exp(log_q), abs=0.04)


def test_draws_depend_on_neither_neighbours_nor_padding():
    policy = build_policy(BreadthFirstConfig(fragment_share=0.5), SPECIES)
    names = ["CH4O", "H2O", "C2H6", "acetylene"]
    together, _ = policy.grow_molecules([MOLECULES[name] for name in [*names, "C9H20"] if name in MOLECULES], 3)
    apart, _ = policy.grow_molecules([MOLECULES[name] for name in names], 3)
    n, d = apart.species.shape[1], apart.kind.shape[1]
    for name in ("kind", "prefix", "focus", "target", "count"):
        assert torch.equal(getattr(together, name)[: len(names), :d], getattr(apart, name))
    assert torch.equal(together.species[: len(names), :n], apart.species)
