"""Weaver: exact in distribution, local in frame, causal in computation; one pass teaches every prefix of a molecule.

`WeaverDensity` holds the networks and teaches them. This file grows with them, a decision of each fragment at a time:
atoms are encoded once, when they are placed (`embedders.memory`), and a decision computes one row for the atom placed
last and one for itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry.frames import from_internal
from ..growth.trajectories import UNKNOWN, Decision, Fragments, Proposals
from .base import Temperatures
from .embedders.causal import Sight
from .embedders.memory import AtomMemory
from .heads.angular import draw_index
from .weaver_config import WeaverConfig
from .weaver_density import Reading, WeaverDensity, entry, frames_of, towards

__all__ = ["Weaver", "WeaverConfig"]


class Weaver(WeaverDensity):
    """The model: its density, and how it draws."""

    n_draws = 5  # element and degree, or count; distance, angle, torsion; second neighbour
    cpu_slots = 256  # a decision is two rows of each layer: with few of them a CPU mostly calls functions

    def remember(self, n_fragments: int, max_atoms: int) -> AtomMemory:
        """Return room for encoded atoms; see `Model.remember`."""
        n_layers = self.config.n_encoder_layers + self.config.n_decoder_layers
        return AtomMemory.empty(n_fragments, max_atoms, n_layers, self.atom.weight)

    def propose(self, fragments: Fragments, uniforms: Tensor, temperatures: Temperatures) -> Proposals:
        """Draw one decision a fragment: a count where its focus does not tell, else an atom and where it stands."""
        f = fragments
        index = torch.arange(f.species.shape[1], device=f.species.device)
        waiting = (f.awaits != 0) & (index < f.n_atoms[:, None])
        focus = waiting.to(torch.int8).argmax(1)
        nothing = torch.zeros_like(focus)
        kind, species, degree, count, second = (nothing.clone() for _ in range(5))
        kind += int(Decision.STOP)
        second -= 1
        positions, log_prob = f.positions.new_zeros(len(focus), 3), f.positions.new_zeros(len(focus))
        open_rows = waiting.any(1).nonzero()[:, 0]
        if len(open_rows):
            f, uniforms, of_open = f.rows(open_rows), uniforms[open_rows], focus[open_rows]
            read = self._recall(f, of_open)
            counting = f.awaits[torch.arange(len(open_rows), device=focus.device), of_open] == UNKNOWN
            choice, log_p = self._draw_choice(read, counting, uniforms[:, 0], temperatures.focus)
            n_children = torch.where(counting, choice - self.n_choices, 0)
            kind[open_rows] = torch.where(n_children > 0, int(Decision.COUNT), int(Decision.END))
            count[open_rows], log_prob[open_rows] = n_children, log_p.to(log_prob)
            row = (~counting).nonzero()[:, 0]
            if len(row):
                there = open_rows[row]
                kind[there] = int(Decision.PLACE)
                species[there] = choice[row].div(self.max_degree, rounding_mode="floor")
                degree[there] = choice[row] % self.max_degree + 1
                label = self._labels(species[there], degree[there])
                second[there], positions[there], log_p = self._draw_placement(
                    read, f, of_open, row, label, uniforms[row], temperatures
                )
                log_prob[there] += log_p
        return Proposals(kind, focus, species, positions, log_prob, degree, count, second)

    def _draw_choice(
        self, read: Reading, counting: Tensor, uniforms: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Draw (n_fragments,) a count where one is asked for, else element and degree; with log-probabilities.

        Args:
            read: of one decision a fragment.
            counting: (n_fragments,) bool, whether a count is asked for.
            uniforms: (n_fragments,).
            temperature: divides the logits.
        """
        logits = self._choice_logits(read)[:, 0]
        is_count = torch.arange(logits.shape[1], device=logits.device) >= self.n_choices
        logits = logits.masked_fill(is_count != counting[:, None], -torch.inf)
        choice = draw_index((logits / temperature).softmax(-1), uniforms)
        return choice, entry(logits.log_softmax(-1), choice)

    def _draw_placement(
        self,
        read: Reading,
        f: Fragments,
        focus: Tensor,
        row: Tensor,
        label: Tensor,
        uniforms: Tensor,
        temperatures: Temperatures,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw second neighbours and positions of atoms of these labels (n_rows,) in the fragments `row`.

        Returns:
            (n_rows,) growth indices, -1 for none; (n_rows, 3) Å; and (n_rows,) log-densities.
        """
        at, prefix, focus = (row, torch.zeros_like(row)), f.n_atoms[row], focus[row]
        log_p = self._closure_log_probs(read, at, at[1], focus, prefix, label)
        found = draw_index((log_p / temperatures.focus).softmax(-1), uniforms[:, 4])
        second = torch.where(found < log_p.shape[1] - 1, found, -1)
        axes, known = self._frame_of_focus(read.frames, f.positions, at, prefix)
        axes, distance = towards(axes, f.positions, (row, focus), second)
        closure = self._closure(read, at, at[1], second, distance)
        around = self._surroundings(read, at, at[1], focus, prefix, second, f.species, label)
        internal, of_position = self.position_head.draw(
            read.decisions[at], label, known, around, uniforms[:, 1:4], temperatures.position, closure
        )
        return second, f.positions[row, focus] + from_internal(*internal, axes), entry(log_p, found) + of_position

    def _recall(self, f: Fragments, focus: Tensor) -> Reading:
        """Return what the embedders make of one decision a fragment, with the frame of its focus alone.

        Atoms that are known from earlier decisions are not encoded again.
        """
        n_fragments, n = f.species.shape
        memory = f.memory or self.remember(n_fragments, n)
        new = (f.n_atoms > memory.n_encoded[memory.rows]).nonzero()[:, 0]
        if len(new):
            self._encode_new(f, memory.of(new), new)
        frames = frames_of(f.positions, f.n_atoms, focus[:, None])
        pairs = self.pairs(frames, self._labels(f.species, f.degree))
        row = torch.arange(n_fragments, device=focus.device)
        atoms = memory.atoms[memory.rows, :n]
        keys_values = memory.read(self.config.n_encoder_layers)
        at = row[:, None], torch.zeros_like(row)[:, None]
        awaited, prefix = f.awaits[row, focus][:, None], f.n_atoms[:, None]
        foci = atoms[row, focus][:, None] + self._asked(f.conditions, f.species, prefix)
        awaits = f.awaits[:, None]
        there, states, unpaired, foreseen = self._there(f.species, f.positions, prefix, awaits, focus[:, None])
        states = states.to(pairs)
        decisions = self._decide(frames, at, foci + there, Sight(pairs, prefix, states=states), keys_values, awaited)
        return Reading(frames, pairs, atoms, decisions, awaits, states, unpaired, foreseen)

    def _encode_new(self, f: Fragments, memory: AtomMemory, rows: Tensor) -> None:
        """Encode the atoms of fragments `rows` that `memory`, which is theirs, does not hold yet."""
        labels = self._labels(f.species, f.degree)[rows]
        n_atoms, known = f.n_atoms[rows], memory.n_encoded[memory.rows]
        n = int(n_atoms.max())
        n_new = int((n_atoms - known).max())
        # A fragment with fewer new atoms encodes its last one again.
        index = torch.minimum(known[:, None] + torch.arange(n_new, device=rows.device), n_atoms[:, None] - 1)
        frames = frames_of(f.positions[rows, :n], n_atoms, index)
        pairs = self.pairs(frames, labels[:, :n])
        atoms = self.encoder(
            self._atoms(labels.gather(1, index), frames, None if f.conditions is None else f.conditions[rows]),
            Sight(pairs, index + 1),
            remember=lambda layer, values: memory.put(layer, index, values),
        )
        memory.atoms[memory.rows[:, None], index] = atoms
        for layer, values in enumerate(self.decoder.keys_values(atoms)):
            memory.put(self.config.n_encoder_layers + layer, index, values)
        memory.n_encoded[memory.rows] = n_atoms
