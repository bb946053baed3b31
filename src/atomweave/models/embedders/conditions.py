"""What a model is told of the molecule to grow: numbers that may or may not be given, as features.

Every number is standardised by the training data's mean and deviation and pressed by asinh, so that rare large ones (a
fourth fluorine lies 20 deviations out) keep apart; Gaussians resolve the result, and one network reads them all with a
flag for each that is told. What counts atoms (n_atoms, composition) also reaches every decision as what is still to
come. Last layers begin at zero, and told nothing a model gets exactly zero: the same weights grow with and without.
"""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from ...config import Config
from ...growth.conditions import COMPOSITION, N_ATOMS, Conditions
from ...species import Species

N_GAUSSIANS, REACH = 33, 4.0
"""Centres from -REACH to REACH, asinh of 27 deviations: near the mean they lie a quarter of a deviation apart."""

RAMPS = 1.0, 4.0, 16.0, 64.0
"""Atoms still to come are read as min(1, n / ramp): one more or none, a few, half a molecule, a large one."""


class ConditionsConfig(Config):
    """What a model can be told, and how often training tells it."""

    names: tuple[str, ...] = Field(
        (), description="properties of the training data, n_atoms, composition; none: nothing can be asked"
    )
    told: float = Field(0.5, ge=0, le=1, description="share of molecules told anything, each condition at even odds")
    width: int = Field(128, ge=1, description="hidden width of the network that reads them")

    @field_validator("names")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names) or not all(names):
            raise ValueError("every condition must be named once")
        return names


class ConditionEmbedding(nn.Module):
    """Conditions as features of molecules and of decisions.

    Args:
        config: which conditions; at least one.
        species: the element vocabulary.
        width: of the result.
    """

    mean: Tensor  # (n_columns,) of the training data, as all below
    deviation: Tensor
    low: Tensor
    high: Tensor
    centres: Tensor  # (N_GAUSSIANS,)
    owner: Tensor  # (n_columns,) int64, the condition that a column belongs to
    tally: Tensor  # (n_species, n_columns), 1 where an atom of the species counts in the column

    def __init__(self, config: ConditionsConfig, species: Species, width: int) -> None:
        super().__init__()
        self.conditions, self._share = Conditions(config.names, species), config.told
        columns = self.conditions.columns
        for name, value in (("mean", 0.0), ("deviation", 1.0), ("low", -torch.inf), ("high", torch.inf)):
            self.register_buffer(name, torch.full((len(columns),), value))
        owner = torch.tensor(self.conditions.owners)
        self.register_buffer("owner", owner, persistent=False)
        tally = torch.zeros(len(species), len(columns))
        for i, name in enumerate(config.names):
            if name == N_ATOMS:
                tally[:, owner == i] = 1.0
            elif name == COMPOSITION:
                tally[:, owner == i] = torch.eye(len(species))
        self.register_buffer("tally", tally, persistent=False)
        self._counting = tally.any(0).nonzero()[:, 0].tolist()
        self.register_buffer("centres", torch.linspace(-REACH, REACH, N_GAUSSIANS), persistent=False)
        last = nn.Linear(config.width, width)
        self.network = nn.Sequential(nn.Linear(len(columns) * (N_GAUSSIANS + 2), config.width), nn.SiLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.to_come = None
        if self._counting:
            self.to_come = nn.Linear(len(self._counting) * (len(RAMPS) + 1), width, bias=False)
            nn.init.zeros_(self.to_come.weight)

    def learn_range(self, values: Tensor) -> None:
        """Store mean, deviation and range of what the training data hold, (n_molecules, n_columns), NaN for missing."""
        for column, x in enumerate(values.double().unbind(1)):
            present = x[~x.isnan()]
            if len(present):
                self.mean[column], self.low[column], self.high[column] = present.mean(), present.min(), present.max()
                self.deviation[column] = present.std(correction=0).clamp(min=1e-6)

    def remarks(self, row: NDArray) -> list[str]:
        """Return a sentence for each number asked, (n_columns,), that the training data never came near.

        Raises:
            UsageError: for a negative number of what never was negative.
        """
        return self.conditions.remarks(row, self.low.tolist(), self.high.tolist())

    def drop(self, told: Tensor, told_any: Tensor, told_each: Tensor) -> Tensor:
        """Return conditions (n_molecules, n_columns) as training tells them: some molecules hear some, others none.

        Args:
            told: (n_molecules, n_columns), all that could be told.
            told_any: (n_molecules, 1) uniform numbers, which choose the molecules that hear any.
            told_each: (n_molecules, n_names) uniform numbers, which choose what they hear.
        """
        kept = (told_any < self._share) & (told_each < 0.5)
        return torch.where(kept[:, self.owner], told, torch.nan)

    def forward(self, told: Tensor) -> Tensor:
        """Return (n_molecules, width) of conditions (n_molecules, n_columns), NaN where not told."""
        known = ~told.isnan()
        x = torch.asinh((torch.where(known, told.to(self.mean), self.mean) - self.mean) / self.deviation)
        spacing = 2 * REACH / (N_GAUSSIANS - 1)
        bumps = (-0.5 * ((x[..., None] - self.centres) / spacing).square()).exp()
        features = torch.cat([bumps, x[..., None], torch.ones_like(x)[..., None]], -1) * known[..., None]
        return self.network(features.flatten(1)) * known.any(1, keepdim=True)

    def of_decisions(self, told: Tensor, species: Tensor, prefix: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, width): conditions, and what a decision still has to bring.

        Args:
            told: (n_molecules, n_columns), NaN where not told.
            species: (n_molecules, n_atoms) in the order of growth.
            prefix: (n_molecules, n_decisions), at least 1: how many of them are placed.
        """
        features = self(told)[:, None]
        if self.to_come is None:
            return features.expand(-1, prefix.shape[1], -1)
        counts = nn.functional.one_hot(species, len(self.tally)).cumsum(1)
        row = torch.arange(len(species), device=species.device)[:, None]
        placed = counts[row, prefix - 1].to(self.tally) @ self.tally[:, self._counting]
        left = told[:, None, self._counting].to(self.tally) - placed
        known = ~left.isnan()
        left = torch.where(known, left, 0.0)
        ramps = [(left / ramp).clamp(-1, 1) for ramp in RAMPS]
        return features + self.to_come(torch.stack([*ramps, known.to(left)], -1).flatten(2))
