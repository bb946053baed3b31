from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomweave.evaluation.histogram import Histogram, aligned


def test_values_are_rounded_to_the_nearest_bin_and_counted():
    found = Histogram.of(np.array([1.04, 0.96, 1.06, -0.2, 1.0]), 0.1)
    assert found.bins.tolist() == [-2, 10, 11]
    assert found.counts.tolist() == [1, 3, 1]
    assert found.values == pytest.approx([-0.2, 1.0, 1.1])
    assert len(found) == 5


@given(st.lists(st.integers(-40_000, 40_000), max_size=60), st.sampled_from([1e-4, 0.1, 0.5]))
def test_packing_loses_nothing(bins, width):
    found = Histogram.of(np.array(bins) * width, width)
    packed = found.packed
    assert packed.dtype == np.int32
    again = Histogram.unpack(packed, width)
    assert np.repeat(again.bins, again.counts).tolist() == sorted(bins)
    assert again.width == width
    assert again.bins.dtype == found.bins.dtype
    assert again.counts.dtype == found.counts.dtype


def test_an_empty_histogram_is_empty():
    empty = Histogram.of(np.zeros(0), 0.1)
    assert len(empty) == 0
    assert empty.packed.shape == (2, 0)
    assert len(Histogram.unpack(empty.packed, 0.1)) == 0


def test_draws_follow_the_counts():
    found = Histogram.of(np.repeat([1.0, 2.0, 4.0], [10, 30, 60]), 1.0)
    drawn = found.draw(20_000, np.random.default_rng(0))
    assert drawn.shape == (20_000,)
    shares = [np.mean(drawn == value) for value in (1.0, 2.0, 4.0)]
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.015)  # four standard deviations
    assert np.array_equal(drawn, found.draw(20_000, np.random.default_rng(0)))


def test_aligned_histograms_share_their_bins():
    first, second = Histogram.of(np.array([2.0, 2.0, 4.0]), 1.0), Histogram.of(np.array([-1.0, 3.0]), 1.0)
    of_first, of_second = aligned(first, second)
    assert of_first.tolist() == [0, 0, 0, 2, 0, 1]  # from -1 to 4
    assert of_second.tolist() == [1, 0, 0, 0, 1, 0]
