"""What every part of the naive Symphony shares: features as one tensor a degree, linear maps, normalised activations.

The reference is written to be read against the paper and the facts, one fragment at a time, with e3nn's own harmonics
and Clebsch-Gordan coefficients and nothing clever. Features are dictionaries `degree -> (n_atoms, channels, 2l + 1)`.
Weights are drawn from N(0, 1) and scaled by 1/sqrt(fan_in) in the forward pass (e3nn-jax, "path" normalisation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

CUTOFF = 5.0
"""Atoms nearer than this (Å) are neighbours."""

Features = dict[int, Tensor]


@dataclass(frozen=True)
class Graph:
    """One fragment with its directed edges; edges come from the clean geometry, also where positions carry noise."""

    species: Tensor  # (n_atoms,) int64, species index
    positions: Tensor  # (n_atoms, 3), Å
    sender: Tensor  # (n_edges,) int64
    receiver: Tensor  # (n_edges,) int64

    @property
    def vectors(self) -> Tensor:
        """(n_edges, 3) from sender to receiver, Å."""
        return self.positions[self.receiver] - self.positions[self.sender]


def fragment_graph(species: Tensor, positions: Tensor, noise: Tensor | None = None) -> Graph:
    """Return the graph of all ordered pairs nearer than `CUTOFF`; `noise` (n_atoms, 3) moves atoms afterwards."""
    distances = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
    near = (distances < CUTOFF) & ~torch.eye(len(positions), dtype=torch.bool)
    receiver, sender = near.nonzero(as_tuple=True)
    return Graph(species, positions if noise is None else positions + noise, sender, receiver)


def shifted_softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x) - log 2."""
    return softplus(x) - math.log(2)


SECOND_MOMENTS = {silu: 0.59646, softplus: 0.95981, shifted_softplus: 0.53315}
"""sqrt(E[f(z)^2]) over z ~ N(0, 1), by which e3nn divides an activation, to the digits of the published model."""


def normalised(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the activation of x divided by its second moment."""
    return activation(x) / SECOND_MOMENTS[activation]


def weight(*shape: int) -> nn.Parameter:
    """Return a parameter drawn from N(0, 1)."""
    return nn.Parameter(torch.randn(*shape))


def mix(x: Tensor, matrix: Tensor) -> Tensor:
    """Return (n, channels_out, 2l + 1) from x (n, channels_in, 2l + 1) and matrix (channels_in, channels_out)."""
    return torch.einsum("nui,uv->nvi", x, matrix) / math.sqrt(matrix.shape[0])


def sum_over_edges(messages: Tensor, receiver: Tensor, n_atoms: int) -> Tensor:
    """Return (n_atoms, ...) sums of the messages (n_edges, ...) that each atom receives."""
    return messages.new_zeros(n_atoms, *messages.shape[1:]).index_add(0, receiver, messages)
