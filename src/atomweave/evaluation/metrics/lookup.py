"""Everything that EDM's table of bond lengths decides: stable atoms and molecules, validity, uniqueness.

The verdicts come with the perception of bonds (`assess(..., lookup=True)`); where they did not, they are sought here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...chemistry.lookup import KNOWN, look_up_many
from ...chemistry.lookup import LookUp as Verdict
from ..intervals import clustered_wilson
from ..measure import Measure, share
from ..metric import Result, Statistics
from ..stability import Stability, stability
from .shares import unique_share, valid_unique_share

if TYPE_CHECKING:
    from .. import validity
    from ..reference import Reference
    from ..sample import Sample


@dataclass(frozen=True)
class LookUp:
    """Stability, validity and uniqueness by the look-up table of EDM.

    Attributes:
        workers: processes for verdicts that did not come with the bonds; by default one for each CPU.
        timeout: seconds of wall-clock time for one molecule there.
    """

    name: str = "lookup"
    workers: int | None = None
    timeout: float = 10.0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the shares and, for every attempt, what decided them; `reference` is not needed."""
        stable = stable_attempts(sample.verdicts)
        found = self._look_ups(sample)
        smiles = [one.smiles if one is not None else "" for one in found]
        valid = [one is not None and one.valid for one in found]
        fragmented = sum(one is not None and one.n_fragments > 1 for one in found)
        further: dict[str, Any] = {"better": "high", "note": _lacking(sample.verdicts)}
        measures = (
            *stable_shares(sample.verdicts, stable),
            share("lookup_valid", "look-up-valid", sum(valid), len(sample), "attempts", **further),
            unique_share("lookup_unique", "unique (look-up)", smiles, "look-up-valid"),
            valid_unique_share("lookup_valid_unique", "valid × unique (look-up)", smiles),
            share("lookup_fragmented", "in several fragments (look-up)", fragmented, sum(valid), "look-up-valid",
                  better="low"),
        )  # fmt: skip
        columns: dict[str, Sequence[Any]] = {
            "lookup_valid": valid,
            "lookup_reason": [
                verdict.reason or None if one is None else one.reason or None
                for one, verdict in zip(found, sample.verdicts, strict=True)
            ],
            "lookup_smiles": [one or None for one in smiles],
            "atoms_stable": _where_grown(stable.n_stable, stable.n_atoms),
            "n_atoms": _where_grown(stable.n_atoms, stable.n_atoms),
            "molecule_stable": _stable(stable).tolist(),
        }
        return Result(measures, columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference data's own values are all there is to compare with."""
        return Statistics()

    def _look_ups(self, sample: Sample) -> list[Verdict | None]:
        """Return the look-up verdict of every attempt, None where it is not finished."""
        found = [verdict.lookup for verdict in sample.verdicts]
        absent = [
            (index, verdict.molecule)
            for index, verdict in enumerate(sample.verdicts)
            if verdict.finished and verdict.molecule is not None and verdict.lookup is None
        ]
        if absent:
            molecules = [molecule for _, molecule in absent]
            sought = look_up_many(molecules, self.workers, self.timeout, sample.showing("look-up table"))
            for (index, _), verdict in zip(absent, sought, strict=True):
                found[index] = verdict
        return found


def stable_attempts(verdicts: Sequence[validity.Verdict]) -> Stability:
    """Return stable atoms and atoms of every attempt: none stable where unfinished, none at all where missing."""
    grown = [index for index, verdict in enumerate(verdicts) if verdict.molecule is not None]
    found = stability([verdict.molecule for verdict in verdicts if verdict.molecule is not None])
    n_stable, n_atoms = np.zeros(len(verdicts), np.int64), np.zeros(len(verdicts), np.int64)
    n_stable[grown], n_atoms[grown] = found.n_stable, found.n_atoms
    n_stable[[not verdict.finished for verdict in verdicts]] = 0
    return Stability(n_stable, n_atoms)


def stable_shares(verdicts: Sequence[validity.Verdict], stable: Stability | None = None) -> tuple[Measure, Measure]:
    """Return the shares of stable atoms, over the atoms of all attempts, and of stable molecules, over all attempts.

    Args:
        verdicts: one an attempt.
        stable: of these, if known already.
    """
    stable = stable_attempts(verdicts) if stable is None else stable
    count, total = int(stable.n_stable.sum()), int(stable.n_atoms.sum())
    interval = clustered_wilson(stable.n_stable, stable.n_atoms) if total else None
    value = count / total if total else np.nan
    further: dict[str, Any] = {"better": "high", "note": _lacking(verdicts)}
    return (
        Measure("atom_stable", "atoms stable (look-up)", value, count, total, "atoms", interval, **further),
        share("molecule_stable", "molecules stable (look-up)", int(_stable(stable).sum()), len(verdicts), "attempts",
              **further),
    )  # fmt: skip


def _stable(stable: Stability) -> np.ndarray:
    return stable.molecule_stable & (stable.n_atoms > 0)


def _where_grown(values: np.ndarray, n_atoms: np.ndarray) -> list[int | None]:
    return [value if size else None for value, size in zip(values.tolist(), n_atoms.tolist(), strict=True)]


def _lacking(verdicts: Sequence[validity.Verdict]) -> str:
    """Return a warning where molecules hold elements that the table leaves out; else ""."""
    n = sum(
        verdict.molecule is not None and not KNOWN.issuperset(verdict.molecule.numbers.tolist()) for verdict in verdicts
    )
    return f"the table has H, C, N, O, F only; attempts with other elements fail ({n:,})" if n else ""
