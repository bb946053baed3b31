"""Samples of a few molecules, judged in this process."""

from __future__ import annotations

from collections.abc import Sequence

from atomweave.chemistry.bonds import perceive
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import MISSING, Verdict
from atomweave.molecule import Molecule


def judged(molecules: Sequence[Molecule | None], name: str = "sample") -> Sample:
    """Return a sample of attempts, all of them finished where there is a molecule."""
    verdicts = []
    for molecule in molecules:
        perception = perceive(molecule) if molecule is not None else None
        reason = perception.reason if perception is not None else MISSING
        verdicts.append(Verdict(molecule, molecule is not None, perception, reason))
    return Sample(name, tuple(verdicts))
