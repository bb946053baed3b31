from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from atomweave.chemistry.minimiser import SOFTEST, STIFFNESS, minimise, model_hessian
from reference import worked_molecules as worked

CENTRE = np.array([[1.0, -2.0, 0.5], [0.0, 0.3, 0.0]])
SPRINGS = np.diag([1.0, 4.0, 30.0, 2.0, 0.5, 9.0])


def bowl(positions):
    away = (positions - CENTRE).ravel()
    return float(away @ SPRINGS @ away) / 2, (SPRINGS @ away).reshape(-1, 3)


def test_a_bowl_with_its_own_hessian_takes_one_step():
    end = minimise(bowl, CENTRE + 0.05, SPRINGS, 1e-9)
    assert end.n_energies == 2
    np.testing.assert_allclose(end.positions, CENTRE, atol=1e-12)


@pytest.mark.parametrize("guess", [0.1, 1.0, 100.0])
def test_a_bowl_is_found_from_any_guess_of_the_hessian(guess):
    end = minimise(bowl, CENTRE + 1, guess * np.eye(6), 1e-6, max_energies=500)
    np.testing.assert_allclose(end.positions, CENTRE, atol=1e-5)
    assert end.largest_force <= 1e-6
    assert end.energy == pytest.approx(0, abs=1e-10)


def test_no_atom_goes_farther_than_a_step():
    asked = []

    def watched(positions):
        asked.append(positions)
        return bowl(positions)

    minimise(watched, CENTRE + 2, 1e-3 * np.eye(6), 1e-4, max_step=0.2)
    lengths = [np.linalg.norm(b - a, axis=1).max() for a, b in pairwise(asked)]
    assert max(lengths) == pytest.approx(0.2)


def test_a_walk_stays_in_its_own_basin():
    """A double well: from the right of the ridge at 0 the minimum at +1 is nearest, however soft the guess."""

    def wells(positions):
        x = positions[0, 0]
        gradient = np.zeros_like(positions)
        gradient[0, 0] = 4 * x * (x * x - 1)
        return float((x * x - 1) ** 2), gradient

    end = minimise(wells, np.array([[0.1, 0, 0]]), 0.01 * np.eye(3), 1e-6)
    assert end.positions[0, 0] == pytest.approx(1, abs=1e-5)


def test_where_there_is_no_energy_steps_are_shorter():
    def wall(positions):
        return None if positions[0, 0] < 0.9 else bowl(positions)

    end = minimise(wall, CENTRE + np.array([[0.2, 0, 0], [0, 0, 0]]), 0.1 * SPRINGS, 1e-8)
    np.testing.assert_allclose(end.positions, CENTRE, atol=1e-7)


def test_a_start_without_energy_has_no_minimum():
    assert minimise(lambda positions: None, CENTRE, SPRINGS) is None


def test_energies_are_counted_and_limited():
    end = minimise(bowl, CENTRE + 5, np.eye(6), 1e-9, max_energies=3)
    assert end.n_energies == 3
    assert end.largest_force > 1


def test_a_force_that_lies_does_not_go_on_for_ever():
    uphill = minimise(lambda positions: (bowl(positions)[0], -bowl(positions)[1]), CENTRE + 1, np.eye(6), 1e-6)
    assert uphill.n_energies < 30
    np.testing.assert_array_equal(uphill.positions, CENTRE + 1)


def test_the_guess_has_one_stiff_motion_for_two_atoms():
    bonded = np.array([[0, 0, 0], [0, 0, 1.36]])  # the sum of two carbon radii
    stiffness = np.linalg.eigvalsh(model_hessian(np.array([6, 6]), bonded))
    np.testing.assert_allclose(stiffness, [SOFTEST] * 5 + [SOFTEST + 2 * STIFFNESS])


@pytest.mark.parametrize("make", [worked.water, worked.methane, worked.benzene, worked.carbon_dioxide])
def test_the_guess_is_positive_and_knows_no_direction_in_space(make):
    molecule = make()
    n_atoms = len(molecule)
    hessian = model_hessian(molecule.numbers, molecule.positions)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert np.linalg.eigvalsh(hessian).min() >= SOFTEST - 1e-9
    shift = np.tile([0.3, -1.0, 2.0], n_atoms)
    spin = np.cross([0.5, 1.0, -0.2], molecule.positions).ravel()
    for free in (shift, spin):
        np.testing.assert_allclose(hessian @ free, SOFTEST * free, atol=1e-10)
