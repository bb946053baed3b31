"""Maximum mean discrepancy between two samples, as the two papers define it; the figures of one are not the other's.

Thesis (A. Daigavane et al., Symphony): 30 kernels exp(-gamma d^2), gamma from 1e-3 to 1e3 in equal ratios; for each
|mean k(x, x') + mean k(y, y') - 2 mean k(x, y)| with the pairs of a point with itself kept; summed over gamma; square
root. 1,000 points are drawn with replacement from either side, the mean is taken over 10 such draws.

G-SphereNet (Luo, Ji, 2022): the sum over five kernels exp(-d^2 / b_i), b_i = 2^i B / 4, B the mean squared difference
of two points of the pooled sample, all points against all, pairs of a point with itself kept, no root.

Both are sums w_i w_j K(d_ij) over the pooled points, w = 1/n for x and -1/m for y. A Gaussian kernel is positive
definite, so no term of the thesis's sum can be negative, its absolute values change nothing, and the 30 kernels may be
added up first: that is why one K per pair of points is enough. In one dimension the points are put on a grid, where the
double sum is a product of Fourier transforms: its cost does not depend on the number of points.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..histogram import Histogram, aligned

GAMMAS = np.logspace(-3, 3, 30)
"""Thesis: inverse squared widths; in Å^-2 for bond lengths."""

GRID = 1e-4
"""Spacing of the grid in one dimension; 1/300 of the narrowest kernel of the thesis."""

MAX_BINS = 2**19
"""Samples of one dimension that would need a longer grid are compared pair by pair."""

_FIRST_OCTAVE, _LAST_OCTAVE = -40, 16
_BITS = 13  # of the mantissa of d^2: steps of 2^-13, whose errors are random and average out over the pairs
_BLOCK = 128
"""Rows and columns of the matrix of distances at once: what stays in a core's cache, and what OpenBLAS multiplies in
one thread. On a busy machine its threads wait for one another ten times as long as they work."""


def thesis_mmd(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, draws: int = 1000, repeats: int = 10
) -> tuple[float, np.ndarray]:
    """Return the thesis's MMD between two samples.

    Args:
        x: (n,) or (n, n_dims), at least one point.
        y: (m,) or (m, n_dims).
        rng: of the draws.
        draws: points drawn with replacement from either side.
        repeats: how often.

    Returns:
        The mean over the repeats, and the value of each; (repeats,). It agrees with a double loop in float64 over the
        same draws to 1e-4 of its value.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    drawn = [(rng.integers(len(x), size=draws), rng.integers(len(y), size=draws)) for _ in range(repeats)]
    if x.ndim == 1:
        values = thesis_mmd_of_draws(*(np.stack(pair) for pair in zip(*((x[i], y[j]) for i, j in drawn), strict=True)))
    else:
        values = np.array([_thesis_mmd(x, y, *indices) for indices in drawn])
    return float(values.mean()), values


def thesis_mmd_of_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the thesis's MMD of samples of one dimension as they are; `x`, `y` and the result have a row each.

    Args:
        x: (repeats, n_x).
        y: (repeats, n_y).

    Returns:
        (repeats,).
    """
    low = min(x.min(), y.min())
    span = (max(x.max(), y.max()) - low) / GRID
    if span >= MAX_BINS:
        all_x, all_y = np.arange(x.shape[1]), np.arange(y.shape[1])
        return np.array([_thesis_mmd(a[:, None], b[:, None], all_x, all_y) for a, b in zip(x, y, strict=True)])
    n_bins = int(span) + 2
    weights = _shared_out((x - low) / GRID, n_bins) - _shared_out((y - low) / GRID, n_bins)
    # Weights add up to zero, so K(0) - K(d) serves as well as -K(d), and small differences of it are not lost.
    return np.sqrt(np.maximum(on_grid(weights, -_thesis_loss(_squares(n_bins, GRID))), 0))


def gspherenet_mmd(x: Histogram, y: Histogram) -> float:
    """Return G-SphereNet's biased squared MMD between two samples on the same grid, all values against all."""
    of_x, of_y = aligned(x, y)
    weights = of_x / len(x) - of_y / len(y)
    widths = _bandwidth(x, y) / 4 * 2.0 ** np.arange(5)
    kernel = sum((np.exp(-_squares(len(of_x), x.width) / width) for width in widths), np.zeros(len(of_x)))
    return float(max(on_grid(weights[None], kernel)[0], 0.0))


