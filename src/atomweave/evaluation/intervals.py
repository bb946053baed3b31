"""Intervals for shares: Wilson's, and the same for shares that are pooled over molecules."""

from __future__ import annotations

from math import sqrt

import numpy as np

Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


def wilson(successes: float, trials: float, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's score interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927)).

    Unlike the normal approximation it stays inside [0, 1] and has a width at 0 and at 100 %.

    Args:
        successes: how many; need not be whole when `trials` is an effective number.
        trials: out of how many; 0 gives (0, 1), for nothing is known.
        z: normal quantile.
    """
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exact at the ends, where rounding would show
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def clustered_wilson(successes: np.ndarray, sizes: np.ndarray, z: float = Z_95) -> tuple[float, float]:
    """Return an interval of a share pooled over clusters, such as atoms over molecules.

    Atoms of one molecule are right or wrong together, so their number overstates what is known. The variance of the
    ratio over clusters (linearised) gives an effective number of trials, with which Wilson's interval is taken. Where
    the sample shows no variance at all, that number is the number of clusters.

    Args:
        successes: (n_clusters,) successes in each cluster.
        sizes: (n_clusters,) trials in each cluster.
        z: normal quantile.
    """
    total = float(sizes.sum())
    if total <= 0:
        return 0.0, 1.0
    n_clusters = len(sizes)
    share = float(successes.sum()) / total
    residuals = successes - share * sizes
    variance = n_clusters / max(1, n_clusters - 1) * float((residuals**2).sum()) / total**2
    effective = share * (1 - share) / variance if variance > 0 else float(n_clusters)
    effective = min(effective, total)
    return wilson(share * effective, effective, z)
