"""How far apart two distributions of lengths or angles are, in the unit of the values: Wasserstein-1 distances.

The Wasserstein-1 distance is the mean way that probability must travel to turn one distribution into the other. For
distribution functions F and G it is, on the line,

    W = integral |F(x) - G(x)| dx,

and on the circle, where probability may take either way round,

    W = min over c of integral |F(x) - G(x) - c| dx,

whose minimum lies at the median of F - G (J. Rabin, J. Delon, Y. Gousseau, J. Math. Imaging Vis. 41, 147, 2011).
Both are exact for values on a grid. Both sides must be rounded to the same grid: values rounded on one side only are
a quarter of a bin away from themselves.
"""

from __future__ import annotations

import numpy as np

from ..histogram import Histogram, aligned


def wasserstein(x: Histogram, y: Histogram) -> float:
    """Return the distance on the line, in the unit of the values; histograms of equal width, neither empty."""
    of_x, of_y = aligned(x, y)
    return float(np.abs(np.cumsum(of_x) / len(x) - np.cumsum(of_y) / len(y)).sum() * x.width)


def n_draws(histogram: Histogram, distance: float) -> int:
    """Return how many independent draws of a distribution are on average so far from it on the line, at least one.

    The distribution function of n draws scatters normally about F with variance F (1 - F) / n, so that the mean
    distance is integral sqrt(2 F (1 - F) / (pi n)) dx.

    Args:
        histogram: of the distribution.
        distance: Wasserstein-1, in the unit of the values.
    """
    below = np.cumsum(histogram.counts)[:-1] / len(histogram)
    steps = np.diff(histogram.bins) * histogram.width
    of_one_draw = float(np.sqrt(2 * below * (1 - below) / np.pi) @ steps)
    return max(1, round((of_one_draw / distance) ** 2)) if distance > 0 else len(histogram)


def circular_wasserstein(x: Histogram, y: Histogram, period: float = 360.0) -> float:
    """Return the distance on a circle; histograms of equal width, a whole number of bins in the period.

    Args:
        x: values anywhere; what differs by the period is the same.
        y: likewise.
        period: of the circle, in the unit of the values.
    """
    n_bins = round(period / x.width)
    steps = np.cumsum(_around(x, n_bins) / len(x) - _around(y, n_bins) / len(y))
    return float(np.abs(steps - np.median(steps)).sum() * x.width)


def _around(histogram: Histogram, n_bins: int) -> np.ndarray:
    return np.bincount(histogram.bins % n_bins, histogram.counts, n_bins)
