from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atomweave.evaluation.metrics.superposition import best_fit_rmsd
from reference import worked_molecules as worked


@pytest.mark.parametrize("make", [worked.water, worked.methane, worked.benzene, worked.carbon_dioxide, worked.garbage])
def test_turned_and_shifted_is_the_same(make):
    positions = make().positions
    turned = positions @ Rotation.from_rotvec([0.3, -1.1, 2.0]).as_matrix() + [10, -4, 2]
    assert best_fit_rmsd(positions, turned) == pytest.approx(0, abs=1e-7)


def test_a_stretched_pair_moves_each_end_by_half():
    short, long = np.array([[0, 0, 0], [1.0, 0, 0]]), np.array([[5, 5, 5], [5, 5, 6.2]])
    assert best_fit_rmsd(short, long) == pytest.approx(0.1)


def test_a_mirror_image_is_another_geometry():
    corners = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [0, 0, 0]])
    assert best_fit_rmsd(corners, corners * [-1, 1, 1]) > 0.5


def test_one_atom_always_fits():
    assert best_fit_rmsd(np.zeros((1, 3)), np.ones((1, 3))) == 0


@pytest.mark.parametrize("n_atoms", [3, 4, 9, 29])
def test_as_scipy_fits(n_atoms):
    first, second = np.random.default_rng(n_atoms).normal(size=(2, n_atoms, 3))
    _, root_sum = Rotation.align_vectors(second - second.mean(0), first - first.mean(0))
    assert best_fit_rmsd(first, second) == pytest.approx(root_sum / np.sqrt(n_atoms), abs=1e-7)
