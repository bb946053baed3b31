"""Shares of all attempts: finished, xyz2mol-valid, strict; and how many of the valid molecules differ.

Uniqueness has no interval, since resampling repeats molecules and biases it; it is followed over disjoint blocks of
attempts instead. It falls with the number of molecules, so two figures compare only at equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..measure import Measure, Spread, share
from ..metric import Result, Statistics
from ..sample import blocks

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample
    from ..validity import Verdict


@dataclass(frozen=True)
class Validity:
    """How many attempts were finished, are valid by xyz2mol, are what a chemist would call a molecule, and differ."""

    name: str = "validity"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the shares and, for every attempt, what decided them; `reference` is not needed."""
        verdicts = sample.verdicts
        columns: dict[str, Sequence[Any]] = {
            "finished": [verdict.finished for verdict in verdicts],
            "valid": [verdict.valid for verdict in verdicts],
            "strict": [verdict.strict for verdict in verdicts],
            "reason": [verdict.reason or None for verdict in verdicts],
            "smiles": [verdict.smiles or None for verdict in verdicts],
        }
        return Result(validity_shares(verdicts), columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference data's own values are all there is to compare with."""
        return Statistics()


def validity_shares(verdicts: Sequence[Verdict]) -> tuple[Measure, ...]:
    """Return attempted, finished, valid, strict, unique and valid × unique of verdicts, one an attempt."""
    n = len(verdicts)
    smiles = [verdict.smiles for verdict in verdicts]
    counts = {
        "finished": sum(verdict.finished for verdict in verdicts),
        "valid": sum(verdict.valid for verdict in verdicts),
        "strict": sum(verdict.strict for verdict in verdicts),
    }
    return (
        Measure("attempted", "attempted", float(n), n, n, "", kind="count"),
        share("finished", "finished", counts["finished"], n, "attempts", better="high"),
        share("valid", "xyz2mol-valid", counts["valid"], n, "attempts", better="high"),
        share("strict", "connected and neutral", counts["strict"], n, "attempts", better="high"),
        unique_share("unique", "unique", smiles, "valid"),
        valid_unique_share("valid_unique", "valid × unique", smiles),
    )


def unique_share(name: str, label: str, smiles: Sequence[str], of: str) -> Measure:
    """Return how many of the valid molecules differ.

    Args:
        name: of the measure.
        label: what a table shows.
        smiles: one an attempt, "" where it is invalid.
        of: what the denominator counts, e.g. "valid".
    """
    present = [one for one in smiles if one]
    further = {"better": "high", "spread": _over_blocks(smiles, _unique)}
    return share(name, label, len(set(present)), len(present), of, interval=False, **further)


def valid_unique_share(name: str, label: str, smiles: Sequence[str]) -> Measure:
    """Return how many different valid molecules there are for each attempt; arguments as `unique_share`."""
    further = {"better": "high", "spread": _over_blocks(smiles, _valid_unique)}
    return share(name, label, len(set(smiles) - {""}), len(smiles), "attempts", interval=False, **further)


def _unique(smiles: Sequence[str]) -> float:
    present = [one for one in smiles if one]
    return len(set(present)) / len(present) if present else np.nan


def _valid_unique(smiles: Sequence[str]) -> float:
    return len(set(smiles) - {""}) / len(smiles)


def _over_blocks(smiles: Sequence[str], figure: Callable[[Sequence[str]], float]) -> Spread | None:
    """Return how a figure varies over disjoint blocks of attempts; None where there are not two that have it."""
    parts = blocks(len(smiles))
    values = np.array([figure(smiles[part[0] : part[-1] + 1]) for part in parts])
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    return Spread(float(values.mean()), float(values.std(ddof=1)), len(values), f"blocks of {len(parts[0]):,} attempts")
