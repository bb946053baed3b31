from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.intervals import clustered_wilson, wilson

KNOWN = [  # successes, trials, bounds: R. G. Newcombe, Statistics in Medicine 17, 857 (1998), table I, method 3
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("successes", "trials", "low", "high"), KNOWN)
def test_wilson_against_known_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric():
    low, high = wilson(8350, 10000)
    assert wilson(1650, 10000) == pytest.approx((1 - high, 1 - low))
    assert wilson(10, 10)[1] == 1.0


def test_wilson_knows_nothing_of_no_trials():
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.binomial(200, 0.9, 4000)
    covered = np.mean([low <= 0.9 <= high for low, high in (wilson(int(k), 200) for k in draws)])
    assert 0.93 < covered < 0.97


def test_clusters_of_one_are_single_trials():
    successes = np.array([1] * 70 + [0] * 30)
    # The variance divides by n - 1, hence the small difference.
    assert clustered_wilson(successes, np.ones(100)) == pytest.approx(wilson(70, 100), abs=1e-3)


def test_atoms_that_fail_together_count_as_one():
    together = np.array([20] * 70 + [0] * 30)
    assert clustered_wilson(together, np.full(100, 20)) == pytest.approx(wilson(70, 100), abs=1e-3)


def test_a_perfect_sample_is_as_sure_as_its_clusters():
    assert clustered_wilson(np.full(50, 18), np.full(50, 18)) == wilson(50, 50)


def test_clustered_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(1000):
        sizes = rng.integers(5, 25, 150)
        broken = rng.random(150) < 0.3
        successes = np.where(broken, rng.binomial(sizes, 0.5), sizes)
        low, high = clustered_wilson(successes, sizes)
        covered.append(low <= 0.85 <= high)
    assert 0.92 < np.mean(covered) < 0.98
