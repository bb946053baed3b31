"""Weaver's density: what the networks read of molecules that are known, and how likely every decision about them is.

    molecule -> frames -> pair features -> encoder (atom i sees atoms up to i, from its own frame)
    decision (focus f, prefix k) -> decoder (sees the first k atoms from the frame of f)
             -> element and degree -> second neighbour -> distance -> angle -> torsion, each exact in one evaluation

The order of growth is breadth first along the bonds (`growth.policies.breadth_first`): the focus is the oldest atom
that awaits neighbours and needs no distribution. An atom says with its element how many neighbours it will have; the
first atom, and those of a given fragment, are asked when they become the focus. Where a ring closes it is said first
with which atom, and the distance to that one is drawn in place of the angle. An atom's encoder feature depends on
the atoms placed before it alone, so a molecule of n atoms costs n^2 with all its fragments, and a growing one a row an
atom (`weaver`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..chemistry.radii import reach
from ..geometry.frames import Frames, frame_axes, local_frames, to_internal, turn_towards
from ..growth.trajectories import UNKNOWN, Decision, Trajectories
from ..species import Species
from .base import Model
from .embedders.causal import KeysValues, PairTransformer, Sight
from .embedders.conditions import ConditionEmbedding
from .embedders.inventory import RAMPS, Inventory
from .embedders.pairs import PairFeatures
from .embedders.unsaturation import Unpaired, Unsaturation
from .heads.closure import Closure, ClosureHead
from .heads.foresight import Foresight
from .heads.internal import InternalHead
from .heads.torsion import Surroundings
from .noise import normal, uniform
from .precision import at_least_float32
from .weaver_config import WeaverConfig

N_STATES = 3
"""Numbers that say what a placed atom awaits: nothing, nobody knows, so many neighbours; with `matching` one more,
whether it wants a partner."""


@dataclass(frozen=True)
class Reading:
    """What the networks make of all or some decisions."""

    frames: Frames
    pairs: Tensor  # (n_molecules, n_frames, n_atoms, pair_features)
    atoms: Tensor  # (n_molecules, n_atoms, width), encoded
    decisions: Tensor  # (n_molecules, n_decisions, width), decoded
    awaits: Tensor  # (n_molecules, n_decisions, n_atoms), how many neighbours, or `UNKNOWN`
    states: Tensor  # (n_molecules, n_decisions, n_atoms, n_states), what the atoms await and want
    unpaired: Unpaired | None  # what is left without a partner, if the model has matchings
    foreseen: Tensor | None  # (n_molecules, n_decisions, n_choices), logits by what each choice leaves behind


@dataclass(frozen=True)
class _Placements:
    decision: tuple[Tensor, ...]  # (n_rows,) each: molecule, decision
    features: Tensor  # (n_rows, width), decoded
    label: Tensor  # (n_rows,)
    log_prob_of_closure: Tensor  # (n_rows,)
    internal: tuple[Tensor, Tensor, Tensor]  # (n_rows,) each: distance, cosine, torsion
    known: tuple[Tensor, Tensor]  # (n_rows,) each: whether there is an axis, a third atom
    around: Surroundings | None
    closure: Closure


class WeaverDensity(Model):
    """The networks, and the density of decisions that are given; `weaver.Weaver` draws them."""

    config: WeaverConfig
    reach: Tensor  # (n_species,) Å; atoms are bonded within the sum of theirs

    def __init__(self, config: WeaverConfig) -> None:
        super().__init__(Species(config.species))
        self.config, self.policy = config, config.policy
        self.max_degree = config.policy.max_degree
        radii = torch.tensor(reach(self.species.numbers), dtype=torch.float32)
        self.register_buffer("reach", radii, persistent=False)
        n_labels = len(self.species) * (self.max_degree + 1)  # of atoms: element, and degree or none told
        self.n_choices = len(self.species) * self.max_degree  # element and degree of an atom to be placed
        shape = config.n_heads, config.pair_features
        self.pairs = PairFeatures(self.species, self.max_degree + 1, config.pair_width, config.pair_features)
        self.atom = nn.Embedding(n_labels, config.width)
        self.age = nn.Linear(1, config.width)
        self.encoder = PairTransformer(config.width, config.n_encoder_layers, *shape, config.expansion)
        self.question = nn.Linear(3, config.width)
        self.awaited = nn.Embedding(self.max_degree + 2, config.width)
        self.inventory = Inventory(self.species, config.width)
        n_states = N_STATES + config.matching
        shape = config.n_heads, config.pair_features + n_states
        self.decoder = PairTransformer(config.width, config.n_decoder_layers, *shape, config.expansion)
        self.choice = nn.Sequential(
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, self.n_choices + self.max_degree + 1),
        )
        self.closure = ClosureHead(config.width, config.pair_features, n_labels, n_states, config.closure_width)
        self.position_head = InternalHead(config.position_head, config.width, config.pair_features, n_labels, n_states)
        self.unsaturation = Unsaturation(self.species, self.max_degree, config.width) if config.matching else None
        self.foresight = Foresight(self.species, self.max_degree) if config.foresight else None
        if config.conditions.names:
            self.condition_embedding = ConditionEmbedding(config.conditions, self.species, config.width)

    def hidden_matrices(self) -> Iterator[Tensor]:
        """Return the wide weights inside; see `Model.hidden_matrices`."""
        head = self.position_head
        inside = [self.encoder.layers, self.decoder.layers, head.trunk, self.choice[:1], self.pairs.geometry]
        inside += [network[:1] for network in (head.distance, head.angle, head.closing, head.torsion)]
        inside += [self.closure.of_pair, self.closure.of_atom, self.closure.of_decision, self.closure.known]
        if head.series is not None:
            inside += [head.series.of_pair, head.series.of_atom, head.series.of_decision, head.series.of_circle]
        for part in inside:
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    yield module.weight

    def rows_per_element(self) -> dict[str, tuple[int, int]]:
        """Return which tensors know elements apart; see `Model.rows_per_element`."""
        by_label = ("pairs.of_self", "pairs.of_other", "atom", "closure.label", "position_head.label")
        labels, choices = [f"{name}.weight" for name in by_label], ("choice.2.weight", "choice.2.bias")
        tables = {} if self.foresight is None else self.foresight.rows_per_choice()
        return (
            dict.fromkeys(labels, (0, self.max_degree + 1))
            | dict.fromkeys(choices, (0, self.max_degree))
            | {f"foresight.{name}": (0, self.max_degree * n_rows) for name, n_rows in tables.items()}
            | {"inventory.ramps.weight": (1, len(RAMPS))}
        )

    def loss(self, trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Return mean cross entropies of the decisions, positions as densities per Å^3; see `Model.loss`."""
        t = trajectories
        clean = positions = t.positions
        if rng is not None:
            augmentation = self.config.augmentation
            if augmentation.mirror:
                mirrored = uniform(t, (1, 1), rng) < 0.5
                clean = torch.where(mirrored, -clean, clean)
            positions = clean + augmentation.noise * normal(t, clean.shape[1:], rng)
            if self.condition_embedding is not None and t.conditions is not None:
                told_any = uniform(t, (1,), rng)
                told_each = uniform(t, (len(self.conditions.names),), rng)
                t = replace(t, conditions=self.condition_embedding.drop(t.conditions, told_any, told_each))
        degree, awaits, count, second = _told(t)
        read = self._read(t, positions, degree, awaits)
        placed, counted = self._choice_log_probs(read)
        entropy = -(self._choice_targets(t, degree) * placed).sum()
        terms = {"choice": entropy - torch.where(_counts(t.kind), entry(counted, count), 0.0).sum()}
        p = self._placements(t, read, degree, second, clean)
        terms["closure"] = -p.log_prob_of_closure.sum()
        position = self.position_head.divergence(p.features, p.label, p.internal, p.known, p.around, p.closure)
        terms |= {name: term.sum() for name, term in position.items()}
        n_decisions = t.n_decisions
        terms = {name: term / n_decisions for name, term in terms.items()}
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def log_prob(self, trajectories: Trajectories) -> Tensor:
        """Return (n_molecules,) joint log-densities; see `Model.log_prob`."""
        t = trajectories
        degree, awaits, count, second = _told(t)
        read = self._read(t, t.positions, degree, awaits)
        placed, counted = self._choice_log_probs(read)
        start = self.start_given(t.conditions)
        total = start.expand(len(t.species), -1).gather(1, t.species[:, :1])[:, 0]
        total = total + torch.where(_counts(t.kind), entry(counted, count), 0.0).sum(1)
        p = self._placements(t, read, degree, second, t.positions)
        atom = p.decision[0], t.target[p.decision]
        choice = entry(placed[p.decision], self._choice(t.species[atom], degree[atom]))
        position = self.position_head.log_prob(p.features, p.label, p.internal, p.known, p.around, p.closure)
        return total.index_add(0, atom[0], choice + p.log_prob_of_closure + position)

    def _read(self, t: Trajectories, positions: Tensor, degree: Tensor, awaits: Tensor) -> Reading:
        """Return what the embedders make of all decisions of trajectories whose atoms stand at `positions`."""
        frames = frames_of(positions, t.n_atoms)
        labels = self._labels(t.species, degree)
        pairs = self.pairs(frames, labels)
        atoms = self.encoder(self._atoms(labels, frames, t.conditions), Sight(pairs, frames.centres + 1))
        row = torch.arange(len(labels), device=labels.device)[:, None]
        at = row, t.focus
        keys_values = self.decoder.keys_values(atoms)
        awaited = torch.take_along_dim(awaits, t.focus[..., None], 2)[..., 0]
        prefix = t.prefix.clamp(min=1)
        there, states, unpaired, foreseen = self._there(t.species, t.positions, prefix, awaits, t.focus)
        foci, states = atoms[at] + self._asked(t.conditions, t.species, prefix) + there, states.to(pairs)
        decisions = self._decide(frames, at, foci, Sight(pairs, prefix, t.focus, states), keys_values, awaited)
        return Reading(frames, pairs, atoms, decisions, awaits, states, unpaired, foreseen)

    def _there(
        self, species: Tensor, positions: Tensor, prefix: Tensor, awaits: Tensor, focus: Tensor
    ) -> tuple[Tensor, Tensor, Unpaired | None, Tensor | None]:
        """Return what decisions hear of their fragments as a whole, what every atom awaits and wants, and foresight.

        Args:
            species: (n_molecules, n_atoms).
            positions: (n_molecules, n_atoms, 3) Å, without noise.
            prefix: (n_molecules, n_decisions), at least 1.
            awaits: (n_molecules, n_decisions, n_atoms).
            focus: (n_molecules, n_decisions).

        Returns:
            (n_molecules, n_decisions, width), (n_molecules, n_decisions, n_atoms, n_states), what is left without a
            partner if the model has matchings, and (n_molecules, n_decisions, n_choices) logits if it has foresight.
        """
        there, states = self.inventory(species, prefix, awaits), _states(awaits)
        if self.unsaturation is None:
            return there, states, None, None
        found = self.unsaturation.unpaired(species, positions, prefix, awaits, focus)
        foreseen = None if self.foresight is None else self.foresight(found, species, prefix, awaits)
        there = there + self.unsaturation(found, focus)
        return there, torch.cat([states, found.wanting[..., None].to(states)], -1), found, foreseen

    def _labels(self, species: Tensor, degree: Tensor | None) -> Tensor:
        """Return one index an atom: its element and its degree, 0 where it does not tell."""
        return species * (self.max_degree + 1) + (0 if degree is None else degree)

    def _choice(self, species: Tensor, degree: Tensor) -> Tensor:
        """Return the index of an atom to be placed among `n_choices`."""
        return species * self.max_degree + degree - 1

    def _choice_logits(self, read: Reading) -> Tensor:
        """Return (n_molecules, n_decisions, n_choices + max_degree + 1): elements and degrees, then counts."""
        logits = at_least_float32(self.choice(read.decisions))
        if read.foreseen is None:
            return logits
        return torch.cat([logits[..., : self.n_choices] + read.foreseen, logits[..., self.n_choices :]], -1)

    def _choice_log_probs(self, read: Reading) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of elements and degrees (..., n_choices), and of counts (..., max_degree + 1)."""
        logits = self._choice_logits(read)
        return logits[..., : self.n_choices].log_softmax(-1), logits[..., self.n_choices :].log_softmax(-1)

    def _atoms(self, labels: Tensor, frames: Frames, conditions: Tensor | None) -> Tensor:
        """Return what the encoder begins with: element and degree, place in the order of growth, and what is asked."""
        age = (frames.centres + 1).to(frames.distances).log()
        features = self.atom(labels) + self.age(age[..., None])
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
        sight: Sight,
        keys_values: Sequence[KeysValues],
        awaited: Tensor,
    ) -> Tensor:
        """Return (n_molecules, n_decisions, width) of the decisions at frames `at` (molecule, frame).

        Args:
            frames: of the molecules.
            at: (n_molecules, n_decisions) each.
            atoms: (n_molecules, n_decisions, width), the foci, with what is asked and what is there.
            sight: of the decisions; its extent is their prefix, at least 1.
            keys_values: of all atoms, by decoder layer.
            awaited: (n_molecules, n_decisions), what the focus awaits.
        """
        prefix = sight.extent
        known = _known(frames, at, prefix)
        question = torch.stack([x.to(frames.distances) for x in (prefix.to(frames.distances).log(), *known)], -1)
        asked = self.question(question) + self.awaited(awaited.long().clamp(max=self.max_degree) - UNKNOWN)
        return self.decoder(atoms + asked, sight, keys_values)

    def _surroundings(
        self,
        read: Reading,
        decision: tuple[Tensor, ...],
        frame: Tensor,
        focus: Tensor,
        prefix: Tensor,
        second: Tensor,
        species: Tensor,
        label: Tensor,
    ) -> Surroundings | None:
        """Return what the position head sees at decisions (molecule, decision), from these frames, if it looks.

        Where a ring closes with atom `second`, -1 elsewhere, the frame turns towards it, and another atom of `species`
        (n_molecules, n_atoms) keeps the new one, of this label, at more than a bond's length if it awaits nothing.
        Where no ring closes, every atom but the focus keeps it there.
        """
        if self.position_head.series is None:
            return None
        at, states = (decision[0], frame), read.states[decision]
        bonds = self.reach[label.div(self.max_degree + 1, rounding_mode="floor")][:, None] + self.reach[species[at[0]]]
        apart = (states[..., 0] == 1) | (second < 0)[:, None]
        apart &= torch.arange(states.shape[1], device=focus.device) != focus[:, None]
        around = Surroundings.of(read.frames, at, prefix, bonds * apart)
        closing = (second >= 0).nonzero()[:, 0]
        around = around.turned(turn_towards(around.local[closing, second[closing]]), closing)
        return self.position_head.series.note(around, at, read.pairs, read.atoms, states)

    def _closure_log_probs(
        self,
        read: Reading,
        decision: tuple[Tensor, Tensor],
        frame: Tensor,
        focus: Tensor,
        prefix: Tensor,
        label: Tensor,
    ) -> Tensor:
        """Return (n_rows, n_atoms + 1) log-probabilities of second neighbours, none last.

        No atom that awaits nothing can be one, and no atom with one neighbour has one.
        """
        states = read.states[decision]
        index = torch.arange(states.shape[1], device=focus.device)
        may = (index < prefix[:, None]) & (index != focus[:, None]) & (states[..., 0] == 0)
        degree = label % (self.max_degree + 1)
        may &= (degree > 1)[:, None]
        foreseen = None
        if self.foresight is not None and read.unpaired is not None:
            choice = self._choice(label.div(self.max_degree + 1, rounding_mode="floor"), degree)
            foreseen = self.foresight.of_closures(
                read.unpaired, decision, focus, prefix, read.awaits[decision], choice, may
            )
        at = decision[0], frame
        return self.closure.log_probs(
            read.decisions[decision], label, at, read.pairs, read.atoms, states, may, foreseen
        )

    def _closure(
        self, read: Reading, decision: tuple[Tensor, ...], frame: Tensor, second: Tensor, distance: Tensor
    ) -> Closure:
        """Return what the position head hears of second neighbours (n_rows,), -1 for none, at distances from foci."""
        molecule, atom = decision[0], second.clamp(min=0)
        return self.closure.closure(
            second >= 0, read.pairs[molecule, frame, atom], read.atoms[molecule, atom], distance
        )

    def _choice_targets(self, t: Trajectories, degree: Tensor) -> Tensor:
        """Return the shares of each element and degree among the atoms that could come next; 0 where none does."""
        n_molecules, n_decisions = t.kind.shape
        decision = t.alternative_molecule * n_decisions + t.alternative_decision
        n_alternatives = torch.bincount(decision, minlength=t.kind.numel()).to(t.positions)
        atom = t.alternative_molecule, t.alternative_target
        choice = self._choice(t.species[atom], degree[atom])
        flat = t.positions.new_zeros(t.kind.numel() * self.n_choices)
        flat.index_add_(0, decision * self.n_choices + choice, 1 / n_alternatives[decision])
        return flat.view(n_molecules, n_decisions, self.n_choices)

    def _placements(self, t: Trajectories, read: Reading, degree: Tensor, second: Tensor, clean: Tensor) -> _Placements:
        """Return all placements, with internal coordinates in frames of the positions `clean`."""
        molecule, step = (t.kind == Decision.PLACE).nonzero(as_tuple=True)
        decision = molecule, step
        focus, prefix, target = t.focus[decision], t.prefix[decision], t.target[decision]
        label, second = self._labels(t.species, degree)[molecule, target], second[molecule, target]
        log_p = self._closure_log_probs(read, decision, focus, focus, prefix, label)
        with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):
            axes, known = self._frame_of_focus(read.frames, clean, (molecule, focus), prefix)
            axes, distance = towards(axes, clean, (molecule, focus), second)
            internal = to_internal(clean[molecule, target] - clean[molecule, focus], axes)
        return _Placements(
            decision=decision,
            features=read.decisions[decision],
            label=label,
            log_prob_of_closure=entry(log_p, torch.where(second < 0, log_p.shape[1] - 1, second)),
            internal=internal,
            known=known,
            around=self._surroundings(read, decision, focus, focus, prefix, second, t.species, label),
            closure=self._closure(read, decision, focus, second, distance),
        )

    def _frame_of_focus(
        self, frames: Frames, positions: Tensor, at: tuple[Tensor, Tensor], prefix: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (n, 3, 3) axes and whether (n,) axis and azimuth are known, at frames `at` (molecule, frame)."""
        centre, parent, third = frames.centres[at], frames.references.parent[at], frames.references.third[at]
        axes = frame_axes(*(positions[at[0], atom] for atom in (centre, parent, third)))
        return axes, _known(frames, at, prefix)


