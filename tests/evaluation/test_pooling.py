from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.evaluation.intervals import clustered_wilson, wilson
from atomweave.evaluation.measure import Measure, Spread, number, share
from atomweave.evaluation.metric import Result
from atomweave.evaluation.pooling import over_files, pooled


def test_a_share_is_that_of_all_trials_with_their_interval_and_the_spread_over_files():
    found = over_files([share("valid", "valid", k, n, "attempts") for k, n in ((80, 100), (150, 200), (270, 300))])
    assert (found.count, found.total) == (500, 600)
    assert found.value == pytest.approx(500 / 600)
    assert found.interval == wilson(500, 600)
    assert found.spread is not None
    assert found.spread.deviation == pytest.approx(np.std([0.8, 0.75, 0.9], ddof=1))
    assert (found.spread.mean, found.spread.n_parts) == (pytest.approx(0.81667, abs=1e-5), 3)
    assert found.interval_text == "80.14 – 86.10, ± 7.64"


def test_files_of_equal_size_have_the_mean_as_their_share():
    found = over_files([share("valid", "valid", k, 50, "attempts") for k in (10, 20, 40)])
    assert found.value == pytest.approx(np.mean([0.2, 0.4, 0.8]))


def test_uniqueness_is_the_mean_since_it_depends_on_the_number_of_molecules():
    ours = [
        share("unique", "unique", k, n, "valid", interval=False, spread=Spread(0.5, 0.1, 10, "blocks"))
        for k, n in ((90, 100), (100, 200))
    ]
    found = over_files(ours)
    assert found.value == pytest.approx(0.7)
    assert found.interval is None
    assert found.spread == Spread(0.7, pytest.approx(np.std([0.9, 0.5], ddof=1)), 2, "files")
    assert found.interval_text == "± 28.28"


def test_intervals_of_clusters_and_of_means_are_joined():
    # Two files of equal size and equal half-width h: the interval of their mean is h / sqrt(2).
    found = over_files(
        [number("size", "size", value, 100, "valid", interval=(value - 0.4, value + 0.2)) for value in (17.0, 18.0)]
    )
    assert found.value == pytest.approx(17.5)
    assert found.interval == pytest.approx((17.5 - 0.4 / math.sqrt(2), 17.5 + 0.2 / math.sqrt(2)))


def test_the_joined_interval_of_clusters_is_that_of_all_clusters():
    rng = np.random.default_rng(0)
    sizes = rng.integers(10, 25, 3000)
    stable = rng.binomial(sizes, rng.beta(9, 1, 3000))
    parts = [slice(0, 1000), slice(1000, 3000)]
    ours = [
        Measure("atom_stable", "stable", stable[part].sum() / sizes[part].sum(), int(stable[part].sum()),
                int(sizes[part].sum()), "atoms", clustered_wilson(stable[part], sizes[part]))
        for part in parts
    ]  # fmt: skip
    found, whole = over_files(ours), clustered_wilson(stable, sizes)
    assert found.value == pytest.approx(stable.sum() / sizes.sum())
    assert found.interval == pytest.approx(whole, abs=1e-4)
    assert found.interval != wilson(found.count, found.total)  # atoms of one molecule are not independent


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        ours = [share("valid", "valid", int(rng.binomial(100, 0.9)), 100, "attempts") for _ in range(3)]
        low, high = over_files(ours).interval or (1, 0)
        covered += low <= 0.9 <= high
    assert 0.92 <= covered / 500 <= 0.98


def test_counts_add_up_and_have_no_spread():
    found = over_files([Measure("attempted", "attempted", n, n, n, "", kind="count") for n in (10, 20)])
    assert (found.value, found.count, found.total, found.spread) == (30, 30, 30, None)


def test_files_without_the_figure_are_left_out():
    ours = [share("novel", "novel", 0, 0, "valid"), share("novel", "novel", 3, 4, "valid")]
    found = over_files(ours)
    assert (found.value, found.interval, found.spread) == (0.75, wilson(3, 4), None)
    nothing = over_files(ours[:1] * 2)
    assert math.isnan(nothing.value)
    assert nothing.value_text == "–"


def test_floors_are_averaged_and_all_notes_are_kept():
    ours = [number("d", "d", 0.2, 9, "bonds", floor=f, note=n) for f, n in ((0.1, "a"), (0.3, "b"), (None, "a"))]
    found = over_files(ours)
    assert (found.floor, found.note) == (pytest.approx(0.2), "a; b")


def test_one_sample_keeps_its_own_figures_and_a_name_counts_once_in_each():
    valid = share("valid", "valid", 1, 2, "attempts")
    result = {"a": Result((valid,)), "b": Result((share("valid", "other", 2, 2, "attempts"),))}
    assert pooled([result]) == {"valid": valid}
    assert pooled([result, result])["valid"].total == 4
