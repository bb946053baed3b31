"""Validity as the authors of G-SphereNet checked it, which passes much that no chemist would call a molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...chemistry.gspherenet_checker import check_many
from ..measure import share
from ..metric import Result, Statistics

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample


@dataclass(frozen=True)
class GSphereNet:
    """How many attempts are connected and have no atom with too many bonds, by a table of longest bonds.

    The atoms of an attempt must stand in the order in which they were generated, which the rule looks at.
    """

    name: str = "gspherenet"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the share and, for every attempt, what decided it; `reference` is not needed.

        Raises:
            MissingDependencyError: if SciPy is not installed.
        """
        ended = [index for index, verdict in enumerate(sample.verdicts) if verdict.finished and verdict.molecule]
        molecules = [verdict.molecule for verdict in sample.verdicts if verdict.finished and verdict.molecule]
        valid = [False] * len(sample)
        reasons: list[str | None] = [verdict.reason or None for verdict in sample.verdicts]
        for index, checked in zip(ended, check_many(molecules, orders=False), strict=True):
            valid[index], reasons[index] = checked.valid, checked.reason or None
        measure = share(
            "gspherenet_valid", "valid by G-SphereNet's checker", sum(valid), len(sample), "attempts", better="high",
            note="passes radicals and molecules whose last atoms are missing; over all attempts, not the finished only",
        )  # fmt: skip
        return Result((measure,), {"gspherenet_valid": valid, "gspherenet_reason": reasons})

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference data's own values are all there is to compare with."""
        return Statistics()
