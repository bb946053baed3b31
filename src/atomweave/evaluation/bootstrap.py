"""Intervals of medians and means by resampling the molecules they were taken over (percentile bootstrap).

Only for figures that do not depend on how often a molecule occurs: uniqueness, duplicates and V-statistics would be
biased and have their spread over disjoint blocks instead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

N_RESAMPLES = 1_000


def percentile_interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], float], seed: int = 0, n_resamples: int = N_RESAMPLES
) -> tuple[float, float] | None:
    """Return the 95 % interval of a statistic (B. Efron, Ann. Statist. 7, 1 (1979)), or None for fewer than two values.

    Args:
        values: (n_molecules, ...), one row a molecule, so that what belongs to one molecule is drawn together.
        statistic: rows -> figure.
        seed: of the draws.
        n_resamples: how many draws of n_molecules rows with replacement.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    found = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(n_resamples)]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
