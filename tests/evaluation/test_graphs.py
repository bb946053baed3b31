from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from atomweave.evaluation.graphs import Graphs
from atomweave.evaluation.validity import Verdict
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def same(first: Graphs, second: Graphs) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in (
            "numbers", "positions", "atom_offsets", "bonds", "orders", "bond_offsets", "ring_sizes", "ring_offsets",
        )
    )  # fmt: skip


def test_molecules_stand_one_after_the_other():
    found = judged([worked.water(), worked.benzene(), worked.carbon_dioxide()]).graphs
    assert len(found) == 3
    assert found.sizes.tolist() == [3, 12, 3]
    assert found.numbers.tolist() == [8, 1, 1, *[6] * 6, *[1] * 6, 8, 6, 8]
    assert found.molecule_of_atom.tolist() == [0] * 3 + [1] * 12 + [2] * 3
    assert np.diff(found.bond_offsets).tolist() == [2, 12, 2]
    assert found.bonds[:2].tolist() == [[0, 1], [0, 2]]
    assert found.bonds[-2:].tolist() == [[15, 16], [16, 17]]
    assert (found.bonds[:, 0] < found.bonds[:, 1]).all()
    assert sorted(found.orders.tolist()) == [1.0] * 8 + [1.5] * 6 + [2.0] * 2
    assert found.ring_sizes.tolist() == [6]
    assert found.ring_offsets.tolist() == [0, 0, 1, 1]
    assert sorted(found.lengths) == pytest.approx([0.96] * 2 + [1.09] * 6 + [1.17] * 2 + [1.40] * 6)


def test_neighbours_of_every_atom():
    found = judged([worked.methane(), internal.acetylene()]).graphs
    rows, offsets = found.neighbours
    around = [rows[start:stop].tolist() for start, stop in pairwise(offsets)]
    assert around == [[1, 2, 3, 4], [0], [0], [0], [0], [6], [5, 7], [6, 8], [7]]


def test_neighbours_are_those_of_rdkit():
    sample = judged(list(qm9_molecules().values()))
    found = sample.graphs
    rows, offsets = found.neighbours
    for start, verdict in zip(found.atom_offsets, sample.verdicts, strict=False):
        for atom in verdict.perception.mol.GetAtoms():
            row = start + atom.GetIdx()
            expected = sorted(start + neighbour.GetIdx() for neighbour in atom.GetNeighbors())
            assert rows[offsets[row] : offsets[row + 1]].tolist() == expected


def test_only_valid_molecules_are_gathered():
    sample = judged([worked.argon(), worked.water(), None, worked.methyl(), worked.methane()])
    assert sample.valid.tolist() == [1, 4]
    assert same(sample.graphs, judged([worked.water(), worked.methane()]).graphs)


def test_taking_is_gathering_these():
    molecules = [*qm9_molecules().values(), worked.benzene(), worked.methane_and_water()]
    found = judged(molecules).graphs
    rng = np.random.default_rng(0)
    for chosen in (rng.permutation(len(molecules)), np.array([3, 3, 0, 3]), np.array([1]), np.zeros(0, np.int64)):
        assert same(found.take(chosen), judged([molecules[index] for index in chosen]).graphs)


def test_nothing_is_an_empty_graph():
    for empty in (Graphs.of([]), judged([worked.argon(), None]).graphs):
        assert len(empty) == 0
        assert empty.bonds.shape == (0, 2)
        assert empty.positions.shape == (0, 3)
        assert empty.lengths.shape == empty.orders.shape == empty.sizes.shape == (0,)
        rows, offsets = empty.neighbours
        assert rows.shape == (0,)
        assert offsets.tolist() == [0]


def test_a_verdict_without_molecule_or_bonds_is_refused():
    for verdict in (Verdict(None, False, None, "no molecule"), Verdict(worked.water(), False, None, "unfinished")):
        with pytest.raises(ValueError, match="molecule and its bonds"):
            Graphs.of([verdict])
