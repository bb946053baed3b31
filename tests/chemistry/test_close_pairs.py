from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from atomweave.chemistry import close_pairs as module
from atomweave.chemistry.bonds import VALENCE, perceive
from atomweave.chemistry.close_pairs import close_pairs, close_pairs_of_many
from atomweave.chemistry.radii import bonded_pairs
from atomweave.errors import InputError
from atomweave.molecule import Molecule

CUTOFF = 1.8


def literal(positions, cutoff=CUTOFF):
    return [
        (a, b) for b in range(len(positions)) for a in range(b) if np.linalg.norm(positions[a] - positions[b]) <= cutoff
    ]


def pairs(close):
    return list(zip(close.first.tolist(), close.second.tolist(), strict=True))


def scattered(n_atoms, edge, seed=0):
    return np.random.default_rng(seed).uniform(-edge / 2, edge / 2, (n_atoms, 3))


@pytest.mark.parametrize("edge", [3.0, 8.0, 40.0])
@pytest.mark.parametrize("cells", [False, True])
def test_all_pairs_and_cells_find_what_a_double_loop_finds(monkeypatch, edge, cells):
    if cells:
        monkeypatch.setattr(module, "MOST_ATOMS_IN_PAIRS", 0)
    positions = scattered(60, edge)
    found = close_pairs(positions, CUTOFF)
    assert pairs(found) == literal(positions)
    lengths = np.linalg.norm(positions[found.first] - positions[found.second], axis=1)
    np.testing.assert_allclose(found.distances, lengths, rtol=1e-14)


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("far", [1e6, 1e17, 1e200, 1.7e308])
def test_atoms_far_apart_do_no_harm(monkeypatch, cells, far):
    if cells:
        monkeypatch.setattr(module, "MOST_ATOMS_IN_PAIRS", 0)
    # Near the origin two pairs; far out, on three axes and both sides, atoms that are close to nothing.
    positions = np.array([[0, 0, 0], [0, 0, 1.5], [far, 0, 0], [0, -far, 0], [-far, far, far], [0.9, 0, 0.1]])
    assert pairs(close_pairs(positions, CUTOFF)) == [(0, 1), (0, 5), (1, 5)]


@pytest.mark.parametrize("cells", [False, True])
def test_exactly_the_cutoff_is_close(monkeypatch, cells):
    if cells:
        monkeypatch.setattr(module, "MOST_ATOMS_IN_PAIRS", 0)
    row = np.arange(50)[:, None] * [CUTOFF, 0, 0]
    steps = np.diff(row[:, 0])
    assert len(close_pairs(row, float(steps.max()))) == 49
    assert len(close_pairs(row, float(np.nextafter(steps.min(), 0)))) == 0


@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_many_molecules_are_as_one_by_one(monkeypatch, at_once):
    monkeypatch.setattr(module, "MOST_ATOMS_IN_PAIRS", 25)  # so that both ways are taken
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", at_once)
    molecules = [scattered(n, 5.0, n) for n in (5, 40, 1, 5, 12, 26, 25, 5)]
    offsets = np.concatenate([[0], np.cumsum([len(positions) for positions in molecules])])
    found = [pairs(block) for block in close_pairs_of_many(np.concatenate(molecules), offsets, CUTOFF)]
    expected = [
        (a + start, b + start)
        for positions, start in zip(molecules, offsets[:-1].tolist(), strict=True)
        for a, b in literal(positions)
    ]
    assert sorted(pair for block in found for pair in block) == sorted(expected)
    large = [pair for block in found for pair in block if offsets[1] <= pair[0] < offsets[2]]
    assert large == [pair for pair in expected if offsets[1] <= pair[0] < offsets[2]]  # in order, over all its blocks


def test_bonds_by_cells_are_the_bonds_by_all_pairs(monkeypatch):
    rng = np.random.default_rng(1)
    numbers, positions = rng.choice([1, 6, 7, 8, 9, 17, 55], 200), scattered(200, 12.0)
    whole = bonded_pairs(numbers, positions)
    monkeypatch.setattr(module, "MOST_ATOMS_IN_PAIRS", 0)
    np.testing.assert_array_equal(bonded_pairs(numbers, positions), whole)
    assert len(whole) > 100


def test_what_is_denser_than_matter_is_refused_before_it_fills_the_memory():
    blob = Molecule([6] * 3000, scattered(3000, 3.0))
    with pytest.raises(InputError, match="too densely"):
        bonded_pairs(blob.numbers, blob.positions)
    found = perceive(blob)
    assert (found.reason, "3,000 atoms" in found.detail) == (VALENCE, True)


HUGE = """
import resource, sys, time
import numpy as np
from atomweave.chemistry.gspherenet_checker import check_many
from atomweave.chemistry.radii import bonded_pairs
from atomweave.evaluation.stability import stability
from atomweave.molecule import Molecule
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for n_atoms, edge in ((10_000, 46.0), (10_000, 14.0), (3_000, 2.0)):
    rng = np.random.default_rng(0)
    molecule = Molecule(rng.choice([1, 6, 7, 8], n_atoms), rng.uniform(0, edge, (n_atoms, 3)))
    if edge > 2:  # the last is a blob, whose bonds are refused; it has stable atoms, or none, nevertheless
        assert len(bonded_pairs(molecule.numbers, molecule.positions)) > 1_000
    assert stability([molecule]).n_atoms.tolist() == [n_atoms]
    assert not check_many([molecule])[0].valid
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_ten_thousand_atoms_take_little_memory_and_time():
    start = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=True).stdout
    assert int(said) < 300_000  # kB; all pairs in one array of float64 would be 2,400,000
    assert time.perf_counter() - start < 30  # 2 s on an idle machine
