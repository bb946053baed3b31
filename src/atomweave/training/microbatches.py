"""A batch in parts that fit into memory; gradients add up to those of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ..growth.trajectories import Trajectories
from .distributed import ALONE, Processes

Loss = Callable[[Trajectories, torch.Generator | None], dict[str, Tensor]]
"""`Model.loss` of one model, perhaps compiled."""


def split(trajectories: Trajectories, n_parts: int) -> list[Trajectories]:
    """Return the batch in at most `n_parts` runs of neighbouring molecules, equal to within one molecule."""
    n_molecules = len(trajectories.n_atoms)
    bounds = torch.linspace(0, n_molecules, min(n_parts, n_molecules) + 1).round().long().tolist()
    return [trajectories.rows(first, last) for first, last in itertools.pairwise(bounds)]


def accumulate(
    loss: Loss, trajectories: Trajectories, n_parts: int, rng: torch.Generator, processes: Processes = ALONE
) -> dict[str, Tensor]:
    """Add the gradients of the batch's loss to the parameters and return its terms, detached.

    Every term is a mean over decisions, so a part counts by its share of them. Several processes take equally many
    parts each, as they come by turns; their gradients and terms sum to those of the whole.
    """
    total = trajectories.n_decisions
    terms: dict[str, Tensor] = {}
    n_parts = -(-n_parts // processes.size) * processes.size
    for part in split(trajectories, n_parts)[processes.rank :: processes.size]:
        share = part.n_decisions / total
        part_terms = loss(part, rng.clone_state())
        (part_terms["loss"] * share).backward()
        for name, value in part_terms.items():
            terms[name] = terms.get(name, 0.0) + value.detach() * share
    if not terms:  # fewer molecules than processes: one without any knows only what the terms are called
        with torch.no_grad():
            terms = {name: 0.0 * value for name, value in loss(trajectories.rows(0, 1), rng.clone_state()).items()}
    return terms
