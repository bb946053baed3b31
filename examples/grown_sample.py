"""Growing and judging a sample: the numbers behind one point of a figure, and its error bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import atomweave
from atomweave.evaluation.headline import judge
from atomweave.evaluation.intervals import wilson

if TYPE_CHECKING:
    from atomweave.models.base import Model


def grow_and_judge(model: Model, n_molecules: int, seed: int, workers: int = 1, **options: Any) -> dict[str, Any]:
    """Return shares of valid and stable (of all attempts, with Wilson's 95 % intervals), unique (of valid), finished.

    Args:
        model: what grows.
        n_molecules: attempts; those that do not finish count as invalid.
        seed: of growing.
        workers: processes for growing and for judging.
        options: as `atomweave.grow`.
    """
    attempts = atomweave.grow(model, n_molecules, seed=seed, workers=workers, **options).attempts
    headline = judge(
        [attempt.molecule for attempt in attempts],
        [attempt.finished for attempt in attempts],
        [attempt.reason or "" for attempt in attempts],
        workers=workers,
    )
    valid, unique = headline["valid"], headline["unique"]
    stable = headline["molecule_stable"]
    (low, high), (stable_low, stable_high) = wilson(valid.count, valid.total), wilson(stable.count, stable.total)
    return {
        "valid": valid.value,
        "valid_low": low,
        "valid_high": high,
        "molecule_stable": stable.value,
        "molecule_stable_low": stable_low,
        "molecule_stable_high": stable_high,
        "unique": unique.value,
        "n_valid": valid.count,
        "n_unique": unique.count,
        "finished": headline["finished"].value,
        "mean_atoms": sum(len(attempt.molecule) for attempt in attempts) / len(attempts),
    }


def bars(rows: Sequence[dict[str, Any]], share: str = "valid") -> list[list[float]]:
    """Return how far the intervals of a share reach down and up, as matplotlib's error bars want them."""
    down = [max(0.0, row[share] - row[f"{share}_low"]) for row in rows]
    return [down, [max(0.0, row[f"{share}_high"] - row[share]) for row in rows]]
