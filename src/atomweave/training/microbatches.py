"""A batch in parts that fit into memory; gradients add up to those of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..growth.trajectories import Trajectories

Loss = Callable[[Trajectories, torch.Generator | None], dict[str, Tensor]]
"""`Model.loss` of one model, perhaps compiled."""


def split(trajectories: Trajectories, n_parts: int) -> list[Trajectories]:
    """Return the batch in at most `n_parts` runs of neighbouring molecules, equal to within one molecule."""
    n_molecules = len(trajectories.n_atoms)
    bounds = torch.linspace(0, n_molecules, min(n_parts, n_molecules) + 1).round().long().tolist()
    return [_molecules(trajectories, first, last) for first, last in itertools.pairwise(bounds)]


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


def _molecules(trajectories: Trajectories, first: int, last: int) -> Trajectories:
    rows = {
        name: getattr(trajectories, name)[first:last]
        for name in ("species", "positions", "n_atoms", "kind", "prefix", "focus", "target")
    }
    molecule = trajectories.alternative_molecule
    here = (molecule >= first) & (molecule < last)
    return replace(
        trajectories,
        **rows,
        alternative_molecule=molecule[here] - first,
        alternative_decision=trajectories.alternative_decision[here],
        alternative_focus=trajectories.alternative_focus[here],
        alternative_target=trajectories.alternative_target[here],
    )
