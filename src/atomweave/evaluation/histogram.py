"""A one-dimensional distribution as counts on a fine grid: small enough to ship, exact to the width of a bin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values rounded to multiples of `width`; empty bins are not kept.

    Attributes:
        bins: (n_bins,) int32, ascending; bin b stands for the value b * width.
        counts: (n_bins,) int64, positive.
        width: of a bin, in the unit of the values.
    """

    bins: np.ndarray
    counts: np.ndarray
    width: float

    @classmethod
    def of(cls, values: np.ndarray, width: float) -> Histogram:
        """Round values to the grid and count them; `values` are (n,) and finite."""
        bins, counts = np.unique(np.rint(np.asarray(values) / width).astype(np.int32), return_counts=True)
        return cls(bins, counts.astype(np.int64), width)

    @classmethod
    def unpack(cls, array: np.ndarray, width: float) -> Histogram:
        """Return the histogram that `packed` made (2, n_bins)."""
        return cls(array[0].astype(np.int32), array[1].astype(np.int64), width)

    @property
    def packed(self) -> np.ndarray:
        """Bins and counts as one array for a file; (2, n_bins) int32."""
        return np.stack([self.bins, self.counts]).astype(np.int32)

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def values(self) -> np.ndarray:
        """Values of the bins; (n_bins,)."""
        return self.bins * self.width

    def draw(self, size: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return values drawn with replacement, an array of that size."""
        places = rng.integers(len(self), size=size)
        return self.values[np.searchsorted(self._ends, places, side="right")]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.counts)


def aligned(first: Histogram, second: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of two histograms of equal width, both over all bins from lowest to highest; (n_bins,) each."""
    low = min(first.bins[0], second.bins[0])
    n_bins = int(max(first.bins[-1], second.bins[-1]) - low) + 1
    return _dense(first, low, n_bins), _dense(second, low, n_bins)


def _dense(histogram: Histogram, low: int, n_bins: int) -> np.ndarray:
    counts = np.zeros(n_bins, np.int64)
    counts[histogram.bins - low] = histogram.counts
    return counts
