from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atomweave.evaluation.graphs import Graphs
from atomweave.evaluation.metrics import geometry_sketch
from atomweave.evaluation.metrics.geometry_sketch import LENGTH, STEP, difference, sketches, sorted_distances
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def graphs_of(*molecules: Molecule) -> Graphs:
    sample = judged(molecules)
    assert len(sample.valid) == len(molecules)
    return sample.graphs


def distances_of(molecule: Molecule) -> np.ndarray:
    return sorted_distances(molecule.numbers[None], molecule.positions[None])[0]


def test_distances_by_hand():
    """Hydrogen cyanide: H-C 1.065, H-N 2.218, C-N 1.153; two hydrogens of water 2 x 0.96 sin(52.25)."""
    np.testing.assert_allclose(distances_of(worked.hydrogen_cyanide()), [1.065, 2.218, 1.153])
    np.testing.assert_allclose(distances_of(worked.water()), [1.92 * np.sin(np.radians(52.25)), 0.96, 0.96])


@pytest.mark.parametrize("formula", sorted(qm9_molecules()))
def test_neither_place_nor_numbering_nor_mirror_matters(formula):
    molecule = qm9_molecules()[formula]
    order = np.random.default_rng(0).permutation(len(molecule))
    turned = -molecule.positions @ Rotation.from_rotvec([0.4, 2.0, -1.0]).as_matrix() + [3, 2, 1]
    moved = Molecule(molecule.numbers[order], turned[order])
    first, second = sketches(graphs_of(molecule, moved))
    assert difference(first, second) <= STEP / np.sqrt(LENGTH)  # one rounding may fall on the other side


@pytest.mark.parametrize("formula", sorted(name for name, molecule in qm9_molecules().items() if len(molecule) > 9))
@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_the_sketch_estimates_the_difference_of_the_distances(formula, noise):
    molecule = qm9_molecules()[formula]
    rng = np.random.default_rng(len(molecule))
    shaken = Molecule(molecule.numbers, molecule.positions + rng.normal(0, noise, (len(molecule), 3)))
    exact = np.sqrt(((distances_of(molecule) - distances_of(shaken)) ** 2).mean())
    first, second = sketches(Graphs.of([*judged([molecule]).verdicts, *judged([shaken]).verdicts]))
    assert difference(first, second) == pytest.approx(exact, rel=0.8, abs=STEP)


def test_on_average_the_estimate_is_right():
    butane = internal.butane()
    exact, squares = [], []
    for torsion in range(60, 180, 5):
        other = internal.butane(torsion)
        exact.append(((distances_of(butane) - distances_of(other)) ** 2).mean())
        squares.append(difference(*sketches(graphs_of(butane, other))) ** 2)
    assert np.sum(squares) == pytest.approx(np.sum(exact), rel=0.5)


def test_conformers_differ():
    anti, gauche = sketches(graphs_of(internal.butane(180), internal.butane(65)))
    assert difference(anti, gauche) > 0.15


def test_differences_go_the_shorter_way_round():
    first, second = np.array([0, 250, 100, 100] * 2, np.uint8), np.array([252, 2, 100, 104] * 2, np.uint8)
    assert difference(first, second) == pytest.approx(0.01 * np.sqrt((16 + 64 + 0 + 16) / 4))


def test_many_are_as_one():
    molecules = list(qm9_molecules().values())
    together = sketches(graphs_of(*molecules, *molecules))
    alone = np.concatenate([sketches(graphs_of(molecule)) for molecule in molecules])
    np.testing.assert_array_equal(together, np.concatenate([alone, alone]))


def test_small_blocks_give_the_same(monkeypatch):
    molecules = list(qm9_molecules().values()) * 3
    expected = sketches(graphs_of(*molecules))
    monkeypatch.setattr(geometry_sketch, "_PAIRS_AT_ONCE", 1)
    np.testing.assert_array_equal(sketches(graphs_of(*molecules)), expected)


def test_the_sketch_of_water_never_changes():
    """References hold sketches: whoever changes them must raise the references' version."""
    # (± 1.518 ± 0.96 ± 0.96) / sqrt(3) in hundredths of an ångström, modulo 256: ± 23, ± 88 or ± 199.
    assert sketches(graphs_of(worked.water())).tolist() == [[88, 168, 23, 199, 168, 168, 57, 23]]


def test_very_large_molecules_have_empty_sketches(monkeypatch):
    monkeypatch.setattr(geometry_sketch, "LARGEST", 4)
    found = sketches(graphs_of(worked.water(), worked.methane()))
    assert found[0].any()
    assert not found[1].any()


def test_no_molecules_have_no_sketches():
    assert sketches(Graphs.of([])).shape == (0, LENGTH)
