"""Targeted discovery from one end to the other: the recipe, the rounds after it, and the report.

Every stage leaves its file in the run's folder and is passed over where that is there, so that the same command goes
on where it was interrupted:

    plan.json               the options, which a run keeps to
    selection.safetensors   the biased set of the data
    finetuned.safetensors   the model taught on it (training/ holds its log, and its checkpoints while it goes on)
    before.sdf, molecules.sdf   what the model grows before and after
    rounds/1/ ...           molecules.sdf, teaching.safetensors, finetuned.safetensors, and at the last after.sdf
    scores.sqlite           every calculation, by geometry and method
    provenance.sqlite, molecules.csv   what became of every molecule
    summary.json, report.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.store import MoleculeStore
from .finetune import finetune
from .measured import SCORES, Measured, measure
from .minima import Strain, can_tell_strain, strain
from .novelty import Seen
from .plan import Plan, keep_to
from .provenance import Provenance
from .rounds import Round, run_round
from .select import TRAIN, select
from .table2 import Row, of_data
from .work import Work

if TYPE_CHECKING:
    import numpy as np

BEFORE, FINETUNED = "before", "fine-tuned"


@dataclass(frozen=True, eq=False)
class Discovery:
    """What a run found.

    Attributes:
        plan: what it did.
        folder: where its files lie.
        data: mean, best and share of good ones of the data, of their training split and of the biased set.
        values: the property of all of the data, (n_molecules,).
        selected: the property of the biased set.
        before: the model as it was; None if it was not measured.
        finetuned: after the recipe.
        rounds: after it.
        after: the last round's model; None without rounds.
        strains: what each of `models` owes to its geometry; none where that could not be told.
    """

    plan: Plan
    folder: Path
    data: tuple[Row, ...]
    values: np.ndarray
    selected: np.ndarray
    before: Measured | None
    finetuned: Measured
    rounds: tuple[Round, ...]
    after: Measured | None
    strains: tuple[Strain, ...] = ()

    @property
    def models(self) -> tuple[Measured, ...]:
        """The sets that measure a model, in order."""
        return tuple(one for one in (self.before, self.finetuned, self.after) if one is not None)

    @property
    def sets(self) -> tuple[Measured, ...]:
        """All sets, in the order in which they were grown."""
        first = tuple(one for one in (self.before, self.finetuned) if one is not None)
        last = (self.after,) if self.after is not None else ()
        return (*first, *(one.measured for one in self.rounds), *last)


def discover(plan: Plan, data: Path, out: Path, work: Work | None = None) -> Discovery:
    """Run a plan, or what is left of it, and write its report.

    Args:
        plan: what to do.
        data: the store that the plan names.
        out: folder of the run.
        work: how to compute.

    Raises:
        UsageError: if the folder holds a run of another plan.
        InputError: if none of the data is good.
        IncompleteError: if it was interrupted; the same call goes on.
    """
    from .report import write_results

    work = work or Work()
    store, objective, chosen = MoleculeStore.open(data), plan.objective, out / "selection.safetensors"
    # What cannot be selected is refused before the folder is touched, so that it may be asked for otherwise.
    fresh = None if chosen.exists() else select(store, objective, plan.split, plan.valid_split)
    keep_to(plan, out)
    if fresh is not None:
        fresh.write(chosen)
    selection = MoleculeStore.open(chosen)
    learnt = selection.splits[TRAIN]
    work.say(f"selected {len(learnt):,} of {len(store.split(plan.split)):,} molecules: {objective.good_words}")
    seen = Seen.of(data, store, plan.split, work)

    weights = finetune(plan.model, selection, out / "finetuned.safetensors", plan, plan.epochs, "fine-tuning", work)
    before = None
    if plan.before:
        before = measure(BEFORE, plan.model, plan.before, out / "before.sdf", out, plan, seen, work)
    finetuned = measure(FINETUNED, weights, plan.scored, out / "molecules.sdf", out, plan, seen, work)

    rounds: list[Round] = []
    earlier = [one for one in (before, finetuned) if one is not None]
    for number in range(1, plan.rounds + 1):
        rounds.append(run_round(number, weights, earlier, selection, out, plan, seen, work))
        earlier.append(rounds[-1].measured)
        weights = rounds[-1].weights
    after = None
    if rounds:
        path = out / "rounds" / str(plan.rounds) / "after.sdf"
        after = measure(f"after round {plan.rounds}", weights, plan.scored, path, out, plan, seen, work, plan.rounds)

    values = objective.values(store)
    train = values[store.split(plan.split)]
    rows = (
        of_data(Path(plan.data or data).stem, f"all {len(store):,} molecules", values, objective),
        of_data(plan.split, f"{len(train):,} molecules to learn from", train, objective),
        of_data("biased set", f"{len(learnt):,} molecules taught", objective.values(selection)[learnt], objective),
    )
    models = [one for one in (before, finetuned, after) if one is not None]
    strains = tuple(strain(one, plan, out / SCORES, work) for one in models) if can_tell_strain(plan) else ()
    found = Discovery(
        plan, out, rows, values, objective.values(selection)[learnt], before, finetuned, tuple(rounds), after, strains
    )
    Provenance(out / "provenance.sqlite").write_csv(out / "molecules.csv")
    write_results(found)
    return found