def frames_of(positions: Tensor, n_atoms: Tensor, centres: Tensor | None = None) -> Frames:
    """Return `geometry.frames.local_frames`, outside of autograd and of mixed precision."""
    with torch.no_grad(), torch.autocast(positions.device.type, enabled=False):
        return local_frames(positions, n_atoms, centres)


def _known(frames: Frames, at: tuple[Tensor, Tensor], prefix: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether a prefix holds the axis, and the third atom, of the frames `at` (molecule, frame)."""
    return prefix >= frames.references.axis_from[at], prefix >= frames.references.azimuth_from[at]


def towards(axes: Tensor, positions: Tensor, focus: tuple[Tensor, Tensor], second: Tensor) -> tuple[Tensor, Tensor]:
    """Turn axes (n, 3, 3) of foci (molecule, atom) towards their second neighbours (n,), -1 for none.

    Returns:
        The axes, and (n,) Å from the foci to the neighbours.
    """
    vectors = positions[focus[0], second.clamp(min=0)] - positions[focus]
    turned = turn_towards((axes * vectors[:, None]).sum(-1)) @ axes
    return torch.where((second >= 0)[:, None, None], turned, axes), vectors.square().sum(-1).sqrt()


def _told(t: Trajectories) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return `degree`, `awaits`, `count` and `closure` of trajectories; those of other policies tell nothing."""
    if t.degree is None or t.awaits is None or t.count is None or t.closure is None:
        unknown = torch.full((*t.kind.shape, t.species.shape[1]), UNKNOWN, dtype=torch.int8, device=t.kind.device)
        return torch.zeros_like(t.species), unknown, torch.zeros_like(t.kind), torch.full_like(t.species, -1)
    return t.degree, t.awaits, t.count, t.closure


def _states(awaits: Tensor) -> Tensor:
    """Return (..., N_STATES) of what atoms await (...)."""
    return torch.stack([awaits == 0, awaits == UNKNOWN, 0.5 * awaits.clamp(min=0)], -1)


def _counts(kind: Tensor) -> Tensor:
    return (kind == Decision.COUNT) | (kind == Decision.END)


def entry(values: Tensor, index: Tensor) -> Tensor:
    """Return the entries (...) of `values` (..., n) at `index` (...)."""
    return values.gather(-1, index[..., None])[..., 0]
