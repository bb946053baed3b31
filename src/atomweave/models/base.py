"""What every model promises: one distribution over decisions, to teach, to measure and to draw from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from ..config import Config
from ..growth.conditions import Conditions
from ..growth.trajectories import Fragments, Proposals, Trajectories
from ..species import Species

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..growth.policies import PolicyConfig
    from ..molecule import Molecule
    from .embedders.conditions import ConditionEmbedding
    from .likelihood import LogLikelihood
    from .weights import Card


class Temperatures(Config):
    """Temperatures of the decisions when growing; 1 draws from the model's own distribution."""

    focus: float = Field(1.0, gt=0, description="divides the logits of focus, species and STOP")
    position: float = Field(1.0, gt=0, description="tempers the density of the position")
    tempering: Literal["exact", "coefficients"] = Field(
        "exact",
        description="exact: the mixture's density to the power 1/T; coefficients: each channel's coefficients "
        "are divided by T before the mixture is formed, as the published figures were made",
    )
    # Of models that draw these one by one, G-SphereNet so far. Where the density is a Gaussian a temperature multiplies
    # its standard deviation, as published; elsewhere the density is taken to the power 1 / T.
    species: float | None = Field(None, gt=0, description="of the element; null is that of the focus")
    distance: float | None = Field(None, gt=0, description="of the distance to the focus; null is that of the position")
    angle: float | None = Field(None, gt=0, description="of the angle at the focus; null is that of the position")
    torsion: float | None = Field(None, gt=0, description="of the torsion; null is that of the position")
    focus_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="of models that classify atoms: those that have all their neighbours with a probability below it "
        "may be the focus; null draws which may",
    )


TEMPERATURES = {
    "own": Temperatures(),
    "published": Temperatures(species=0.5, distance=0.3, angle=0.4, torsion=1.0, focus_threshold=0.5),
}
"""Temperatures by name: the model's own distribution, and those of the published figures (Luo and Ji, ICLR 2022,
appendix C; Symphony's were made at 1)."""


class Memory(Protocol):
    """What a model keeps of fragments that grow, by row."""

    def of(self, rows: Tensor) -> Memory:
        """Return the memory of some rows; what is added to it stays in the whole."""


class Model(nn.Module, ABC):
    """A distribution over decisions, hence over trajectories.

    Attributes:
        config: what `build_model` makes the model of.
        card: what loaded weights say about themselves; only `load_model` sets it.
        species: the element vocabulary.
        policy: configuration of the growth policy (`growth.policies.PolicyConfig`) that teaches it.
        start_log_probs: (n_species,) buffer, log-probability of the first atom's species in the training data under
            the policy's start rule; -inf where a species never starts. Set once by training (`set_start`).
        condition_embedding: reads what is asked of a molecule; None where nothing can be.
        n_draws: how many uniform numbers one decision takes.
        cpu_slots: fragments that it sees at a time when it grows on a CPU, unless the caller says so.
    """

    config: Config
    card: Card
    species: Species
    policy: PolicyConfig
    start_log_probs: Tensor
    condition_embedding: ConditionEmbedding | None
    n_draws: int
    cpu_slots: int = 64  # 128 would be an eighth faster for a small Symphony, no faster for a large, and take memory

    def __init__(self, species: Species) -> None:
        super().__init__()
        self.species = species
        self.condition_embedding = None
        uniform = torch.full((len(species),), -torch.log(torch.tensor(float(len(species)))).item())
        self.register_buffer("start_log_probs", uniform)

    def set_start(self, probabilities: Tensor) -> None:
        """Store the distribution of the first atom's species, (n_species,) summing to 1."""
        self.start_log_probs.copy_(probabilities.log())

    def hidden_matrices(self) -> Iterable[Tensor]:
        """Return the weights that map hidden features to hidden features, which Muon may move; none by default."""
        return ()

    def rows_per_element(self) -> dict[str, tuple[int, int]]:
        """Return the tensors that begin with rows for every element, in the vocabulary's order; none by default.

        Returns:
            The dimension of these rows and how many an element has, by the tensor's name in `state_dict()`.
        """
        return {}

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.start_log_probs.device

    @property
    def conditions(self) -> Conditions:
        """What the model can be told of a molecule to grow; empty where nothing."""
        embedding = self.condition_embedding
        return Conditions((), self.species) if embedding is None else embedding.conditions

    def start_given(self, conditions: Tensor | None) -> Tensor:
        """Return log-probabilities of the first atom's species, (n_molecules, n_species), or (1, n_species) for all.

        They do not depend on what is told, but for a composition: its atoms are the ones that can be first.

        Args:
            conditions: (n_molecules, n_columns), NaN where nothing is told; None tells nothing.
        """
        start = self.start_log_probs[None]
        if conditions is None or conditions[:, self.conditions.composition].shape[1] == 0:
            return start
        counts = conditions[:, self.conditions.composition].to(start)
        # Every atom is as likely as another to be the first, if its element ever is.
        can = torch.where(start.isfinite(), counts, 0.0)
        can = torch.where(can.any(1, keepdim=True), can, counts)
        told = (can / can.sum(1, keepdim=True)).log()
        return torch.where(counts.isnan().any(1, keepdim=True), start, told)

    @abstractmethod
    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Return scalar terms in nats, each a mean over the batch's decisions; "loss" is what training minimises.

        Args:
            trajectories: the batch; what it says of `conditions` is told in part (see `ConditionsConfig`).
            rng: drives noise, random grids and what is told; None evaluates without noise and without randomness, and
                tells everything.
        """

    @abstractmethod
    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) exact joint log-densities, start included, positions per Å^3, in nats.

        All decisions of each molecule must be present.
        """

    def remember(self, n_fragments: int, max_atoms: int) -> Memory | None:
        """Return room for what `propose` may keep of fragments from one decision to the next, or None.

        A fragment may only gain atoms behind those it has; whatever is kept of it must not change what is proposed.
        """
        return None

    @abstractmethod
    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment.

        Args:
            fragments: the batch.
            uniforms: (n_fragments, n_draws) float64 in (0, 1); the draw is a function of these and the fragment alone.
            temperatures: 1 draws from the model's own distribution.
        """

    def sample(self, n_molecules: int, seed: int = 0, **options: Any) -> list[Molecule]:
        """Grow molecules from scratch; options as in `atomweave.growth.grower.grow`."""
        from ..growth.grower import grow

        return grow(self, n_molecules, seed=seed, **options).molecules

    def log_likelihood(self, molecule: Molecule, n_orders: int = 16, seed: int = 0) -> LogLikelihood:
        """Return a lower bound on the log-density of one molecule; see `atomweave.log_likelihood` for many."""
        from .likelihood import log_likelihood

        return log_likelihood(self, [molecule], n_orders, seed)[0]
