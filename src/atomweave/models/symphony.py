"""Symphony (Daigavane et al. 2024): an E(3)-equivariant distribution over the next atom, by spherical harmonics.

    fragment -> focus embedder    -> one softmax over (focus, species) and STOP
    fragment -> position embedder -> features at the focus -> density of the position around it

The two embedders share nothing unless told so. Teaching minimises the KL divergences from the growth policy's choices
and from the target position; growing draws from the same two distributions.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from ..config import Config
from ..geometry.edges import pairs_within, prefix_rows
from ..geometry.rotations import random_rotation
from ..growth.policies import NearestConfig
from ..growth.trajectories import Decision, Fragments, Proposals, Trajectories, focus_species_targets
from ..species import Species
from .base import Model, Temperatures
from .embedders import EmbedderConfig, build_embedder
from .embedders.e3schnet import E3SchNetConfig
from .embedders.equivariant import Features
from .embedders.equivariant_embedder import EquivariantEmbedder
from .embedders.nequip import NequIPConfig
from .heads.angular import draw_index
from .heads.continuous import ContinuousHead, ContinuousHeadConfig
from .heads.focus import FocusHead, FocusHeadConfig, focus_divergence
from .heads.shells import ShellHead, ShellHeadConfig
from .noise import normal

Place = tuple[Tensor, Tensor, Tensor]  # (molecule, decision, focus atom) of each placement, (n_placements,) each


class NoiseConfig(Config):
    """Noise on the positions that are read while teaching; robustness against the model's own errors when growing."""

    std: float = Field(0.05, ge=0, description="standard deviation on every coordinate, Å")
    moves_target: bool = Field(
        False,
        description="false: the vector from focus to target stays clean, as in the published runs; "
        "true: the target stays where it is, and the vector starts at the moved focus",
    )


