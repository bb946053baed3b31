from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.bootstrap import percentile_interval


def test_a_mean_has_the_interval_of_its_normal_law():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = percentile_interval(values, np.mean)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = 0
    for seed in range(200):
        low, high = percentile_interval(rng.exponential(1, 60), np.median, seed, 200)
        held += low <= np.log(2) <= high
    assert 0.89 <= held / 200 <= 0.99


def test_what_belongs_to_one_molecule_is_drawn_together():
    """Two molecules, one of 99 bonds that changed by 1 Å and one of 1 that did not: pooled means of 1, 0.99 or 0."""
    rows = np.array([[99.0, 99.0], [0.0, 1.0]])
    assert percentile_interval(rows, lambda rows: rows[:, 0].sum() / rows[:, 1].sum()) == (0, 1)


def test_equal_values_have_no_width_and_few_values_no_interval():
    assert percentile_interval(np.ones(5), np.median) == (1, 1)
    assert percentile_interval(np.ones(1), np.median) is None
    assert percentile_interval(np.zeros(0), np.median) is None


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(size=30)
    assert percentile_interval(values, np.mean, 7) == percentile_interval(values, np.mean, 7)
    assert percentile_interval(values, np.mean, 7) != percentile_interval(values, np.mean, 8)
