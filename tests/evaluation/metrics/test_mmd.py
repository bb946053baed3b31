"""Both papers' discrepancies against double loops, and where their values are known on paper."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.histogram import Histogram
from atomweave.evaluation.metrics.mmd import GAMMAS, gspherenet_mmd, on_grid, thesis_mmd

AGREES = 1e-4  # relative; what `thesis_mmd` promises


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((x.reshape(len(x), 1, -1) - y.reshape(1, len(y), -1)) ** 2).sum(-1)


def literal_thesis(x: np.ndarray, y: np.ndarray) -> float:
    """The formula as it stands: every pair, every kernel, absolute values."""
    xx, yy, xy = squared_distances(x, x), squared_distances(y, y), squared_distances(x, y)
    return np.sqrt(
        sum(
            abs(np.exp(-gamma * xx).mean() + np.exp(-gamma * yy).mean() - 2 * np.exp(-gamma * xy).mean())
            for gamma in np.logspace(-3, 3, 30)
        )
    )


def literal_gspherenet(x: np.ndarray, y: np.ndarray) -> float:
    pooled = np.concatenate([x, y])
    n = len(pooled)
    bandwidth = squared_distances(pooled, pooled).sum() / (n * n - n) / 4
    kernel = sum(np.exp(-squared_distances(pooled, pooled) / (bandwidth * 2**i)) for i in range(5))
    m = len(x)
    return float(kernel[:m, :m].mean() + kernel[m:, m:].mean() - 2 * kernel[:m, m:].mean())


def samples(spread: float, shift: float, shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(1.0, spread, (900, *shape)), rng.normal(1.0 + shift, 1.2 * spread, (2000, *shape))


def test_the_kernels_are_the_thirty_of_the_thesis():
    assert len(GAMMAS) == 30
    assert GAMMAS[[0, -1]] == pytest.approx([1e-3, 1e3])
    assert np.diff(np.log10(GAMMAS)) == pytest.approx(6 / 29)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("spread", [0.003, 0.03, 0.3, 30.0])
@pytest.mark.parametrize("shape", [(), (1,), (15,)])
def test_thesis_agrees_with_a_double_loop_over_the_same_draws(spread, shift, shape):
    x, y = samples(spread, shift, shape)
    mean, values = thesis_mmd(x, y, np.random.default_rng(5), draws=250, repeats=3)
    rng = np.random.default_rng(5)
    expected = [literal_thesis(x[rng.integers(len(x), size=250)], y[rng.integers(len(y), size=250)]) for _ in range(3)]
    assert values == pytest.approx(expected, rel=AGREES)
    assert mean == pytest.approx(np.mean(expected), rel=AGREES)


def test_steps_of_the_table_are_not_biased():
    """Among many pairs the steps of the table average out, for its values stand for the middle of each.

    Narrow samples show it: the square of the MMD is then proportional to d^2.
    """
    x, y = samples(0.003, 0.01, (15,))
    _, values = thesis_mmd(x, y, np.random.default_rng(5), draws=1000, repeats=1)
    rng = np.random.default_rng(5)
    expected = literal_thesis(x[rng.integers(len(x), size=1000)], y[rng.integers(len(y), size=1000)])
    assert values == pytest.approx([expected], rel=1e-6)


def test_thesis_agrees_with_a_double_loop_between_equal_distributions():
    """The hardest case: the value is the small difference of large sums."""
    rng = np.random.default_rng(0)
    for shape in [(), (15,)]:
        x, y = rng.normal(1, 0.006, (2, 3000, *shape))
        _, values = thesis_mmd(x, y, np.random.default_rng(1), draws=400, repeats=3)
        again = np.random.default_rng(1)
        expected = [
            literal_thesis(x[again.integers(3000, size=400)], y[again.integers(3000, size=400)]) for _ in range(3)
        ]
        assert values == pytest.approx(expected, rel=AGREES)


def test_thesis_of_two_points_worked_by_hand():
    """Two points at distance d: each kernel gives 1 + 1 - 2 exp(-gamma d^2)."""
    for distance in (0.05, 0.7, 40.0, 400.0):  # the last is too far for the grid
        expected = np.sqrt(np.sum(2 - 2 * np.exp(-np.logspace(-3, 3, 30) * distance**2)))
        for points in (np.zeros(4), np.zeros((4, 3))):
            shifted = points + distance / np.sqrt(points[0].size)
            mean, values = thesis_mmd(points, shifted, np.random.default_rng(0), repeats=2)
            assert mean == pytest.approx(expected, rel=AGREES)
            assert values == pytest.approx(expected, rel=AGREES)


def test_thesis_of_points_that_are_all_alike_is_nothing():
    for points in (np.full(7, 1.09), np.full((7, 15), 0.3)):
        assert thesis_mmd(points, points[:3], np.random.default_rng(0))[0] == 0


def test_thesis_floor_is_what_statistics_say():
    """Between equal distributions the mean square is (K(0) - mean K) (1 / n + 1 / m)."""
    x = np.random.default_rng(0).normal(1.5, 0.05, 4000)
    pairs = squared_distances(x[:2000], x[2000:])
    kernel = sum(np.exp(-gamma * pairs).mean() for gamma in GAMMAS)
    _, values = thesis_mmd(x, x, np.random.default_rng(1), draws=1000, repeats=300)
    assert np.mean(values**2) == pytest.approx((30 - kernel) * 2 / 1000, rel=0.15)  # 300 heavy-tailed squares


def test_a_seed_decides_every_draw():
    x, y = samples(0.1, 0.1, ())
    first = thesis_mmd(x, y, np.random.default_rng(3))
    assert np.array_equal(first[1], thesis_mmd(x, y, np.random.default_rng(3))[1])
    assert not np.array_equal(first[1], thesis_mmd(x, y, np.random.default_rng(4))[1])
    assert len(first[1]) == 10


@pytest.mark.parametrize("shift", [0.0, 0.002, 0.1, 3.0])
def test_gspherenet_agrees_with_a_double_loop(shift):
    rng = np.random.default_rng(0)
    x, y = rng.normal(1.5, 0.05, 300), rng.normal(1.5 + shift, 0.08, 500)
    x, y = np.rint(x / 1e-4) * 1e-4, np.rint(y / 1e-4) * 1e-4
    found = gspherenet_mmd(Histogram.of(x, 1e-4), Histogram.of(y, 1e-4))
    assert found == pytest.approx(literal_gspherenet(x, y), rel=1e-9)


def test_gspherenet_of_two_points_worked_by_hand():
    """Pooled 0, 1: B = 2 / (4 - 2) = 1, so the value is the sum of 2 - 2 exp(-4 / 2^i)."""
    found = gspherenet_mmd(Histogram.of(np.zeros(1), 1e-3), Histogram.of(np.ones(1), 1e-3))
    assert found == pytest.approx(sum(2 - 2 * np.exp(-4 / 2**i) for i in range(5)), rel=1e-12)


def test_gspherenet_does_not_depend_on_the_scale():
    x, y = samples(0.05, 0.04, ())
    fine = gspherenet_mmd(Histogram.of(x, 1e-4), Histogram.of(y, 1e-4))
    assert gspherenet_mmd(Histogram.of(100 * x, 1e-2), Histogram.of(100 * y, 1e-2)) == pytest.approx(fine, rel=1e-9)


def test_gspherenet_of_points_that_are_all_alike_is_nothing():
    alike = Histogram.of(np.full(5, 1.1), 1e-4)
    assert gspherenet_mmd(alike, alike) == 0


def test_a_product_on_the_grid_is_a_double_sum():
    rng = np.random.default_rng(0)
    for n_bins in (1, 2, 3, 17):
        weights, kernel = rng.normal(size=(4, n_bins)), rng.normal(size=n_bins)
        table = kernel[np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins)))]
        assert on_grid(weights, kernel) == pytest.approx(np.einsum("si,sj,ij->s", weights, weights, table))
