"""Weaver: exact in distribution, local in frame, causal in computation; one pass teaches every prefix of a molecule.

    molecule -> frames -> pair features -> encoder (atom i sees atoms up to i, from its own frame)
    decision (focus f, prefix k) -> decoder (sees the first k atoms from the frame of f)
             -> species or END -> distance -> angle -> torsion, each an exact density in one evaluation

The order of growth is breadth first along the bonds (`growth.policies.breadth_first`): the focus is the oldest atom
that has not ended and needs no distribution. An atom's encoder feature depends on the atoms placed before it alone, so
a molecule of n atoms costs n^2 with all its fragments, and a growing one a row an atom.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from ..config import Config
from ..geometry.frames import Frames, frame_axes, from_internal, local_frames, to_internal
from ..growth.policies import BreadthFirstConfig
from ..growth.trajectories import Decision, Fragments, Proposals, Trajectories
from ..species import Species
from .base import Model, Temperatures
from .embedders.causal import PairTransformer
from .embedders.pairs import PairFeatures
from .heads.angular import draw_index
from .heads.internal import InternalHead, InternalHeadConfig
from .precision import at_least_float32


class AugmentationConfig(Config):
    """What is done to molecules while they teach."""

    noise: float = Field(
        0.02, ge=0, description="Å; standard deviation on every coordinate read; what is to be placed stays exact"
    )
    mirror: bool = Field(True, description="every other molecule is reflected, at random")


class WeaverConfig(Config):
    """The parts of Weaver; the defaults are `weaver-small`."""

    kind: Literal["weaver"] = "weaver"
    species: tuple[str, ...] = Field(("H", "C", "N", "O", "F"), min_length=1, description="elements, in index order")
    policy: BreadthFirstConfig = BreadthFirstConfig()
    width: int = Field(128, ge=1, description="features of an atom, and of a decision")
    n_heads: int = Field(8, ge=1, description="attention heads of every layer")
    n_encoder_layers: int = Field(4, ge=1, description="layers over atoms")
    n_decoder_layers: int = Field(4, ge=1, description="layers over decisions")
    expansion: int = Field(4, ge=1, description="hidden width of each layer's network, in multiples of `width`")
    pair_features: int = Field(32, ge=1, description="numbers that describe how one atom sees another")
    pair_width: int = Field(64, ge=1, description="hidden width of the network that makes them")
    position_head: InternalHeadConfig = InternalHeadConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @field_validator("species")
    @classmethod
    def _known(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        Species(symbols)
        return symbols

    @model_validator(mode="after")
    def _divides(self) -> WeaverConfig:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} must be a multiple of n_heads {self.n_heads}")
        return self


class Weaver(Model):
    """The wiring of the model: see the module's docstring."""

    config: WeaverConfig
    n_draws = 4  # species or END, distance, angle, torsion

    def __init__(self, config: WeaverConfig) -> None:
        super().__init__(Species(config.species))
        self.config, self.policy = config, config.policy
        self._hydrogens_end = config.policy.hydrogens_end
        shape = config.n_heads, config.pair_features
        self.pairs = PairFeatures(self.species, config.pair_width, config.pair_features)
        self.atom = nn.Embedding(len(self.species), config.width)
        self.age = nn.Linear(1, config.width)
        self.encoder = PairTransformer(config.width, config.n_encoder_layers, *shape, config.expansion)
        self.question = nn.Linear(3, config.width)
        # A decoder's pair has one number more: whether the atom has ended.
        shape = config.n_heads, config.pair_features + 1
        self.decoder = PairTransformer(config.width, config.n_decoder_layers, *shape, config.expansion)
        self.choice = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, len(self.species) + 1)
        )
        self.position_head = InternalHead(config.position_head, config.width, len(self.species))

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Return mean cross entropies of the decisions, positions as densities per Å^3; see `Model.loss`."""
        t = trajectories
        clean = positions = t.positions
        if rng is not None:
            augmentation = self.config.augmentation
            if augmentation.mirror:
                mirrored = torch.rand(len(t.n_atoms), 1, 1, generator=rng).to(clean) < 0.5
                clean = torch.where(mirrored, -clean, clean)
            noise = torch.randn(clean.shape, generator=rng).to(clean)
            positions = clean + augmentation.noise * noise
        frames, features = self._read(t.species, positions, t.n_atoms, t.prefix, t.focus, t.ended)
        entropy = -(self._choice_targets(t) * at_least_float32(self.choice(features)).log_softmax(-1)).sum(-1)
        terms = {"choice": entropy[t.kind != Decision.PADDING].sum()}
        place = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        internal, known = self._targets(t, frames, place, clean)
        position = self.position_head.divergence(features[place], t.species[place[0], t.target[place]], internal, known)
        terms |= {name: term.sum() for name, term in position.items()}
        n_decisions = t.n_decisions
        terms = {name: term / n_decisions for name, term in terms.items()}
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) joint log-densities; see `Model.log_prob`."""
        t = trajectories
        frames, features = self._read(t.species, t.positions, t.n_atoms, t.prefix, t.focus, t.ended)
        log_p = self.choice(features).log_softmax(-1)
        total = self.start_log_probs[t.species[:, 0]]
        total = total + torch.where(t.kind == Decision.END, log_p[..., -1], 0.0).sum(1)
        place = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        species = t.species[place[0], t.target[place]]
        internal, known = self._targets(t, frames, place, t.positions)
        position = self.position_head.log_prob(features[place], species, internal, known)
        return total.index_add(0, place[0], log_p[place].gather(1, species[:, None])[:, 0] + position)

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment: species or END first, a position only where one is needed."""
        f = fragments
        open_atoms = self._open(f)
        kind = torch.where(open_atoms.any(1), int(Decision.END), int(Decision.STOP))
        focus = open_atoms.to(torch.int8).argmax(1)
        species, positions = torch.zeros_like(focus), f.positions.new_zeros(len(focus), 3)
        log_prob = f.positions.new_zeros(len(focus))
        frames, features = self._read(
            f.species, f.positions, f.n_atoms, f.n_atoms[:, None], focus[:, None], f.ended[:, None]
        )
        features = features[:, 0]
        logits = self.choice(features)
        choice = draw_index((logits / temperatures.focus).softmax(-1), uniforms[:, 0])
        deciding = kind == Decision.END
        log_prob = torch.where(deciding, logits.log_softmax(-1).gather(1, choice[:, None])[:, 0], log_prob)
        placing = deciding & (choice < len(self.species))
        row = placing.nonzero()[:, 0]
        if len(row):
            kind[row], species[row] = int(Decision.PLACE), choice[row]
            axes, known = self._frame_of_focus(frames, f.positions, (row, focus[row]), f.n_atoms[row])
            internal, of_position = self.position_head.draw(
                features[row], species[row], known, uniforms[row, 1:], temperatures.position
            )
            positions[row] = f.positions[row, focus[row]] + from_internal(*internal, axes)
            log_prob[row] += of_position
        return Proposals(kind, focus, species, positions, log_prob)

    def _read(
        self, species: Tensor, positions: Tensor, n_atoms: Tensor, prefix: Tensor, focus: Tensor, ended: Tensor | None
    ) -> tuple[Frames, Tensor]:
        """Return the frames, and a feature of every decision (prefix, focus), (n_molecules, n_decisions, width)."""
        with torch.no_grad(), torch.autocast(positions.device.type, enabled=False):
            frames = local_frames(positions, n_atoms)
        pairs = self.pairs(frames, species)
        n = species.shape[1]
        index = torch.arange(n, device=species.device)
        age = self.age((index + 1).to(positions).log()[:, None])
        atoms = self.encoder(self.atom(species) + age, None, index[None, None, :] <= index[None, :, None], pairs)
        row = torch.arange(len(species), device=species.device)[:, None]
        said = species.new_zeros(*focus.shape, n) if ended is None else ended
        pairs = torch.cat([pairs[row, focus], said[..., None].to(pairs)], -1)
        size = prefix.clamp(min=1)  # padding sees one atom rather than none
        known = _known(frames, (row, focus), size)
        question = torch.stack([size.to(positions).log(), *(there.to(positions) for there in known)], -1)
        decisions = atoms[row, focus] + self.question(question)
        return frames, self.decoder(decisions, atoms, index < size[:, :, None], pairs)

    def _choice_targets(self, t: Trajectories) -> Tensor:
        """Return the shares of each species among the atoms that could come next, and END last."""
        n_molecules, n_decisions = t.kind.shape
        decision = t.alternative_molecule * n_decisions + t.alternative_decision
        n_alternatives = torch.bincount(decision, minlength=t.kind.numel()).to(t.positions)
        n_choices = len(self.species) + 1
        flat = t.positions.new_zeros(t.kind.numel() * n_choices)
        species = t.species[t.alternative_molecule, t.alternative_target]
        flat.index_add_(0, decision * n_choices + species, 1 / n_alternatives[decision])
        targets = flat.view(n_molecules, n_decisions, n_choices)
        targets[..., -1] = (t.kind == Decision.END).to(targets)
        return targets

    def _targets(
        self, t: Trajectories, frames: Frames, place: tuple[Tensor, ...], clean: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return internal coordinates of the atoms to place, in frames of the clean positions, and what is known."""
        molecule, focus = place[0], t.focus[place]
        with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):
            axes, known = self._frame_of_focus(frames, clean, (molecule, focus), t.prefix[place])
            return to_internal(clean[molecule, t.target[place]] - clean[molecule, focus], axes), known

    def _frame_of_focus(
        self, frames: Frames, positions: Tensor, at: tuple[Tensor, Tensor], prefix: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (n, 3, 3) axes and whether (n,) axis and azimuth are known, at atoms `at` (molecule, atom)."""
        molecule, parent, third = at[0], frames.references.parent[at], frames.references.third[at]
        axes = frame_axes(positions[at], positions[molecule, parent], positions[molecule, third])
        return axes, _known(frames, at, prefix)

    def _open(self, f: Fragments) -> Tensor:
        """Return (n_fragments, n_slots) bool: the atoms that may still get a neighbour."""
        index = torch.arange(f.species.shape[1], device=f.species.device)
        open_atoms = ~f.ended & (index < f.n_atoms[:, None])
        if self._hydrogens_end and 1 in self.species.numbers:
            open_atoms &= (f.species != self.species.numbers.index(1)) | (index == 0)
        return open_atoms


def _known(frames: Frames, at: tuple[Tensor, Tensor], prefix: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether a prefix holds the axis, and the third atom, of the frame at `at` (molecule, atom)."""
    return prefix >= frames.references.axis_from[at], prefix >= frames.references.azimuth_from[at]
