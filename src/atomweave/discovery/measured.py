"""A model measured: grow, judge, score a random part of the valid, count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..molecule import Molecule
from .drawn import Drawn, draw
from .novelty import Seen
from .plan import Plan
from .provenance import DROPPED, FAILED, INVALID, PASSED_OVER, RANDOM, SCORED, Entry, Provenance
from .tally import Tally, tally
from .work import Work

SCORES = "scores.sqlite"


@dataclass(frozen=True, eq=False)
class Measured:
    """A set of molecules, what became of each, and its figures.

    Attributes:
        drawn: the molecules.
        entries: one an attempt.
        plan: what was looked for.
    """

    drawn: Drawn
    entries: tuple[Entry, ...]
    plan: Plan

    @property
    def name(self) -> str:
        """Of the set."""
        return self.drawn.name

    def scored(self, how: str | None = None) -> list[Entry]:
        """Return the entries with a value, of those drawn in one way or of all."""
        return [entry for entry in self.entries if entry.fate == SCORED and how in {None, entry.drawn}]

    @cached_property
    def tally(self) -> Tally:
        """Figures of the random part: what the model draws."""
        return self.tally_of(RANDOM)

    def tally_of(self, how: str) -> Tally:
        """Return the figures of those drawn in one way."""
        looked_at = [entry for entry in self.entries if entry.drawn == how]
        return tally(
            self.name, len(self.entries), len(self.drawn.valid), [entry.index for entry in looked_at],
            [np.nan if entry.value is None else entry.value for entry in looked_at],
            [entry.reason for entry in looked_at], self.plan.objective,
        )  # fmt: skip


def measure(
    name: str, weights: str | Path, scored: int | None, path: Path, folder: Path, plan: Plan, seen: Seen, work: Work,
    round_: int = 0,
) -> Measured:  # fmt: skip
    """Grow `plan.number` molecules and score a random part of the valid.

    Args:
        name: of the set.
        weights: name or path.
        scored: how many of the valid; None for all.
        path: of the molecules.
        folder: of the run, which holds scores and provenance.
        plan: what is looked for.
        seen: what is in the training split.
        work: how to compute.
        round_: after which round.
    """
    drawn = draw(name, weights, plan.number, plan.seed, path, plan, work)
    lot = set(drawn.lot(scored).tolist())
    entries = [_entry(drawn, index, lot, seen, round_) for index in range(len(drawn))]
    entries = scored_entries(drawn, entries, folder, plan, work)
    Provenance(folder / "provenance.sqlite").replace(name, entries)
    return Measured(drawn, tuple(entries), plan)


def scored_entries(drawn: Drawn, entries: Sequence[Entry], folder: Path, plan: Plan, work: Work) -> list[Entry]:
    """Return entries with the outcome of every calculation that they ask for: those that were drawn and may be scored.

    Args:
        drawn: the molecules.
        entries: one an attempt.
        folder: of the run.
        plan: gives property and method.
        work: gives the executor.
    """
    asked = [entry.index for entry in entries if entry.drawn and entry.fate != FAILED]
    found = calculated([drawn.molecule(index) for index in asked], asked, drawn.name, folder, plan, work)
    return [entry.told(*found[entry.index]) if entry.index in found else entry for entry in entries]


def calculated(
    molecules: Sequence[Molecule], indices: Sequence[int], name: str, folder: Path, plan: Plan, work: Work
) -> Mapping[int, tuple[float | None, str]]:
    """Return value and reason of each molecule by its index; what was calculated before is looked up."""
    from ..properties.scoring import score

    if not molecules:
        return {}
    work.say(f"scoring {len(molecules):,} molecules: {name}, {plan.target} by {plan.method}")
    with work.progress(f"scoring {name}", "molecules") as show:
        scores = score(
            molecules, (plan.target,), plan.method, results=folder / SCORES, executor=work.executor, progress=show
        )
    return {
        index: (None, one.reason) if one.reason else (float(one.values[plan.target]), "")
        for index, one in zip(indices, scores, strict=True)
    }


def _entry(drawn: Drawn, index: int, lot: set[int], seen: Seen, round_: int) -> Entry:
    """Return the entry of an attempt before anything is calculated."""
    entry = blank(drawn, index, round_)
    if entry.fate == INVALID:
        return entry
    entry = replace(entry, novel=seen.novel(entry.smiles), drawn=RANDOM if index in lot else "")
    refused = drawn.refusals[index]
    if refused:  # drawn, it counts as a failure; else it only says why it could not have had a value
        return replace(entry, fate=FAILED if index in lot else DROPPED, reason=refused)
    return entry


def blank(drawn: Drawn, index: int, round_: int) -> Entry:
    """Return what is known of an attempt as it was grown."""
    verdict = drawn.verdicts[index]
    formula = verdict.molecule.formula if verdict.molecule is not None else ""
    fate, reason = (PASSED_OVER, "not among those drawn to be scored") if verdict.valid else (INVALID, verdict.reason)
    return Entry(drawn.name, round_, index, drawn.seed, drawn.weights, formula, verdict.smiles, fate, reason)