def on_grid(weights: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return sum_ij w_i w_j K(|i - j|) for several sets of weights on a regular grid, in O(n log n).

    Args:
        weights: (n_sets, n_bins).
        kernel: (n_bins,) the kernel at 0, 1, 2, ... steps of the grid.

    Returns:
        (n_sets,).
    """
    n_bins = len(kernel)
    length = 1 << (2 * n_bins - 1).bit_length()  # twice as long: what wraps around falls on zeros
    around = np.zeros(length)
    around[:n_bins] = kernel
    around[length - n_bins + 1 :] = kernel[:0:-1]
    power = np.abs(np.fft.rfft(weights, length)) ** 2
    power[:, 1:-1] *= 2  # the frequencies that a real transform leaves out
    return power @ np.fft.rfft(around).real / length


def _thesis_mmd(x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray) -> float:
    """Return the MMD of one draw; `x`, `y` are (n, n_dims), `of_x`, `of_y` the rows drawn."""
    counts_x, counts_y = np.bincount(of_x, minlength=len(x)), np.bincount(of_y, minlength=len(y))
    points = np.concatenate([x[counts_x > 0], y[counts_y > 0]])
    weights = np.concatenate([counts_x[counts_x > 0] / len(of_x), -counts_y[counts_y > 0] / len(of_y)])
    points = points - points.mean(0)
    norms = np.einsum("ij,ij->i", points, points)
    table = _thesis_table()
    total = 0.0
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for begin in range(start, len(points), _BLOCK):
            columns = slice(begin, begin + _BLOCK)
            squares = points[rows] @ (-2 * points[columns].T)
            squares += norms[rows, None]
            squares += norms[columns]
            sums = np.einsum("ij,j->i", table[_table_index(squares)], weights[columns])
            pairs = float(np.einsum("i,i->", weights[rows], sums))
            total += pairs if begin == start else 2 * pairs  # pairs of different blocks stand for both orders
    return float(np.sqrt(max(-total, 0.0)))


def _table_index(squares: np.ndarray) -> np.ndarray:
    """Return where squared distances stand in the table: the exponent and first bits of a float32 are a logarithm."""
    bits = squares.astype(np.float32).view(np.int32) >> (23 - _BITS)  # rounding below zero gives a negative index
    bits -= (127 + _FIRST_OCTAVE) << _BITS
    return np.clip(bits, 0, (_LAST_OCTAVE - _FIRST_OCTAVE << _BITS) - 1, out=bits)


@cache
def _thesis_table() -> np.ndarray:
    """K(0) - K at the middle of every step of d^2 that `_table_index` tells apart; 0 in the first."""
    steps = np.arange(_LAST_OCTAVE - _FIRST_OCTAVE << _BITS)
    octave, step = steps >> _BITS, steps & ((1 << _BITS) - 1)
    table = _thesis_loss(2.0 ** (octave + _FIRST_OCTAVE) * (1 + (step + 0.5) / (1 << _BITS)))
    table[0] = 0.0
    return table


def _thesis_loss(squares: np.ndarray) -> np.ndarray:
    """Return K(0) - K for squared distances (n,), K the sum over the thesis's kernels."""
    loss = np.zeros_like(squares)
    for gamma in GAMMAS:
        loss -= np.expm1(-gamma * squares)
    return loss


def _bandwidth(x: Histogram, y: Histogram) -> float:
    """Return the mean squared difference of two different points of the pooled sample."""
    values = np.concatenate([x.values, y.values])
    counts = np.concatenate([x.counts, y.counts]).astype(np.float64)
    n = counts.sum()
    centred = values - (counts @ values) / n
    spread = 2 * n * float(counts @ centred**2) / (n * n - n)
    return spread if spread > 0 else 1.0  # all points alike: every kernel is 1 and the discrepancy 0


def _shared_out(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Share every point between the two bins around it, so that their centre of mass, and with it the mean, is kept.

    Args:
        values: (n_sets, n) from 0 to n_bins - 2, in bins.
        n_bins: of the grid.

    Returns:
        (n_sets, n_bins), each row with sum 1.
    """
    n_sets, n = values.shape
    below = values.astype(np.int64)
    above_share = (values - below).ravel()
    places = (below + n_bins * np.arange(n_sets)[:, None]).ravel()
    size = n_sets * n_bins
    shared = np.bincount(places, 1 - above_share, size) + np.bincount(places + 1, above_share, size)
    return shared.reshape(n_sets, n_bins) / n


def _squares(n_bins: int, width: float) -> np.ndarray:
    return (np.arange(n_bins) * width) ** 2
