"""What was found of a set of molecules: mean, best and share of good ones, each with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..evaluation.bootstrap import percentile_interval
from ..evaluation.intervals import wilson
from .objective import Objective

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Tally:
    """Figures of one set; intervals are 95 %.

    Attributes:
        name: of the set.
        attempts: molecules that were begun.
        valid: of them, with bonds and bond orders (xyz2mol).
        drawn: of the valid, a random part that was looked at.
        scored: of the drawn, neutral closed shells with a value.
        failures: why the others have none -> how many; they count as not good.
        mean: over the scored, with its bootstrap interval.
        best: of the scored.
        best_index: attempt it belongs to; -1 where none was scored.
        good: how many of the drawn are good.
        good_of_valid: share over the drawn, hence over the valid, with Wilson's interval.
        good_of_attempts: the same times the share that is valid.
    """

    name: str
    attempts: int
    valid: int
    drawn: int
    scored: int
    failures: Mapping[str, int]
    mean: float
    mean_interval: Interval
    best: float
    best_index: int
    good: int
    good_of_valid: float
    good_of_valid_interval: Interval
    good_of_attempts: float
    good_of_attempts_interval: Interval

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds; a number that is not finite becomes None."""
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def tally(
    name: str, n_attempts: int, n_valid: int, indices: Sequence[int], values: Sequence[float], reasons: Sequence[str],
    objective: Objective,
) -> Tally:  # fmt: skip
    """Return the figures of a random part of the valid attempts.

    Args:
        name: of the set.
        n_attempts: molecules begun.
        n_valid: of them valid.
        indices: attempts that were drawn.
        values: of the property, NaN where there is none.
        reasons: why there is none.
        objective: what is good.
    """
    found = np.array(values, float)
    has = np.isfinite(found)
    n_drawn, n_good = len(found), int(objective.good(found[has]).sum())
    best = int(np.flatnonzero(has)[objective.order(found[has])[0]]) if has.any() else -1
    failures = Counter(reason for reason, one in zip(reasons, has.tolist(), strict=True) if not one)
    of_attempts, interval = share_of_attempts(n_good, n_drawn, n_valid, n_attempts)
    return Tally(
        name, n_attempts, n_valid, n_drawn, int(has.sum()), dict(failures.most_common()),
        float(found[has].mean()) if has.any() else float("nan"), percentile_interval(found[has], np.mean),
        float(found[best]) if best >= 0 else float("nan"), int(indices[best]) if best >= 0 else -1, n_good,
        n_good / n_drawn if n_drawn else float("nan"), wilson(n_good, n_drawn), of_attempts, interval,
    )  # fmt: skip


def share_of_attempts(n_good: int, n_drawn: int, n_valid: int, n_attempts: int) -> tuple[float, tuple[float, float]]:
    """Return the share of good ones over all attempts, where only a random part of the valid was looked at.

    It is the product p = v g of two measured shares, v = valid / attempts and g = good / drawn. Its variance,
    g^2 v (1 - v) / attempts + v^2 g (1 - g) / drawn, gives the number of attempts that would tell as much had all been
    looked at, and with that Wilson's interval is taken. Where all valid ones were drawn that number is `n_attempts`.
    """
    if not n_attempts or (n_valid and not n_drawn):
        return float("nan"), (0.0, 1.0)
    if not n_valid:
        return 0.0, wilson(0, n_attempts)
    v, g = n_valid / n_attempts, n_good / n_drawn
    share = v * g
    variance = g * g * v * (1 - v) / n_attempts + v * v * g * (1 - g) / n_drawn
    effective = share * (1 - share) / variance if variance > 0 else n_drawn / v
    return share, wilson(share * effective, effective)
