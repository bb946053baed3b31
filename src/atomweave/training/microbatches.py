"""A batch in parts that fit into memory, or that run side by side; gradients add up to those of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ..growth.trajectories import Trajectories
from .abreast import Abreast
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


def accumulate_abreast(
    loss: Loss,
    parameters: list[Tensor],
    trajectories: Trajectories,
    n_parts: int,
    rng: torch.Generator,
    processes: Processes,
    abreast: Abreast,
) -> dict[str, Tensor]:
    """Do what `accumulate` does, with each part cut in `abreast.n` that are computed side by side.

    Every part has gradients of its own, and these are added in the order of the molecules: a run repeats itself bit for
    bit, however fast its threads are.

    Args:
        loss: must not keep casts of the weights (autocast's cache): one thread would clear them under another.
        parameters: that `loss` depends on; their gradients are set.
        trajectories: the batch.
        n_parts: that are in memory one after the other.
        rng: of the noise.
        processes: that share the parts.
        abreast: the threads.
    """
    total = trajectories.n_decisions
    wanted = -(-n_parts * abreast.n // processes.size) * processes.size
    parts = split(trajectories, wanted)[processes.rank :: processes.size]
    if not parts:
        return accumulate(loss, trajectories, n_parts, rng, processes)

    def compute(part: Trajectories, rng: torch.Generator) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        share = part.n_decisions / total
        terms = loss(part, rng)
        gradients = torch.autograd.grad(terms["loss"] * share, parameters, allow_unused=True)
        return {name: value.detach() * share for name, value in terms.items()}, gradients

    sums: dict[str, Tensor] = {}
    for parameter in parameters:
        parameter.grad = None
    for terms, gradients in abreast.map(compute, parts, [rng.clone_state() for _ in parts]):
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
    return sums
