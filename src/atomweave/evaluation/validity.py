"""The verdict on every attempt: grown to the end or not, xyz2mol-valid or not, and why.

Every attempt gets one: what was not finished, never grown, timed out or crashed is invalid and stays in the count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..chemistry.bonds import Perception, perceive_many
from ..errors import UsageError

if TYPE_CHECKING:
    from ..chemistry.lookup import LookUp
    from ..molecule import Molecule

UNFINISHED = "unfinished"
MISSING = "no molecule"


@dataclass(frozen=True, eq=False)
class Verdict:
    """One attempt and what is to be said of it.

    Attributes:
        molecule: what was grown, or None if nothing was.
        finished: whether the model itself ended the molecule.
        perception: its bonds, or None where they were not sought: unfinished or no molecule.
        reason: why the attempt is invalid, in few classes that are counted; empty if valid.
        detail: the same in a whole sentence, of the reader or of RDKit, where one of them spoke.
    """

    molecule: Molecule | None
    finished: bool
    perception: Perception | None
    reason: str
    detail: str = ""

    @property
    def valid(self) -> bool:
        """Finished, and bonds and bond orders exist."""
        return not self.reason

    @property
    def strict(self) -> bool:
        """Valid, one fragment, every atom neutral, no radical."""
        return self.perception is not None and self.valid and self.perception.strict

    @property
    def smiles(self) -> str:
        """Canonical SMILES, empty if invalid."""
        return self.perception.smiles if self.perception is not None and self.valid else ""

    @property
    def lookup(self) -> LookUp | None:
        """The verdict by the look-up table; None where it was not sought."""
        return self.perception.lookup if self.perception is not None else None


def assess(
    molecules: Sequence[Molecule | None],
    finished: Sequence[bool] | None = None,
    reasons: Sequence[str] | None = None,
    workers: int | None = None,
    timeout: float = 10.0,
    lookup: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verdict]:
    """Return the verdict on every attempt.

    Args:
        molecules: one entry an attempt, None where nothing came of it.
        finished: whether each attempt was ended by the model; default: wherever there is a molecule.
        reasons: why an attempt is not finished, in the words of whoever grew it; only read for those.
        workers: processes for the perception of bonds, see `chemistry.bonds.perceive_many`.
        timeout: seconds a molecule.
        lookup: give the verdicts by the look-up table as well, which costs half as much again instead of as much.
        progress: called with (done, total).

    Raises:
        UsageError: if the lists differ in length.
    """
    finished = [molecule is not None for molecule in molecules] if finished is None else list(finished)
    reasons = [""] * len(molecules) if reasons is None else list(reasons)
    if not len(molecules) == len(finished) == len(reasons):
        raise UsageError(
            f"attempts: got {len(molecules)} molecules, {len(finished)} finished flags and {len(reasons)} reasons, "
            "wanted one of each for every attempt."
        )
    complete = [molecule for molecule, ended in zip(molecules, finished, strict=True) if molecule is not None and ended]
    found = iter(perceive_many(complete, workers, timeout, progress, lookup))
    verdicts = []
    for molecule, ended, said in zip(molecules, finished, reasons, strict=True):
        if molecule is None:
            verdicts.append(Verdict(None, False, None, said or MISSING))
        elif not ended:
            verdicts.append(Verdict(molecule, False, None, said or UNFINISHED))
        else:
            perception = next(found)
            verdicts.append(Verdict(molecule, True, perception, perception.reason, perception.detail))
    return verdicts
