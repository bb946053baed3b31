"""The smallest model that can be taught and grown: learns how often to stop and how long a step is."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from atomweave.config import Config
from atomweave.growth.policies import NearestConfig
from atomweave.growth.trajectories import Decision, Fragments, Proposals, Trajectories
from atomweave.models.base import Model, Temperatures
from atomweave.models.noise import normal
from atomweave.species import Species


class ToyConfig(Config):
    kind: Literal["toy"] = "toy"
    elements: tuple[str, ...] = ("H", "C", "N", "O", "F")
    policy: NearestConfig = NearestConfig()
    width: int = Field(4, gt=0, description="hidden units")
    noise: float = Field(0.05, ge=0, description="Å")


class Toy(Model):
    n_draws = 4

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(Species(config.elements))
        self.config, self.policy = config, config.policy
        self.hidden = nn.Linear(2, config.width)
        self.out = nn.Linear(config.width, 2)

    def outputs(self, size: Tensor) -> tuple[Tensor, Tensor]:
        size = size[..., None].float()
        stop, length = self.out(torch.tanh(self.hidden(torch.cat([size / 20, size.sqrt() / 5], -1)))).unbind(-1)
        return stop.float(), length.float().exp()

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        t = trajectories
        stop, length = self.outputs(t.prefix)
        real, place = t.kind != Decision.PADDING, t.kind == Decision.PLACE
        focus = nn.functional.cross_entropy(
            torch.stack([torch.zeros_like(stop), stop], -1)[real], (~place[real]).long(), reduction="sum"
        )
        positions = t.positions
        if rng is not None:
            positions = positions + self.config.noise * normal(t, positions.shape[1:], rng)
        row = torch.arange(len(t.kind))[:, None].to(positions.device)
        distance = (positions[row, t.target.clamp(min=0)] - positions[row, t.focus]).norm(dim=-1)
        position = ((distance - length)[place] ** 2).sum()
        n = t.n_decisions
        return {"loss": (focus + position) / n, "focus": focus / n, "position": position / n}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        raise NotImplementedError

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        stop, length = self.outputs(fragments.n_atoms)
        stops = uniforms[:, 0] < stop.sigmoid()
        step = 2 * uniforms[:, 1:4].float() - 1
        last = fragments.positions[torch.arange(len(stop)), fragments.n_atoms - 1]
        positions = last + length[:, None] * step / step.norm(dim=1, keepdim=True)
        kind = torch.where(stops, int(Decision.STOP), int(Decision.PLACE))
        return Proposals(
            kind,
            torch.where(stops, 0, fragments.n_atoms - 1),
            torch.zeros_like(kind),
            positions,
            torch.zeros(len(stop)),
        )
