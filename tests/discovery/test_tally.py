from __future__ import annotations

import json

import numpy as np
import pytest

from atomweave.discovery.objective import Objective
from atomweave.discovery.tally import share_of_attempts, tally
from atomweave.evaluation.intervals import wilson

GAP = Objective("gap", "minimize", 4.5)
NAN = float("nan")


def test_figures_by_hand():
    found = tally("set", 10, 8, [3, 5, 1, 7], [4.0, NAN, 5.0, 3.0], ["", "radical", "", ""], GAP)
    assert (found.drawn, found.scored, found.good) == (4, 3, 2)
    assert found.mean == pytest.approx(4.0)
    assert (found.best, found.best_index) == (3.0, 7)
    assert found.good_of_valid == 0.5
    assert found.good_of_valid_interval == wilson(2, 4)
    assert found.good_of_attempts == pytest.approx(0.4)
    assert found.failures == {"radical": 1}


def test_what_has_no_value_counts_as_not_good_and_not_in_the_mean():
    closed = tally("set", 4, 4, [0, 1], [4.0, 4.2], ["", ""], GAP)
    with_radicals = tally("set", 4, 4, [0, 1, 2, 3], [4.0, 4.2, NAN, NAN], ["", "", "radical", "radical"], GAP)
    assert (closed.good_of_valid, with_radicals.good_of_valid) == (1.0, 0.5)
    assert closed.mean == with_radicals.mean


def test_the_best_of_a_maximum_is_the_largest():
    alpha = Objective("polarizability", "maximize", 91.0)
    found = tally("set", 3, 3, [0, 1, 2], [90.0, 95.0, 92.0], [""] * 3, alpha)
    assert (found.best, found.best_index, found.good) == (95.0, 1, 2)


@pytest.mark.parametrize(("attempts", "valid"), [(0, 0), (5, 0)])
def test_nothing_valid_is_no_crash_and_no_nan_in_json(attempts, valid):
    found = tally("set", attempts, valid, [], [], [], GAP)
    assert found.best_index == -1
    json.dumps(found.as_dict(), allow_nan=False)
    assert found.as_dict()["mean"] is None


@pytest.mark.parametrize(("good", "valid", "attempts"), [(5, 40, 50), (0, 40, 50), (40, 40, 50), (50, 50, 50)])
def test_with_all_valid_ones_looked_at_the_interval_is_wilsons(good, valid, attempts):
    share, interval = share_of_attempts(good, valid, valid, attempts)
    assert share == pytest.approx(good / attempts)
    assert interval == pytest.approx(wilson(good, attempts), abs=1e-12)


def test_fewer_looked_at_tell_less():
    widths = [np.diff(share_of_attempts(n // 2, n, 800, 1000)[1])[0] for n in (20, 100, 400, 800)]
    assert widths == sorted(widths, reverse=True)


def test_the_interval_of_a_part_covers_the_truth_as_often_as_it_says():
    rng, truth, covered, n_runs = np.random.default_rng(0), 0.9 * 0.6, 0, 1000
    for _ in range(n_runs):
        valid = rng.binomial(500, 0.9)
        low, high = share_of_attempts(int(rng.binomial(60, 0.6)), 60, int(valid), 500)[1]
        covered += low <= truth <= high
    assert 0.93 < covered / n_runs < 0.97
