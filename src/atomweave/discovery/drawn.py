"""Molecules of a model in a file, each attempt with its verdict: what a file holds is what is judged and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files import sha256_of
from .closed_shell import open_shell
from .plan import Plan
from .work import Work

if TYPE_CHECKING:
    from ..evaluation.validity import Verdict
    from ..molecule import Molecule


@dataclass(frozen=True, eq=False)
class Drawn:
    """Attempts of one model.

    Attributes:
        name: of the set, as tables show it.
        verdicts: one an attempt, by index.
        seed: that they were grown with.
        weights: sha256 of the model's file.
        path: of the molecules.
        lost: attempts that were to be relaxed and have no minimum of their own -> why.
    """

    name: str
    verdicts: tuple[Verdict, ...]
    seed: int
    weights: str
    path: Path
    lost: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.verdicts)

    @cached_property
    def valid(self) -> np.ndarray:
        """Indices of the xyz2mol-valid attempts; (n_valid,) int64."""
        return np.flatnonzero([verdict.valid for verdict in self.verdicts])

    @cached_property
    def refusals(self) -> dict[int, str]:
        """For each valid attempt why it is no neutral closed shell, or is `lost`; empty for what may be scored."""
        return {index: self.lost.get(index) or open_shell(self.verdicts[index]) for index in self.valid.tolist()}

    def molecule(self, index: int) -> Molecule:
        """Return the molecule of a valid attempt."""
        found = self.verdicts[index].molecule
        assert found is not None, "a valid attempt is a molecule"
        return found

    def lot(self, n: int | None) -> np.ndarray:
        """Return n of the valid attempts in random order, all if None: those of a smaller n come first; (n,) int64."""
        order = np.random.default_rng(self.seed).permutation(self.valid)
        return order if n is None else order[:n]


def draw(name: str, weights: str | Path, number: int, seed: int, path: Path, plan: Plan, work: Work) -> Drawn:
    """Return molecules grown with weights, every attempt among them; if their file is not there yet, it is made.

    Args:
        name: of the set.
        weights: name or path.
        number: of attempts.
        seed: of the draws; `atomweave sample WEIGHTS --seed` with it grows the same molecules.
        path: an SDF; its positions are rounded to 1e-4 Å, and these are what is judged.
        plan: gives temperatures and the largest size.
        work: processes.
    """
    from ..evaluation.reading import read_attempts
    from ..evaluation.validity import assess
    from ..models.weights import weights_path

    if not path.exists():
        _grow(name, weights, number, seed, path, plan, work)
    attempts = read_attempts(path)
    with work.progress(f"judging {name}", "molecules") as show:
        verdicts = assess(attempts.molecules, attempts.finished, attempts.reasons, work.workers, progress=show)
    return Drawn(name, tuple(verdicts), seed, sha256_of(weights_path(weights)), path)


def _grow(name: str, weights: str | Path, number: int, seed: int, path: Path, plan: Plan, work: Work) -> None:
    from ..evaluation.validity import assess
    from ..growth.grower import BLOCK, grow
    from ..io import SdfRecord, write_sdf
    from ..isolation import available_cpus

    work.say(f"growing {number:,} molecules: {name}")
    processes = min(work.workers or available_cpus(), -(-number // BLOCK)) if work.device == "cpu" else 1
    with work.progress(f"growing {name}", "molecules") as show:
        grown = grow(
            weights, number, seed, temperatures=plan.temperatures, max_atoms=plan.max_atoms, device=work.device,
            workers=processes, progress=show,
        )  # fmt: skip
    # Bonds are for whoever opens the file; what is in it is judged anew, from the positions as they were rounded.
    verdicts = assess(grown.molecules, [attempt.finished for attempt in grown.attempts], workers=work.workers)
    write_sdf(
        path,
        (
            SdfRecord(molecule, None if verdict.perception is None else verdict.perception.mol)
            for molecule, verdict in zip(grown.molecules, verdicts, strict=True)
        ),
    )
