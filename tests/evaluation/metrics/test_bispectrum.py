from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y
from sympy.physics.wigner import wigner_3j

from atomweave.evaluation.metrics.bispectrum import CHIRAL, PSEUDOSCALAR, SECTORS, bispectra
from reference.worked_molecules import TETRAHEDRON

NAMES = ["".join(map(str, degrees)) for degrees in SECTORS]
LINE = np.array([[0, 0, 1.0], [0, 0, -1]])
SQUARE = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
OCTAHEDRON = np.vstack([SQUARE, LINE])
RNG = np.random.default_rng(0)
SOME = [RNG.normal(size=(n, 3)) for n in (1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 6, 7)]


def one(directions: np.ndarray) -> np.ndarray:
    return bispectra(directions, np.array([0, len(directions)]))[0]


def named(directions: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, one(directions), strict=True))


def by_complex_harmonics(directions: np.ndarray) -> np.ndarray:
    """The absolute components, by another library's complex harmonics and another's 3j symbols."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    polar, azimuth = np.arccos(unit[:, 2]), np.arctan2(unit[:, 1], unit[:, 0])

    def x(l: int, m: int) -> complex:
        return complex(sph_harm_y(l, m, polar, azimuth).sum()) / math.sqrt(4 * math.pi)

    found = []
    for l1, l2, l3 in SECTORS:
        n_orders = {1: 1, 2: 3, 3: 6}[len({l1, l2, l3})]
        total = 0j
        for m1, m2 in product(range(-l1, l1 + 1), range(-l2, l2 + 1)):
            if abs(m1 + m2) <= l3:
                weight = float(wigner_3j(l1, l2, l3, m1, m2, -m1 - m2))
                total += weight * x(l1, m1) * x(l2, m2) * x(l3, -m1 - m2)
        found.append(math.sqrt(n_orders) * abs(total))
    return np.array(found)


@pytest.mark.parametrize("directions", [*SOME, TETRAHEDRON, LINE, SQUARE, OCTAHEDRON, CHIRAL], ids=str)
def test_a_second_derivation_agrees(directions):
    np.testing.assert_allclose(np.abs(one(directions)), by_complex_harmonics(directions), atol=1e-12)


def test_published_values_of_one_neighbour():
    found = named(RNG.normal(size=(1, 3)))
    published = {"000": 5.04e-4, "011": 1.51e-3, "022": 1.95e-3, "033": 2.31e-3, "044": 2.62e-3, "112": 2.14e-3,
                 "444": 1.83e-3}  # fmt: skip
    for name, value in published.items():
        assert found[name] == pytest.approx(value, abs=0.006e-3)
    assert all(found[name] > 0 for name in NAMES[:PSEUDOSCALAR])  # the convention of the signs
    assert found["234"] == pytest.approx(0, abs=1e-15)


def test_published_values_of_the_tetrahedron():
    found = named(TETRAHEDRON)
    published = {"000": 0.03225, "033": 0.08211, "044": 0.04345, "334": 0.08169, "444": 0.01831}
    for name, value in found.items():
        assert abs(value) == pytest.approx(published.get(name, 0), abs=5.1e-6)


def test_a_line_doubles_even_degrees_and_cancels_odd_ones():
    single, line = named(LINE[:1]), named(LINE)
    for name in NAMES:
        even = all(int(degree) % 2 == 0 for degree in name)
        assert line[name] == pytest.approx(8 * single[name] if even else 0, abs=1e-15)


@pytest.mark.parametrize(
    ("directions", "sums"),
    [
        # Sums of P_l over ordered pairs by hand: for the square 4 pairs at 0 degrees, 8 at 90, 4 at 180; for the
        # octahedron 6, 24, 6; P_2 = 1, -1/2, 1, P_4 = 1, 3/8, 1, odd degrees 1, 0, -1.
        (SQUARE, {0: 16, 1: 0, 2: 4, 3: 0, 4: 11}),
        (OCTAHEDRON, {0: 36, 1: 0, 2: 0, 3: 0, 4: 21}),
    ],
    ids=["square", "octahedron"],
)
def test_square_and_octahedron_by_hand(directions, sums):
    # b_0ll = sqrt(3) x_0 |x_l|^2 / sqrt(2 l + 1), |x_l|^2 = (2 l + 1) sum P_l / (4 pi)^2, x_0 = n / (4 pi)
    found = named(directions)
    for l in range(5):
        orders = math.sqrt(3) if l else 1.0
        expected = orders * len(directions) * math.sqrt(2 * l + 1) * sums[l] / (4 * math.pi) ** 3
        assert found[f"0{l}{l}"] == pytest.approx(expected, abs=1e-14)
    for name in ("112", "123", "134", "233", "334", "234"):  # inversion leaves no odd degree
        assert found[name] == pytest.approx(0, abs=1e-15)


def test_turning_changes_nothing():
    for directions in [*SOME, TETRAHEDRON, OCTAHEDRON]:
        for turn in Rotation.random(5, rng=1).as_matrix():
            np.testing.assert_allclose(
                one(directions @ turn.T), one(directions), atol=1e-10 * np.abs(one(directions)).max()
            )


def test_reflection_turns_the_pseudoscalar_alone():
    assert one(CHIRAL)[PSEUDOSCALAR] > 1e-3  # the convention of the sign, far from zero
    for directions in [CHIRAL, *SOME]:
        expected = one(directions)
        expected[PSEUDOSCALAR] *= -1
        np.testing.assert_allclose(one(directions * [1, 1, -1]), expected, atol=1e-13)
        np.testing.assert_allclose(one(-directions), expected, atol=1e-13)


def test_lengths_and_order_of_neighbours_play_no_part():
    for directions in SOME:
        stretched = directions * RNG.uniform(0.1, 10, (len(directions), 1))
        np.testing.assert_allclose(one(stretched[::-1]), one(directions), atol=1e-13)


def test_many_environments_at_once_are_each_alone(monkeypatch):
    monkeypatch.setattr("atomweave.evaluation.metrics.bispectrum._AT_ONCE", 5)
    none = np.zeros((0, 3))
    environments = [none, *SOME[:6], none, none, *SOME[6:], none]
    offsets = np.cumsum([0, *map(len, environments)])
    found = bispectra(np.concatenate(environments), offsets)
    for row, directions in zip(found, environments, strict=True):
        np.testing.assert_allclose(row, one(directions) if len(directions) else np.zeros(15), atol=1e-15)


def test_no_environments():
    assert bispectra(np.zeros((0, 3)), np.array([0])).shape == (0, 15)
    assert not bispectra(np.zeros((0, 3)), np.array([0, 0, 0])).any()
