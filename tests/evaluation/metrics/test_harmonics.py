from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sympy.physics.wigner import wigner_3j

from atomweave.evaluation.metrics.harmonics import coupling, harmonics

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(200, 3))


def test_the_first_ones_are_those_of_the_textbook():
    x, y, z = (POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)).T
    found = harmonics(POINTS, 2)
    by_hand = [
        np.full(len(x), 0.5 * np.sqrt(1 / np.pi)),
        *(np.sqrt(3 / (4 * np.pi)) * axis for axis in (y, z, x)),
        *(0.5 * np.sqrt(15 / np.pi) * pair for pair in (x * y, y * z)),
        0.25 * np.sqrt(5 / np.pi) * (3 * z * z - 1),
        0.5 * np.sqrt(15 / np.pi) * x * z,
        0.25 * np.sqrt(15 / np.pi) * (x * x - y * y),
    ]
    np.testing.assert_allclose(found, np.column_stack(by_hand), atol=1e-14)


def test_the_addition_theorem_holds():
    first, second = harmonics(POINTS[:100], 6), harmonics(POINTS[100:], 6)
    unit = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    cosine = np.einsum("ij,ij->i", unit[:100], unit[100:])
    for l in range(7):
        degree = slice(l * l, (l + 1) ** 2)
        legendre = np.polynomial.legendre.legval(cosine, np.eye(7)[l])
        found = np.einsum("ij,ij->i", first[:, degree], second[:, degree])
        np.testing.assert_allclose(found, (2 * l + 1) / (4 * np.pi) * legendre, atol=1e-13)


@pytest.mark.parametrize(
    "degrees",
    [(0, 0, 0), (0, 2, 2), (1, 1, 2), (1, 2, 3), (2, 2, 2), (1, 1, 1), (2, 2, 3), (2, 3, 4), (4, 3, 2), (4, 4, 4)],
    ids=str,
)
def test_couplings_are_invariant_and_of_unit_norm(degrees):
    tensor = coupling(*degrees)
    assert np.linalg.norm(tensor) == pytest.approx(1)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    values = []
    for points in (POINTS[:3], POINTS[:3] @ turn.T):
        found = harmonics(points, 4)
        parts = [found[place, l * l : (l + 1) ** 2] for place, l in enumerate(degrees)]
        values.append(np.einsum("abc,a,b,c->", tensor, *parts))
    assert abs(values[0]) > 1e-4
    assert values[0] == pytest.approx(values[1], abs=1e-13)


@pytest.mark.parametrize("degrees", [(1, 1, 2), (2, 2, 4), (1, 3, 4), (4, 4, 4)], ids=str)
def test_the_middle_entry_is_the_3j_symbol(degrees):
    middle = abs(coupling(*degrees)[degrees])
    assert middle == pytest.approx(abs(float(wigner_3j(*degrees, 0, 0, 0))), abs=1e-14)


@pytest.mark.parametrize("degrees", [(0, 0, 1), (1, 1, 4), (0, 1, 2)], ids=str)
def test_degrees_that_do_not_couple_are_refused(degrees):
    with pytest.raises(ValueError, match="no coupling"):
        coupling(*degrees)