class SymphonyConfig(Config):
    """The parts of Symphony; the defaults are the published model."""

    kind: Literal["symphony"] = "symphony"
    species: tuple[str, ...] = Field(("H", "C", "N", "O", "F"), min_length=1, description="elements, in index order")
    policy: NearestConfig = NearestConfig()
    focus_embedder: EmbedderConfig = E3SchNetConfig()
    position_embedder: EmbedderConfig | None = Field(
        NequIPConfig(), description="null: the focus embedder serves both, which the thesis found worse"
    )
    focus_head: FocusHeadConfig = FocusHeadConfig()
    position_head: Annotated[ShellHeadConfig | ContinuousHeadConfig, Field(discriminator="radius")] = ShellHeadConfig()
    noise: NoiseConfig = NoiseConfig()

    @field_validator("species")
    @classmethod
    def _known(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        Species(symbols)
        return symbols


class Symphony(Model):
    """The wiring of the model: see the module's docstring."""

    config: SymphonyConfig

    def __init__(self, config: SymphonyConfig) -> None:
        super().__init__(Species(config.species))
        self.config, self.policy = config, config.policy
        n_species = len(self.species)
        self.focus_embedder = build_embedder(config.focus_embedder, n_species)
        # None where the focus embedder serves both: a module registered twice would be stored twice.
        self.position_embedder = (
            None if config.position_embedder is None else build_embedder(config.position_embedder, n_species)
        )
        self.focus_head = FocusHead(config.focus_head, self.focus_embedder.channels, n_species)
        embedder = self._embedder_of_positions
        sizes = embedder.channels, embedder.lmax, n_species
        self.position_head: ContinuousHead | ShellHead
        if isinstance(config.position_head, ContinuousHeadConfig):
            self.position_head = ContinuousHead(config.position_head, *sizes)
        else:
            self.position_head = ShellHead(config.position_head, *sizes)
        self.n_draws = 1 + self.position_head.n_draws

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Return the mean over decisions of the focus and position divergences; see `Model.loss`."""
        t = trajectories
        positions, rotation = t.positions, None
        if rng is not None:
            noise = normal(t, t.positions.shape[1:], rng)
            positions = t.positions + self.config.noise.std * noise
            rotation = random_rotation(rng)
        focus_logits, place, features = self._read(t, positions)
        stop = t.kind == Decision.STOP
        targets = focus_species_targets(t, len(self.species))
        terms = {"focus": focus_divergence(focus_logits, targets, stop)[t.kind != Decision.PADDING].sum()}
        species, vectors = self._targets(t, place, positions if self.config.noise.moves_target else t.positions)
        position_terms = self.position_head.divergence(features, species, vectors, rotation)
        terms |= {name: term.sum() for name, term in position_terms.items()}
        n_decisions = t.n_decisions
        terms = {name: term / n_decisions for name, term in terms.items()}
        return {"loss": terms["focus"] + terms["position"], **terms}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) joint log-densities; see `Model.log_prob`."""
        t = trajectories
        focus_logits, place, features = self._read(t, t.positions)
        log_p = focus_logits.log_softmax(-1)
        species, vectors = self._targets(t, place, t.positions)
        molecule, decision, focus = place
        total = self.start_log_probs[t.species[:, 0]]
        total = total + torch.where(t.kind == Decision.STOP, log_p[..., 0], 0.0).sum(1)
        chosen = log_p[molecule, decision, 1 + focus * len(self.species) + species]
        position = self.position_head.log_prob(features, species, vectors)
        return total.index_add(0, molecule, chosen + position)

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment: STOP or (focus, species) first, a position only where one is needed."""
        f = fragments
        n_fragments, n_species = len(f.n_atoms), len(self.species)
        rows = prefix_rows(f.n_atoms[:, None], f.species.shape[1])
        pairs = pairs_within(f.positions, f.n_atoms, self.focus_embedder.config.cutoff)
        invariants = self.focus_embedder(pairs, f.species, rows, lmax=0)[0][0]
        logits = self.focus_head(invariants, rows.row)[:, 0]
        # It was never taught that atoms end; where some have, it is conditioned on a focus among the others.
        ended = nn.functional.pad((f.awaits == 0).repeat_interleave(n_species, 1), (1, 0))  # never STOP
        logits = logits.masked_fill(ended, -torch.inf)
        log_p = logits.log_softmax(-1)
        # STOP's logit is zero at any temperature, so that dividing all logits tempers STOP as well.
        choice = draw_index((logits / temperatures.focus).softmax(-1), uniforms[:, 0])
        log_prob = log_p.gather(1, choice[:, None])[:, 0]
        placed = (choice > 0).nonzero()[:, 0]
        kind = torch.where(choice > 0, int(Decision.PLACE), int(Decision.STOP))
        focus = torch.where(choice > 0, (choice - 1).div(n_species, rounding_mode="floor"), 0)
        species = torch.where(choice > 0, (choice - 1) % n_species, 0)
        positions = f.positions.new_zeros(n_fragments, 3)
        if len(placed):
            growing = Fragments(f.species[placed], f.positions[placed], f.n_atoms[placed], f.awaits[placed], f.policy)
            features = self._features_at_focus(growing, focus[placed])
            vectors, position_log_prob = self.position_head.draw(
                features, species[placed], uniforms[placed, 1:], temperatures
            )
            positions[placed] = f.positions[placed, focus[placed]] + vectors
            log_prob[placed] += position_log_prob
        return Proposals(kind, focus, species, positions, log_prob)

    @property
    def _embedder_of_positions(self) -> EquivariantEmbedder:
        return self.focus_embedder if self.position_embedder is None else self.position_embedder

    def _features_at_focus(self, fragments: Fragments, focus: Tensor) -> Features:
        f = fragments
        rows = prefix_rows(f.n_atoms[:, None], f.species.shape[1])
        embedder = self._embedder_of_positions
        pairs = pairs_within(f.positions, f.n_atoms, embedder.config.cutoff)
        each = torch.arange(len(focus), device=focus.device)
        return embedder(pairs, f.species, rows, at=(each, torch.zeros_like(each), focus))

    def _read(self, t: Trajectories, positions: Tensor) -> tuple[Tensor, Place, Features]:
        """Return the focus logits of all decisions, the placements, and the features at their foci.

        Edges follow the clean positions of `t`, vectors the `positions` given.
        """
        rows = prefix_rows(t.prefix, t.species.shape[1])
        molecule, decision = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        place = molecule, decision, t.focus[molecule, decision]
        pairs = pairs_within(positions, t.n_atoms, self.focus_embedder.config.cutoff, t.positions)
        if self.position_embedder is None:
            everywhere = self.focus_embedder(pairs, t.species, rows)
            chosen = rows.row[place]
            features = [x.index_select(1, chosen) for x in everywhere]
        else:
            everywhere = self.focus_embedder(pairs, t.species, rows, lmax=0)
            if self.position_embedder.config.cutoff != self.focus_embedder.config.cutoff:
                pairs = pairs_within(positions, t.n_atoms, self.position_embedder.config.cutoff, t.positions)
            # Only fragments that grow need a position.
            growing = prefix_rows(t.prefix * (t.kind == Decision.PLACE), t.species.shape[1])
            features = self.position_embedder(pairs, t.species, growing, at=place)
        return self.focus_head(everywhere[0][0], rows.row), place, features

    def _targets(self, t: Trajectories, place: Place, origin: Tensor) -> tuple[Tensor, Tensor]:
        """Return species (n_placements,) and vectors (n_placements, 3) from focus in `origin` to the clean target."""
        molecule, decision, focus = place
        target = t.target[molecule, decision]
        return t.species[molecule, target], t.positions[molecule, target] - origin[molecule, focus]
