"""Validity and uniqueness by Open Babel's own perception of bonds, an optional second opinion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...chemistry import openbabel
from ..measure import share
from ..metric import Result, Statistics
from .shares import unique_share

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample


@dataclass(frozen=True)
class OpenBabel:
    """How many attempts have the right valences as Open Babel perceives them, and how many of those differ.

    Attributes:
        workers: processes; by default one for each CPU this process may use, fewer if there is little to do.
        timeout: seconds of wall-clock time for one molecule.
    """

    name: str = "openbabel"
    workers: int | None = None
    timeout: float = 10.0

    @staticmethod
    def available() -> bool:
        """Return whether Open Babel is installed."""
        return openbabel.available()

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return both shares and, for every attempt, what decided them; `reference` is not needed.

        Raises:
            MissingDependencyError: if Open Babel is not installed.
        """
        ended = [index for index, verdict in enumerate(sample.verdicts) if verdict.finished and verdict.molecule]
        molecules = [verdict.molecule for verdict in sample.verdicts if verdict.finished and verdict.molecule]
        found = openbabel.babel_many(molecules, self.workers, self.timeout, sample.showing("Open Babel"))
        valid = [False] * len(sample)
        smiles = [""] * len(sample)
        reasons: list[str | None] = [verdict.reason or None for verdict in sample.verdicts]
        for index, verdict in zip(ended, found, strict=True):
            valid[index], smiles[index], reasons[index] = verdict.valid, verdict.smiles, verdict.reason or None
        note = f"Open Babel {openbabel.open_babel_version()}; the figure depends on the version"
        measures = (
            share("openbabel_valid", "Open Babel-valid", sum(valid), len(sample), "attempts", better="high", note=note),
            unique_share("openbabel_unique", "unique (Open Babel)", smiles, "Open Babel-valid"),
        )
        columns: dict[str, Sequence[Any]] = {
            "openbabel_valid": valid,
            "openbabel_reason": reasons,
            "openbabel_smiles": [one or None for one in smiles],
        }
        return Result(measures, columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference data's own values are all there is to compare with."""
        return Statistics()
