"""Weaver: exact in distribution, local in frame, causal in computation; one pass teaches every prefix of a molecule.

    molecule -> frames -> pair features -> encoder (atom i sees atoms up to i, from its own frame)
    decision (focus f, prefix k) -> decoder (sees the first k atoms from the frame of f)
             -> species or END -> distance -> angle -> torsion, each an exact density in one evaluation

The order of growth is breadth first along the bonds (`growth.policies.breadth_first`): the focus is the oldest atom
that has not ended and needs no distribution. An atom's encoder feature depends on the atoms placed before it alone, so
a molecule of n atoms costs n^2 with all its fragments, and a growing one a row an atom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from .embedders.conditions import ConditionEmbedding, ConditionsConfig
from .embedders.memory import AtomMemory
from .embedders.pairs import PairFeatures
from .heads.angular import draw_index
from .heads.internal import InternalHead, InternalHeadConfig
from .heads.torsion import Surroundings
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
    conditions: ConditionsConfig = ConditionsConfig()

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


@dataclass(frozen=True)
class _Reading:
    frames: Frames
    pairs: Tensor  # (n_molecules, n_frames, n_atoms, pair_features)
    atoms: Tensor  # (n_molecules, n_atoms, width), encoded
    decisions: Tensor  # (n_molecules, n_decisions, width), decoded


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
        self.position_head = InternalHead(config.position_head, config.width, config.pair_features, len(self.species))
        if config.conditions.names:
            self.condition_embedding = ConditionEmbedding(config.conditions, self.species, config.width)

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
            if self.condition_embedding is not None and t.conditions is not None:
                t = replace(t, conditions=self.condition_embedding.drop(t.conditions, rng))
        read = self._read(t, positions)
        entropy = -(self._choice_targets(t) * at_least_float32(self.choice(read.decisions)).log_softmax(-1)).sum(-1)
        terms = {"choice": entropy[t.kind != Decision.PADDING].sum()}
        place = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        species = t.species[place[0], t.target[place]]
        internal, known = self._targets(t, read.frames, place, clean)
        around = self._surroundings(read, (place[0], t.focus[place]), t.prefix[place])
        position = self.position_head.divergence(read.decisions[place], species, internal, known, around)
        terms |= {name: term.sum() for name, term in position.items()}
        n_decisions = t.n_decisions
        terms = {name: term / n_decisions for name, term in terms.items()}
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) joint log-densities; see `Model.log_prob`."""
        t = trajectories
        read = self._read(t, t.positions)
        log_p = self.choice(read.decisions).log_softmax(-1)
        start = self.start_given(t.conditions)
        total = start.expand(len(t.species), -1).gather(1, t.species[:, :1])[:, 0]
        total = total + torch.where(t.kind == Decision.END, log_p[..., -1], 0.0).sum(1)
        place = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        species = t.species[place[0], t.target[place]]
        internal, known = self._targets(t, read.frames, place, t.positions)
        around = self._surroundings(read, (place[0], t.focus[place]), t.prefix[place])
        position = self.position_head.log_prob(read.decisions[place], species, internal, known, around)
        return total.index_add(0, place[0], log_p[place].gather(1, species[:, None])[:, 0] + position)

    def remember(self, n_fragments: int, max_atoms: int) -> AtomMemory:
        """Return room for encoded atoms; see `Model.remember`."""
        n_layers = self.config.n_encoder_layers + self.config.n_decoder_layers
        return AtomMemory.empty(n_fragments, max_atoms, n_layers, self.atom.weight)

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment: species or END first, a position only where one is needed."""
        f = fragments
        open_atoms = self._open(f)
        kind = torch.where(open_atoms.any(1), int(Decision.END), int(Decision.STOP))
        focus = open_atoms.to(torch.int8).argmax(1)
        species, positions = torch.zeros_like(focus), f.positions.new_zeros(len(focus), 3)
        read = self._recall(f, focus)
        features = read.decisions[:, 0]
        logits = self.choice(features)
        choice = draw_index((logits / temperatures.focus).softmax(-1), uniforms[:, 0])
        deciding = kind == Decision.END
        log_prob = torch.where(deciding, logits.log_softmax(-1).gather(1, choice[:, None])[:, 0], 0.0)
        placing = deciding & (choice < len(self.species))
        row = placing.nonzero()[:, 0]
        if len(row):
            kind[row], species[row] = int(Decision.PLACE), choice[row]
            at = row, torch.zeros_like(row)
            axes, known = self._frame_of_focus(read.frames, f.positions, at, f.n_atoms[row])
            around = self._surroundings(read, at, f.n_atoms[row])
            internal, of_position = self.position_head.draw(
                features[row], species[row], known, around, uniforms[row, 1:], temperatures.position
            )
            positions[row] = f.positions[row, focus[row]] + from_internal(*internal, axes)
            log_prob[row] += of_position
        return Proposals(kind, focus, species, positions, log_prob)

    def _read(self, t: Trajectories, positions: Tensor) -> _Reading:
        """Return what the embedders make of all decisions of trajectories whose atoms stand at `positions`."""
        frames = _frames(positions, t.n_atoms)
        pairs = self.pairs(frames, t.species)
        index = torch.arange(t.species.shape[1], device=t.species.device)
        atoms = self.encoder(self._atoms(t.species, frames, t.conditions), index <= index[:, None], pairs)
        row = torch.arange(len(t.species), device=t.species.device)[:, None]
        ended = t.species.new_zeros(*t.kind.shape, len(index)) if t.ended is None else t.ended
        at = row, t.focus
        keys_values = self.decoder.keys_values(atoms)
        prefix = t.prefix.clamp(min=1)
        foci = atoms[at] + self._asked(t.conditions, t.species, prefix)
        decisions = self._decide(frames, at, foci, pairs[at], keys_values, prefix, ended)
        return _Reading(frames, pairs, atoms, decisions)

    def _recall(self, f: Fragments, focus: Tensor) -> _Reading:
        """Return what the embedders make of one decision a fragment, with the frame of its focus alone.

        Atoms that are known from earlier decisions are not encoded again.
        """
        n_fragments, n = f.species.shape
        memory = f.memory or self.remember(n_fragments, n)
        new = (f.n_atoms > memory.n_encoded[memory.rows]).nonzero()[:, 0]
        if len(new):
            self._encode_new(f, memory.of(new), new)
        frames = _frames(f.positions, f.n_atoms, focus[:, None])
        pairs = self.pairs(frames, f.species)
        row = torch.arange(n_fragments, device=focus.device)
        atoms = memory.atoms[memory.rows, :n]
        keys_values = list(memory.read(self.config.n_encoder_layers, n))
        at = row[:, None], torch.zeros_like(row)[:, None]
        prefix = f.n_atoms[:, None]
        foci = atoms[row, focus][:, None] + self._asked(f.conditions, f.species, prefix)
        decisions = self._decide(frames, at, foci, pairs, keys_values, prefix, f.ended[:, None])
        return _Reading(frames, pairs, atoms, decisions)

    def _encode_new(self, f: Fragments, memory: AtomMemory, rows: Tensor) -> None:
        """Encode the atoms of fragments `rows` that `memory`, which is theirs, does not hold yet."""
        species, n_atoms, known = f.species[rows], f.n_atoms[rows], memory.n_encoded[memory.rows]
        n = int(n_atoms.max())
        n_new = int((n_atoms - known).max())
        # A fragment with fewer new atoms encodes its last one again.
        index = torch.minimum(known[:, None] + torch.arange(n_new, device=rows.device), n_atoms[:, None] - 1)
        frames = _frames(f.positions[rows, :n], n_atoms, index)
        pairs = self.pairs(frames, species[:, :n])
        sees = torch.arange(n, device=rows.device) <= index[:, :, None]
        atoms = self.encoder(
            self._atoms(species.gather(1, index), frames, None if f.conditions is None else f.conditions[rows]),
            sees,
            pairs,
            remember=lambda layer, values: memory.put(layer, index, values, n),
        )
        memory.atoms[memory.rows[:, None], index] = atoms
        for layer, values in enumerate(self.decoder.keys_values(atoms)):
            memory.put(self.config.n_encoder_layers + layer, index, values, n)
        memory.n_encoded[memory.rows] = n_atoms

    def _atoms(self, species: Tensor, frames: Frames, conditions: Tensor | None) -> Tensor:
        """Return what the encoder begins with: element, place in the order of growth, and what is asked."""
        age = (frames.centres + 1).to(frames.distances).log()
        features = self.atom(species) + self.age(age[..., None])
        if self.condition_embedding is None or conditions is None:
            return features
        return features + self.condition_embedding(conditions)[:, None]

    def _asked(self, conditions: Tensor | None, species: Tensor, prefix: Tensor) -> Tensor | float:
        """Return (n_molecules, n_decisions, width), what is asked as decisions with so many atoms hear it."""
        if self.condition_embedding is None or conditions is None:
            return 0.0
        return self.condition_embedding.of_decisions(conditions, species, prefix)

    def _decide(
        self,
        frames: Frames,
        at: tuple[Tensor, Tensor],
        atoms: Tensor,
        pairs: Tensor,
        keys_values: list[Tensor],
        prefix: Tensor,
        ended: Tensor,
    ) -> Tensor:
        """Return (n_molecules, n_decisions, width) of the decisions at frames `at` (molecule, frame).

        Args:
            frames: of the molecules.
            at: (n_molecules, n_decisions) each.
            atoms: (n_molecules, n_decisions, width), the foci, with what is asked.
            pairs: (n_molecules, n_decisions, n_atoms, pair_features), what they see.
            keys_values: of all atoms, by decoder layer.
            prefix: (n_molecules, n_decisions), at least 1.
            ended: (n_molecules, n_decisions, n_atoms).
        """
        known = _known(frames, at, prefix)
        question = torch.stack([x.to(frames.distances) for x in (prefix.to(frames.distances).log(), *known)], -1)
        sees = torch.arange(pairs.shape[2], device=prefix.device) < prefix[:, :, None]
        seen = torch.cat([pairs, ended[..., None].to(pairs)], -1)
        return self.decoder(atoms + self.question(question), sees, seen, keys_values)

    def _surroundings(self, read: _Reading, at: tuple[Tensor, Tensor], prefix: Tensor) -> Surroundings | None:
        """Return what the position head sees from frames `at` (molecule, frame), if it looks."""
        if self.position_head.series is None:
            return None
        return Surroundings.of(self.position_head.series.prepare(read.pairs, read.atoms), read.frames, at, prefix)

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
        """Return (n, 3, 3) axes and whether (n,) axis and azimuth are known, at frames `at` (molecule, frame)."""
        centre, parent, third = frames.centres[at], frames.references.parent[at], frames.references.third[at]
        axes = frame_axes(*(positions[at[0], atom] for atom in (centre, parent, third)))
        return axes, _known(frames, at, prefix)

    def _open(self, f: Fragments) -> Tensor:
        """Return (n_fragments, n_slots) bool: the atoms that may still get a neighbour."""
        index = torch.arange(f.species.shape[1], device=f.species.device)
        open_atoms = ~f.ended & (index < f.n_atoms[:, None])
        if self._hydrogens_end and 1 in self.species.numbers:
            open_atoms &= (f.species != self.species.numbers.index(1)) | (index == 0)
        return open_atoms


def _frames(positions: Tensor, n_atoms: Tensor, centres: Tensor | None = None) -> Frames:
    with torch.no_grad(), torch.autocast(positions.device.type, enabled=False):
        return local_frames(positions, n_atoms, centres)


def _known(frames: Frames, at: tuple[Tensor, Tensor], prefix: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether a prefix holds the axis, and the third atom, of the frames `at` (molecule, frame)."""
    return prefix >= frames.references.axis_from[at], prefix >= frames.references.azimuth_from[at]
