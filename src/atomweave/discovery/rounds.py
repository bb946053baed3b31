"""Rounds after the recipe: grow many, pick the most promising, calculate these, teach the best of all so far.

A round's budget of calculations has two parts. A fifth goes to valid molecules drawn by lot, before anything is known
of them: they say what the model draws, picks left aside. The others go to the best by the screen among those that are
new, distinct and pass the checks of `sense`. All of these lie at their `minima`, unless the plan wants them as grown.
Whatever gets a value may teach the next model; where the screen is trusted, so may those that it has seen and no budget
was left for, by their calibrated value.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.store import MoleculeStore
from .drawn import Drawn, draw
from .finetune import finetune
from .measured import SCORES, Measured, blank, scored_entries
from .minima import at_minima
from .novelty import Seen
from .plan import Plan
from .provenance import DROPPED, FAILED, PASSED_OVER, PICKED, RANDOM, SCORED, Entry, Provenance
from .screening import Calibration, features
from .select import TRAIN
from .sense import check
from .teaching import FOUND, UNCONFIRMED, elite
from .work import Work

if TYPE_CHECKING:
    from ..chemistry.bonds import Perception
    from ..molecule import Molecule

BY_LOT = 5
"""One in so many calculations of a round goes to a molecule drawn by lot."""


@dataclass(frozen=True, eq=False)
class Round:
    """What came of one round.

    Attributes:
        number: from 1.
        measured: its molecules.
        calibration: by which they were picked; None where nothing had been calculated before.
        taught: how many molecules taught the next model, how many of these the run itself found, and how many of those
            only the screen has seen.
        weights: of the next model.
    """

    number: int
    measured: Measured
    calibration: Calibration | None
    taught: tuple[int, int, int]
    weights: Path


def run_round(
    number: int, weights: Path, earlier: Sequence[Measured], selection: MoleculeStore, folder: Path, plan: Plan,
    seen: Seen, work: Work,
) -> Round:  # fmt: skip
    """Run one round, or what is left of it.

    Args:
        number: from 1.
        weights: to grow with.
        earlier: every set that was scored before.
        selection: the biased set of the data.
        folder: of the run.
        plan: what is looked for.
        seen: what is in the training split.
        work: how to compute.
    """
    name, own = f"round {number}", folder / "rounds" / str(number)
    drawn = draw(name, weights, plan.grow, plan.seed + number, own / "molecules.sdf", plan, work)
    known = {entry.smiles for measured in earlier for entry in measured.entries if entry.fate in {SCORED, FAILED}}
    begun = pursued(drawn, number, known, plan, seen)
    if plan.relax_by is not None:
        drawn = at_minima(drawn, _open(begun), plan.relax_by, folder / SCORES, work)
    calibration = calibrated(earlier, folder, plan, work)
    provenance = Provenance(folder / "provenance.sqlite")
    entries = provenance.entries(name)
    if not entries:
        entries = picked(drawn, begun, calibration, folder, plan, work)
        provenance.replace(name, entries)
    entries = scored_entries(drawn, entries, folder, plan, work)
    provenance.replace(name, entries)
    measured = Measured(drawn, tuple(entries), plan)
    lesson = own / "teaching.safetensors"
    if not lesson.exists():
        elite(selection, [*earlier, measured], plan, work).write(lesson)
    pool = MoleculeStore.open(lesson)
    taught = finetune(weights, pool, own / "finetuned.safetensors", plan, plan.round_epochs, name, work)
    n_train, n_found, n_unconfirmed = (len(pool.splits[name]) for name in (TRAIN, FOUND, UNCONFIRMED))
    return Round(number, measured, calibration, (n_train, n_found, n_unconfirmed), taught)


def pursued(drawn: Drawn, number: int, known: AbstractSet[str], plan: Plan, seen: Seen) -> list[Entry]:
    """Return one entry an attempt, before anything is calculated: some are drawn by lot, others dropped, the rest open.

    Args:
        drawn: the molecules.
        number: of the round.
        known: SMILES that were scored in earlier sets.
        plan: gives the budget.
        seen: what is in the training split.
    """
    lot = set(drawn.lot(_n_by_lot(plan)).tolist())
    entries = [blank(drawn, index, number) for index in range(len(drawn))]
    taken = set(known)
    for index in drawn.valid.tolist():
        entry = replace(entries[index], novel=seen.novel(entries[index].smiles))
        refused = drawn.refusals[index]
        if index in lot:
            entry = replace(entry, drawn=RANDOM, fate=FAILED if refused else entry.fate, reason=refused or entry.reason)
        elif reason := refused or _repeated(entry, taken):
            entry = replace(entry, fate=DROPPED, reason=reason)
        taken.add(entry.smiles)
        entries[index] = entry
    return entries


def picked(
    drawn: Drawn, begun: Sequence[Entry], calibration: Calibration | None, folder: Path, plan: Plan, work: Work
) -> list[Entry]:
    """Return one entry an attempt that says what becomes of it: to be scored by lot, picked, passed over or dropped.

    Args:
        drawn: the molecules, those that are open at their minima if these are what is looked at.
        begun: what `pursued` says of them.
        calibration: of the screen; None ranks by the screened value itself.
        folder: of the run.
        plan: gives the budget.
        work: how to compute.
    """
    entries = list(begun)
    for index, reason in drawn.lost.items():
        entries[index] = replace(entries[index], fate=FAILED if entries[index].drawn else DROPPED, reason=reason)
    open_ = [index for index in _open(entries) if not entries[index].drawn]
    for index, found in zip(open_, check(_perceptions(drawn, open_), plan.sa_max, work), strict=True):
        fate = DROPPED if found.reason else PASSED_OVER
        entries[index] = replace(
            entries[index], synthetic_accessibility=found.accessibility, fate=fate, reason=found.reason
        )
    open_ = [index for index in open_ if entries[index].fate == PASSED_OVER]
    molecules = _molecules(drawn, open_)
    screened = screen(molecules, folder, plan, work, f"of {drawn.name}")
    has = np.isfinite(screened)
    for index in np.array(open_)[~has].tolist():
        entries[index] = replace(entries[index], fate=DROPPED, reason=f"no value by {plan.screen}")
    kept = [index for index, one in zip(open_, has.tolist(), strict=True) if one]
    x = features(_molecules(drawn, kept), screened[has])
    predicted = screened[has] if calibration is None else calibration.predict(x)
    for place, at in enumerate(plan.objective.order(predicted).tolist()):
        told = {"screened": float(screened[has][at])}
        if calibration is not None:
            told["predicted"] = float(predicted[at])
        among = place < plan.budget - _n_by_lot(plan)
        entries[kept[at]] = replace(
            entries[kept[at]], drawn=PICKED if among else "", reason="" if among else "others promise more", **told
        )
    return entries


def calibrated(earlier: Sequence[Measured], folder: Path, plan: Plan, work: Work) -> Calibration | None:
    """Return the fit of the property on everything that has a value so far; None where that is nothing."""
    pairs = [(one.drawn.molecule(entry.index), entry.value) for one in earlier for entry in one.scored()]
    molecules = [molecule for molecule, _ in pairs]
    values = np.array([value for _, value in pairs], float)
    screened = screen(molecules, folder, plan, work, "for the calibration")
    has = np.isfinite(screened)
    if not has.any():
        return None
    return Calibration.fit(features(molecules, screened)[has], values[has])


def screen(molecules: Sequence[Molecule], folder: Path, plan: Plan, work: Work, what: str) -> np.ndarray:
    """Return what the screening method finds for each molecule; (n,), NaN where it finds nothing."""
    from ..properties.scoring import score

    if not molecules:
        return np.zeros(0)
    work.say(f"screening {len(molecules):,} molecules {what}: {plan.target} by {plan.screen}")
    with work.progress("screening", "molecules") as show:
        found = score(
            molecules, (plan.target,), plan.screen, results=folder / SCORES, executor=work.executor, progress=show
        )
    return np.array([np.nan if one.reason else one.values[plan.target] for one in found])


def _n_by_lot(plan: Plan) -> int:
    """Return how many calculations of a round go to molecules drawn by lot."""
    return max(1, plan.budget // BY_LOT)


def _open(entries: Sequence[Entry]) -> list[int]:
    """Return the attempts of which something may yet come."""
    return [entry.index for entry in entries if entry.fate == PASSED_OVER]


def _repeated(entry: Entry, taken: set[str]) -> str:
    """Return why a molecule needs no calculation: there was one, or the data hold its value."""
    if entry.smiles in taken:
        return "drawn before"
    return "in the training data" if entry.novel is False else ""


def _perceptions(drawn: Drawn, indices: Sequence[int]) -> list[Perception]:
    found = [drawn.verdicts[index].perception for index in indices]
    return [perception for perception in found if perception is not None]


def _molecules(drawn: Drawn, indices: Sequence[int]) -> list[Molecule]:
    return [drawn.molecule(index) for index in indices]
