"""Teaching trained weights a biased set, by the one training loop there is."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from ..data.store import MoleculeStore
from ..errors import IncompleteError
from ..models.presets import preset_names
from ..models.weights import Card, load_model, read_card, save_weights
from ..randomness import fold_in
from ..training.config import RunConfig, TrainingConfig, load_config
from ..training.loop import train
from .plan import Plan
from .select import TRAIN, VALID
from .work import Work

OF_THE_MODEL = {"autocast", "clip_norm", "decisions_per_molecule", "micro_batches", "ema_decay"}
"""What the preset of a model's kind says about how it is computed; a recipe says the rest."""


def finetune(
    weights: str | Path, store: MoleculeStore, target: Path, plan: Plan, epochs: int, stage: str, work: Work
) -> Path:
    """Return `target`, weights taught the split "train" of a store; if they are not there yet, they are made.

    Args:
        weights: to begin with.
        store: with splits "train" and "valid".
        target: file of the outcome; the training run lies in a folder beside it, and goes on there if interrupted.
        plan: gives learning rate, batch and seed.
        epochs: passes over the split.
        stage: names the random numbers.
        work: device and threads.

    Raises:
        IncompleteError: if it was interrupted.
    """
    if target.exists():
        return target
    model = read_card(weights)[1]
    config = RunConfig.model_validate({"model": model, "training": settings(model, store, plan, epochs, stage, work)})
    n_train = len(store.splits[TRAIN])
    work.say(f"{stage}: molecules {n_train:,}, epochs {epochs}, steps {config.training.n_steps:,}")
    folder = target.with_name("training")
    data = f"{plan.data}, {plan.objective.good_words},"
    outcome = train(config, store, folder, init_from=weights, data_name=data)
    if not outcome.finished:
        raise IncompleteError(f"{stage}: {outcome.reason}; run the same command again to go on.")
    # The last weights, as published: the recipe says how long, and no sample or loss chooses among the steps.
    taught = load_model(folder / "last.safetensors")
    save_weights(target, taught, taught.config, _card(taught.card, plan, stage, epochs, n_train))
    shutil.rmtree(folder / "checkpoints")  # as large as the weights several times over, and of no use any more
    for spare in ("last.safetensors", "best.safetensors"):
        (folder / spare).unlink(missing_ok=True)
    return target


def settings(model: Any, store: MoleculeStore, plan: Plan, epochs: int, stage: str, work: Work) -> dict[str, Any]:
    """Return the training section: plain Adam at a constant rate, as published, after a short warm-up.

    The published fine-tuning has no warm-up. Its length here, a tenth of the steps and at most 200, only spares the
    weights the first steps of Adam, whose moments begin empty.
    """
    per_epoch = math.ceil(len(store.splits[TRAIN]) / plan.batch)
    n_steps = epochs * per_epoch
    kind = getattr(model, "kind", "")
    base = load_config(kind).training if kind in preset_names() else TrainingConfig()
    return base.model_dump(include=OF_THE_MODEL) | {
        "seed": fold_in(plan.seed, stage) % 2**31,
        "n_steps": n_steps,
        "molecules_per_batch": plan.batch,
        "learning_rate": plan.learning_rate,
        "init_warmup_steps": min(200, n_steps // 10),
        "train_split": TRAIN,
        "valid_split": VALID,
        "validation_every": 5 * per_epoch,
        "samples_every": None,
        "checkpoint_every": max(1, min(500, n_steps // 4)),
        "device": work.device,
        "threads": work.threads,
    }


def _card(taught: Card, plan: Plan, stage: str, epochs: int, n_train: int) -> Card:
    """Return what the new weights say of themselves."""
    name = Path(plan.model).stem
    summary = (
        f"{name}, {stage}: {n_train:,} molecules with {plan.objective.good_words}, {epochs} epochs at "
        f"{plan.learning_rate:g}, batches of {plan.batch}."
    )
    return taught.model_copy(update={"name": f"{name}-{plan.target}", "summary": summary})
