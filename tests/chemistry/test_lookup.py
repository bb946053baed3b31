from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from atomweave.chemistry import bonds
from atomweave.chemistry.bonds import TIME_OUT, Perception, perceive_many
from atomweave.chemistry.close_pairs import close_pairs
from atomweave.chemistry.lookup import (
    NOT_IN_TABLE,
    LookUp,
    _limits,
    longest_look_up,
    look_up,
    look_up_many,
    orders_of,
)
from atomweave.chemistry.tables import LENGTHS, VALENCES
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules
from reference.worked_verdicts import WORKED


@pytest.mark.parametrize("case", WORKED, ids=lambda case: case.name)
def test_molecules_worked_by_hand(case):
    found = look_up(case.molecule)
    assert (found.smiles or found.reason) == case.look_up
    assert found.valid == bool(found.smiles)


def test_workers_say_the_same_alone_and_beside_the_bonds():
    molecules = [case.molecule for case in WORKED]
    alone = [look_up(molecule) for molecule in molecules]
    assert look_up_many(molecules) == alone
    together = perceive_many(molecules, lookup=True)
    assert [found.lookup for found in together] == alone
    for found, only in zip(together, perceive_many(molecules), strict=True):
        assert only.lookup is None
        assert (found.reason, found.smiles, found.strict, found.rings) == (
            only.reason, only.smiles, only.strict, only.rings,
        )  # fmt: skip
        np.testing.assert_array_equal(found.bonds, only.bonds)
        np.testing.assert_array_equal(found.orders, only.orders)


def test_no_molecules_need_no_worker():
    assert look_up_many([]) == []
    assert perceive_many([], lookup=True) == []


def test_limits_are_strict():
    for length, order in ((164, 0), (163.999, 1), (139, 1), (138.999, 2), (123, 2), (122.999, 3)):
        close = close_pairs(np.array([[0, 0, 0], [0, 0, length / 100]]), longest_look_up())
        assert orders_of(np.array([6, 6]), close).tolist() == [order] * len(close)


def test_a_higher_order_needs_every_lower_one():
    assert (np.diff(_limits(), axis=0) <= 0).all()  # hence below one limit is below those before it
    assert all(set(higher) <= set(lower) for lower, higher in pairwise(LENGTHS))


def test_the_largest_fragment_gives_the_name_and_the_first_of_equal_ones():
    ethane = worked.embedded("CC")
    mixed = Molecule(
        [*worked.methane().symbols, *ethane.symbols], np.vstack([worked.methane().positions, ethane.positions + 9])
    )
    assert look_up(mixed) == LookUp("", "", "[H]C([H])([H])C([H])([H])[H]", 2)
    nitrogen, acetylide = worked.linear("NN", 1.10), worked.linear("CC", 1.20)
    for first, second, name in ((nitrogen, acetylide, "N#N"), (acetylide, nitrogen, "C#C")):
        pair = Molecule([*first.symbols, *second.symbols], np.vstack([first.positions, second.positions + 9]))
        assert look_up(pair).smiles == name


def test_validity_is_that_no_atom_has_too_many_bonds():
    """RDKit's sanitisation of table bonds, which are never aromatic or charged, can fail on valences only."""
    rng = np.random.default_rng(3)
    verdicts = []
    for molecule in qm9_molecules().values():
        for scale in (0.0, 0.05, 0.15):
            moved = Molecule(molecule.numbers, molecule.positions + rng.normal(0, scale, molecule.positions.shape))
            close = close_pairs(moved.positions, longest_look_up())
            sums = np.zeros(len(moved), np.int64)
            np.add.at(sums, close.first, orders_of(moved.numbers, close))
            np.add.at(sums, close.second, orders_of(moved.numbers, close))
            most = np.array([VALENCES[symbol] for symbol in moved.symbols])
            verdicts.append((look_up(moved).valid, bool((sums <= most).all())))
    assert all(valid == expected for valid, expected in verdicts)
    assert 0.2 < np.mean(verdicts) < 0.9  # the sample shows both


def test_names_are_flat():
    left, right = worked.embedded("C[C@H](N)O"), worked.embedded("C[C@@H](N)O")
    assert look_up(left).smiles == look_up(right).smiles
    assert bonds.perceive(left).smiles != bonds.perceive(right).smiles


def test_a_molecule_that_loses_its_worker_is_looked_up_alone():
    lost = [Perception(TIME_OUT), Perception("", lookup=LookUp("", "", "O", 1))]
    found = bonds._with_look_ups([worked.methane(), worked.water()], lost, 1, 10.0)
    assert [one.lookup.smiles for one in found] == ["[H]C([H])([H])[H]", "O"]
    assert found[0].reason == TIME_OUT


def test_elements_outside_the_table_are_named():
    assert look_up(Molecule(["C", "Cl"], [[0, 0, 0], [0, 0, 1.78]])).reason == NOT_IN_TABLE
