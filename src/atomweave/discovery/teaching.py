"""What a round teaches: the best molecules of the data and of the run together, each once."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.store import MoleculeStore
from .measured import Measured
from .plan import Plan
from .provenance import PASSED_OVER, RANDOM, Entry
from .select import TRAIN, VALID, joined, part
from .sense import check
from .work import Work

if TYPE_CHECKING:
    from ..evaluation.validity import Verdict
    from ..molecule import Molecule

FOUND, UNCONFIRMED = "found", "unconfirmed"
"""Splits of what a round teaches: what the run found itself, and what of that only the screen has seen."""


def elite(selection: MoleculeStore, sets: Sequence[Measured], plan: Plan, work: Work) -> MoleculeStore:
    """Return the best molecules of data and run together, each once, as a store to teach.

    Its split "found" holds the run's own, "unconfirmed" those of them that only the screen has seen.

    Args:
        selection: the biased set of the data, with the splits "train" and "valid".
        sets: of the run, scored.
        plan: gives how many, and whether the screen is trusted.
        work: processes.
    """
    objective, learnt = plan.objective, sensible(selection, plan, work)
    ours = found_good(sets, plan, work)
    n_calculated = len(ours)
    if plan.trust_screen:
        ours += promising(sets, {molecule.properties["smiles"] for _, molecule in ours}, plan)
    values = np.concatenate([objective.values(selection)[learnt], [value for value, _ in ours]])
    best = objective.order(values)[: plan.elite]
    of_data, of_run = best[best < len(learnt)], best[best >= len(learnt)] - len(learnt)
    stores = [part(selection, learnt[of_data], {})] if len(of_data) else []
    if len(of_run):
        stores.append(MoleculeStore.from_molecules([ours[place][1] for place in of_run.tolist()]))
    watched = part(selection, selection.splits[VALID], {})
    splits = {
        TRAIN: np.arange(len(best)),
        FOUND: np.arange(len(of_data), len(best)),
        UNCONFIRMED: len(of_data) + np.flatnonzero(of_run >= n_calculated),
        VALID: np.arange(len(best), len(best) + len(watched)),
    }
    return joined([*stores, watched], splits)


def sensible(selection: MoleculeStore, plan: Plan, work: Work) -> np.ndarray:
    """Return indices of the best molecules of the data that pass the checks which picks pass; (up to `plan.elite`,)."""
    from ..chemistry.bonds import perceive_many

    learnt = selection.splits[TRAIN]
    order = learnt[plan.objective.order(plan.objective.values(selection)[learnt])].tolist()
    kept: list[int] = []
    for start in range(0, len(order), plan.elite):
        some = order[start : start + plan.elite]
        seen_by = perceive_many([selection[index] for index in some], work.workers)
        valid = [(index, one) for index, one in zip(some, seen_by, strict=True) if one.valid]
        found = check([one for _, one in valid], plan.sa_max, work)
        kept += [index for (index, _), sense in zip(valid, found, strict=True) if not sense.reason]
        if len(kept) >= plan.elite:
            break
    return np.array(kept[: plan.elite], np.int64)


def found_good(sets: Sequence[Measured], plan: Plan, work: Work) -> list[tuple[float, Molecule]]:
    """Return value and molecule of what sets found: good, novel, each once, and past the checks, which picks are."""
    objective = plan.objective
    found: dict[str, tuple[Entry, Verdict]] = {}
    for measured in sets:
        for entry in measured.scored():
            if entry.novel is not False and objective.good(np.array([entry.value], float))[0]:
                found.setdefault(entry.smiles, (entry, measured.drawn.verdicts[entry.index]))
    by_lot = [smiles for smiles, (entry, _) in found.items() if entry.drawn == RANDOM]
    seen_by = check(
        [verdict.perception for smiles in by_lot if (verdict := found[smiles][1]).perception is not None],
        plan.sa_max, work,
    )  # fmt: skip
    senseless = {smiles for smiles, sense in zip(by_lot, seen_by, strict=True) if sense.reason}
    return [
        (float(entry.value), replace(verdict.molecule, properties={objective.target: entry.value, "smiles": smiles}))
        for smiles, (entry, verdict) in found.items()
        if smiles not in senseless and entry.value is not None and verdict.molecule is not None
    ]


def promising(sets: Sequence[Measured], calculated: AbstractSet[Any], plan: Plan) -> list[tuple[float, Molecule]]:
    """Return predicted value and molecule of what only the screen has seen, good by it, each once.

    Args:
        sets: of the run; those of rounds hold predictions, for molecules that are novel and past the checks.
        calculated: SMILES that have a value and are left out.
        plan: what is looked for.
    """
    objective = plan.objective
    found: dict[str, tuple[float, Molecule]] = {}
    for measured in sets:
        for entry in measured.entries:
            value, molecule = entry.predicted, measured.drawn.verdicts[entry.index].molecule
            if entry.fate != PASSED_OVER or entry.smiles in calculated or value is None or molecule is None:
                continue
            if objective.good(np.array([value]))[0]:
                told = {objective.target: value, "smiles": entry.smiles}
                found[entry.smiles] = value, replace(molecule, properties=told)
    return list(found.values())
