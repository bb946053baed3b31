"""A model without weights: what it proposes is simple arithmetic on one fragment and its uniform numbers.

There are no sums over a batch and no transcendental functions in it, so its proposals are the same to the last bit
whatever fragments stand beside each other; every difference that a test sees is the grower's.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import torch
from torch import Tensor

from atomweave.growth.trajectories import Decision, Fragments, Proposals, Trajectories
from atomweave.models.base import Model, Temperatures
from atomweave.species import Species


class ToyModel(Model):
    """Places atoms at random about 1.4 Å from a random atom; stops with probability `stop`, ends an atom with `end`."""

    n_draws = 7

    def __init__(self, stop: float = 0.1, end: float = 0.0) -> None:
        super().__init__(Species("HCO"))
        self.set_start(torch.tensor([0.5, 0.25, 0.25]))
        self.policy = SimpleNamespace(kind="nearest")
        self.stop, self.end = stop, end
        self.batches: list[Fragments] = []  # everything it was ever asked
        self.draws: list[Tensor] = []

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        raise NotImplementedError

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        raise NotImplementedError

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        self.batches.append(fragments)
        self.draws.append(uniforms)
        kind = torch.full_like(fragments.n_atoms, int(Decision.PLACE))
        kind[uniforms[:, 0] < self.stop + self.end] = int(Decision.END)
        kind[uniforms[:, 0] < self.stop] = int(Decision.STOP)
        focus = (uniforms[:, 1] * fragments.n_atoms).long()
        # An atom that has ended already is not ended again: the next one that has not is, and STOP where none is left.
        open_atoms = (fragments.awaits != 0) & (torch.arange(fragments.awaits.shape[1]) < fragments.n_atoms[:, None])
        ending = kind == Decision.END
        focus[ending] = open_atoms[ending].float().argmax(1)
        kind[ending & ~open_atoms.any(1)] = int(Decision.STOP)
        step = 2 * uniforms[:, 3:6] - 1
        step = 1.4 * temperatures.position * step / (step * step).sum(1, keepdim=True).sqrt()
        positions = fragments.positions[torch.arange(len(focus)), focus].double() + step
        return Proposals(kind, focus, (uniforms[:, 2] * 3).long(), positions.float(), -uniforms[:, 6].float())


class DyingModel(ToyModel):
    """Takes its process with it at the first decision, as a lack of memory would."""

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        os._exit(9)
