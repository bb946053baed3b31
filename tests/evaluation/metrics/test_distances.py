from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from atomweave.evaluation.histogram import Histogram
from atomweave.evaluation.metrics.distances import circular_wasserstein, n_draws, wasserstein

samples = st.lists(st.integers(-359, 360), min_size=1, max_size=12)


def transported(x: np.ndarray, y: np.ndarray, cost: np.ndarray) -> float:
    """Least cost of carrying one sample to the other, as a linear programme; `cost` is (n_x, n_y)."""
    n_x, n_y = cost.shape
    leaves = np.kron(np.eye(n_x), np.ones(n_y))
    arrives = np.kron(np.ones(n_x), np.eye(n_y))
    goals = np.concatenate([np.full(n_x, 1 / n_x), np.full(n_y, 1 / n_y)])
    found = linprog(cost.ravel(), A_eq=np.vstack([leaves, arrives]), b_eq=goals, method="highs")
    assert found.success
    return float(found.fun)


@given(samples, samples)
def test_on_the_line_scipy_says_the_same(x, y):
    x, y = Histogram.of(0.1 * np.array(x), 0.1), Histogram.of(0.1 * np.array(y), 0.1)
    expected = wasserstein_distance(x.values, y.values, x.counts, y.counts)
    assert wasserstein(x, y) == pytest.approx(expected, abs=1e-9)


def test_bond_lengths_scipy_says_the_same():
    rng = np.random.default_rng(0)
    x, y = Histogram.of(rng.normal(1.09, 0.01, 5000), 1e-4), Histogram.of(rng.normal(1.1, 0.02, 90_000), 1e-4)
    assert wasserstein(x, y) == pytest.approx(wasserstein_distance(x.values, y.values, x.counts, y.counts), rel=1e-9)


def test_on_the_line_worked_by_hand():
    """Half of the values move by 0.2 Å, half stay."""
    x, y = Histogram.of(np.array([1.0, 1.5]), 1e-4), Histogram.of(np.array([1.0, 1.0, 1.7, 1.7]), 1e-4)
    assert wasserstein(x, y) == pytest.approx(0.1)
    assert wasserstein(y, x) == pytest.approx(0.1)
    assert wasserstein(x, x) == 0


def test_the_distance_of_draws_tells_how_many_they_were():
    rng = np.random.default_rng(0)
    whole = Histogram.of(np.concatenate([rng.normal(1.4, 0.01, 30_000), rng.normal(1.5, 0.03, 70_000)]), 1e-4)
    for n in (50, 1_000):
        distance = np.mean([wasserstein(Histogram.of(whole.draw(n, rng), 1e-4), whole) for _ in range(200)])
        assert n_draws(whole, float(distance)) == pytest.approx(n, rel=0.2)  # twice the error of the mean distance
    assert n_draws(whole, 1e9) == 1
    assert n_draws(whole, 0.0) == len(whole)


@given(samples, samples)
def test_on_the_circle_transport_says_the_same(x, y):
    x, y = 0.5 * np.array(x), 0.5 * np.array(y)
    apart = np.abs(x[:, None] - y[None, :])
    expected = transported(x, y, np.minimum(apart, 360 - apart))
    assert circular_wasserstein(Histogram.of(x, 0.5), Histogram.of(y, 0.5)) == pytest.approx(expected, abs=1e-6)


def test_on_the_circle_worked_by_hand():
    def apart(first: list[float], second: list[float]) -> float:
        return circular_wasserstein(Histogram.of(np.array(first), 0.5), Histogram.of(np.array(second), 0.5))

    assert apart([170], [-170]) == pytest.approx(20)
    assert apart([0], [180]) == pytest.approx(180)
    assert apart([180], [-180]) == 0  # one place
    assert apart([180], [-179.9]) == 0  # to the nearest bin
    assert apart([60, 180, -60], [0, 120, -120]) == pytest.approx(60)  # staggered against eclipsed
    assert apart([90, 90], [0, 180]) == pytest.approx(90)


def test_the_circle_knows_no_beginning():
    rng = np.random.default_rng(0)
    x, y = rng.integers(-100, 100, 50) * 0.5, rng.integers(-360, 360, 80) * 0.5
    found = [
        circular_wasserstein(Histogram.of(x + turn, 0.5), Histogram.of(y + turn, 0.5)) for turn in (0, 77.5, 180, -350)
    ]
    assert found == pytest.approx([found[0]] * 4)
    assert found[0] <= wasserstein(Histogram.of(x, 0.5), Histogram.of(y, 0.5))
