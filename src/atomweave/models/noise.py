"""Random numbers of teaching: a molecule gets the same ones in whichever part of its batch it is computed.

A part draws what the whole batch would and keeps its own rows, so that neither micro-batches nor the number of
processes change what is taught. A draw costs microseconds, a part milliseconds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..growth.trajectories import Trajectories


def uniform(trajectories: Trajectories, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Return (n_molecules, *shape) numbers, uniform in [0, 1), of the type of the positions."""
    return _own_rows(trajectories, torch.rand(_n_whole(trajectories), *shape, generator=rng))


def normal(trajectories: Trajectories, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Return (n_molecules, *shape) standard normal numbers of the type of the positions."""
    return _own_rows(trajectories, torch.randn(_n_whole(trajectories), *shape, generator=rng))


def _n_whole(t: Trajectories) -> int:
    return len(t.n_atoms) if t.n_whole is None else t.n_whole


def _own_rows(t: Trajectories, drawn: Tensor) -> Tensor:
    return drawn[t.first_row : t.first_row + len(t.n_atoms)].to(t.positions)
