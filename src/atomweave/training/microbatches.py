"""A batch in parts that fit into memory; gradients add up to those of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ..growth.trajectories import Trajectories

Loss = Callable[[Trajectories, torch.Generator | None], dict[str, Tensor]]
"""`Model.loss` of one model, perhaps compiled."""


def split(trajectories: Trajectories, n_parts: int) -> list[Trajectories]:
    """Return the batch in at most `n_parts` runs of neighbouring molecules, equal to within one molecule."""
    n_molecules = len(trajectories.n_atoms)
    bounds = torch.linspace(0, n_molecules, min(n_parts, n_molecules) + 1).round().long().tolist()
    return [trajectories.rows(first, last) for first, last in itertools.pairwise(bounds)]


def accumulate(loss: Loss, trajectories: Trajectories, n_parts: int, rng: torch.Generator) -> dict[str, Tensor]:
    """Add the gradients of the batch's loss to the parameters and return its terms, detached.

    Every term is a mean over decisions, so a part counts by its share of them.
    """
    total = trajectories.n_decisions
    terms: dict[str, Tensor] = {}
    for part in split(trajectories, n_parts):
        share = part.n_decisions / total
        part_terms = loss(part, rng)
        (part_terms["loss"] * share).backward()
        for name, value in part_terms.items():
            terms[name] = terms.get(name, 0.0) + value.detach() * share
    return terms
