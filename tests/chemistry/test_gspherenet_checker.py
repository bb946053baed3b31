from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from atomweave.chemistry import gspherenet_checker
from atomweave.chemistry.gspherenet_checker import check_many
from atomweave.chemistry.matching import blossom_matching, forced_matching, raised_orders
from atomweave.chemistry.tables import LONGEST, VALENCES
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules
from reference.worked_verdicts import WORKED


def literal(molecule: Molecule) -> tuple[bool, dict[tuple[int, int], int]]:
    """The rule as plain loops over one molecule: atoms in order, then matching of the whole graph round by round."""
    symbols, positions = molecule.symbols, molecule.positions
    degrees = [0] * len(molecule)
    orders = {}
    for i in range(1, len(molecule)):
        for j in range(i):
            pair = "".join(sorted([symbols[i], symbols[j]], key=list(VALENCES).index))
            near = np.linalg.norm(positions[i] - positions[j]) <= LONGEST.get(pair, -1)
            if near and degrees[j] < VALENCES[symbols[j]]:
                orders[j, i] = 1
                degrees[i] += 1
                degrees[j] += 1
    graph = nx.Graph(orders.keys())
    graph.add_nodes_from(range(len(molecule)))
    if not nx.is_connected(graph) or any(
        degree > VALENCES[symbol] for degree, symbol in zip(degrees, symbols, strict=True)
    ):
        return False, {}
    while True:
        lacking = [atom for atom, symbol in enumerate(symbols) if degrees[atom] < VALENCES[symbol]]
        neighbours = [pair for pair in combinations(lacking, 2) if pair in orders]
        if not neighbours:
            return True, orders
        for pair in nx.max_weight_matching(nx.Graph(neighbours)):
            first, second = sorted(pair)
            orders[first, second] += 1
            degrees[first] += 1
            degrees[second] += 1


def mutilated() -> list[Molecule]:
    """Molecules of QM9 as they are, cut short, in another order, squeezed, shaken, and without hydrogens."""
    rng = np.random.default_rng(0)
    made = []
    for molecule in qm9_molecules().values():
        made.append(molecule)
        made += [Molecule(molecule.numbers[:-k], molecule.positions[:-k]) for k in (1, 2, 4) if k < len(molecule) - 1]
        for scale, squeeze in ((0.0, 0.95), (0.0, 0.85), (0.02, 1.0), (0.1, 0.8)):
            order = rng.permutation(len(molecule))
            noise = rng.normal(0, scale, molecule.positions.shape) if scale else 0
            made.append(Molecule(molecule.numbers[order], (squeeze * molecule.positions + noise)[order]))
        heavy = molecule.numbers > 1
        made.append(Molecule(molecule.numbers[heavy], molecule.positions[heavy]))
    return made


@pytest.mark.parametrize("case", WORKED, ids=lambda case: case.name)
def test_molecules_worked_by_hand(case):
    found = check_many([case.molecule])[0]
    if isinstance(case.checker, str):
        assert (found.valid, found.reason, len(found.bonds)) == (False, case.checker, 0)
    else:
        assert (found.valid, found.orders.tolist()) == (True, case.checker)


def test_bonds_and_orders_are_those_of_the_literal_rule():
    molecules = mutilated()
    found = check_many(molecules)
    valid = 0
    for molecule, checked in zip(molecules, found, strict=True):
        expected, orders = literal(molecule)
        assert checked.valid == expected
        valid += expected
        assert [tuple(pair) for pair in checked.bonds.tolist()] == sorted(orders)
        assert checked.orders.tolist() == [orders[pair] for pair in sorted(orders)]
    assert 0.3 < valid / len(molecules) < 0.9
    assert {one for checked in found for one in checked.orders} == {1, 2, 3, 4}


def test_large_molecules_take_the_grid_and_give_the_same(monkeypatch):
    molecules = mutilated()
    expected = check_many(molecules, orders=False)
    monkeypatch.setattr("atomweave.chemistry.close_pairs.MOST_ATOMS_IN_PAIRS", 0)
    for at_once in (1, 20):  # the pairs of one molecule then come in several blocks
        monkeypatch.setattr("atomweave.chemistry.close_pairs.PAIRS_AT_ONCE", at_once)
        found = check_many(molecules, orders=False)
        assert [one.reason for one in found] == [one.reason for one in expected]
        assert all(np.array_equal(one.bonds, other.bonds) for one, other in zip(found, expected, strict=True))


def test_deleting_the_last_atoms_leaves_molecules_valid():
    whole = [molecule for molecule in qm9_molecules().values() if check_many([molecule], orders=False)[0].valid]
    assert len(whole) >= 8
    for n_deleted in (1, 2, 4, 8):
        cut = [
            Molecule(molecule.numbers[:-n_deleted], molecule.positions[:-n_deleted])
            for molecule in whole
            if len(molecule) > n_deleted + 1
        ]
        assert all(checked.valid for checked in check_many(cut, orders=False))


def test_validity_alone_finds_no_orders_and_starts_no_worker(monkeypatch):
    monkeypatch.setattr(gspherenet_checker, "run_isolated", None)
    found = check_many([worked.benzene(), worked.methyl()], orders=False)
    assert [one.valid for one in found] == [True, True]
    assert np.isnan(found[0].orders).all()


def test_orders_that_take_too_long_are_unknown_and_the_molecule_stays_valid(monkeypatch):
    monkeypatch.setattr(gspherenet_checker, "_searched", lambda requests, *_: [None] * len(requests))
    benzene, methane = check_many([worked.benzene(), worked.methane()])
    assert benzene.valid
    assert np.isnan(benzene.orders).sum() == 6  # the ring; its hydrogens lack nothing
    assert methane.orders.tolist() == [1, 1, 1, 1]


def test_no_molecules():
    assert check_many([]) == []


def test_a_forced_matching_is_the_only_perfect_one():
    rng = np.random.default_rng(1)
    n_forced = 0
    for _ in range(300):
        n_atoms = int(rng.integers(2, 9))
        pairs = [pair for pair in combinations(range(n_atoms), 2) if rng.random() < 0.3]
        if not pairs:
            continue
        atoms = {atom for pair in pairs for atom in pair}
        perfect = [
            set(chosen)
            for chosen in combinations(range(len(pairs)), len(atoms) // 2)
            if len({atom for index in chosen for atom in pairs[index]}) == len(atoms)
        ]
        forced = forced_matching(pairs)
        if forced is not None:
            n_forced += 1
            assert perfect == [set(forced)]
            assert set(blossom_matching(pairs)) == set(forced)
    assert n_forced > 50


def test_chains_of_odd_length_are_left_to_the_search():
    assert forced_matching([(0, 1), (1, 2)]) is None
    assert forced_matching([(0, 1), (0, 2), (1, 2)]) is None
    assert forced_matching([(0, 1), (1, 2), (2, 3)]) is not None
    assert raised_orders([(0, 1), (1, 2)], [1, 2, 1], blossom_matching) == [1, 1]
    assert raised_orders([(0, 1)], [3, 2], forced_matching) == [2]
