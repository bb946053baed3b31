"""The validation loss: always the same molecules, grown in the same order, without noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..data.store import MoleculeStore
from ..errors import AtomweaveError, InputError
from ..growth.loader import Batches
from ..growth.trajectories import Trajectories
from ..models.base import Model
from ..randomness import fold_in
from .config import TrainingConfig
from .microbatches import Loss


def split_indices(store: MoleculeStore, split: str, field: str) -> np.ndarray:
    """Return the molecules of a split; "all" names every molecule unless the store has a split of that name.

    Raises:
        InputError: if there is no such split; the message names the configuration's field.
    """
    if split == "all" and split not in store.splits:
        return np.arange(len(store))
    try:
        return store.split(split)
    except AtomweaveError as error:
        raise InputError(f"training.{field}: {error} Or take every molecule: training.{field}=all") from None


class Validation:
    """A fixed set of trajectories and the mean loss over their decisions.

    Args:
        config: names the split and the number of molecules.
        store: the molecules.
        model: gives elements and growth policy.
    """

    def __init__(self, config: TrainingConfig, store: MoleculeStore, model: Model) -> None:
        indices = split_indices(store, config.valid_split, "valid_split")
        seed = fold_in(config.seed, "validation")
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(indices))
        chosen = indices[order[: config.validation_molecules]]
        batches = Batches(
            store, chosen, model.species, model.policy, config.molecules_per_batch, None, seed, model.conditions
        )
        self._trajectories = [batches.batch(step) for step in range(batches.batches_per_epoch)]

    @torch.no_grad()
    def measure(self, loss: Loss, device: torch.device) -> dict[str, float]:
        """Return every loss term, a mean over decisions, in nats; `loss_told` is that of a model told all."""
        untold = self._means([replace(t, conditions=None) for t in self._trajectories], loss, device)
        if any(t.conditions is None for t in self._trajectories):
            return untold
        return untold | {"loss_told": self._means(self._trajectories, loss, device)["loss"]}

    @staticmethod
    def _means(batches: list[Trajectories], loss: Loss, device: torch.device) -> dict[str, float]:
        sums: dict[str, float] = {}
        for trajectories in batches:
            for name, value in loss(trajectories.to(device), None).items():
                sums[name] = sums.get(name, 0.0) + float(value) * int(trajectories.n_decisions)
        n_decisions = sum(int(trajectories.n_decisions) for trajectories in batches)
        return {name: total / n_decisions for name, total in sums.items()}
