"""Rings that close: to which placed atom, beside its focus, the next atom is bonded, if to any.

An atom that closes a ring has two distances that must be right at once. Said as angle and torsion around the focus,
the second would take two densities that are each a little too broad; so it is said first with whom the ring closes, and
the distance to that atom then takes the place of the polar angle (`InternalHead`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..activation import silu
from ..precision import at_least_float32
from ..rows import rows_at


@dataclass(frozen=True)
class Closure:
    """The second neighbours of atoms to be placed."""

    closes: Tensor  # (n_rows,) bool, whether there is one
    partner: Tensor  # (n_rows, features), what is known of it; 0 where there is none
    distance: Tensor  # (n_rows,) Å from the focus to it; 1 where there is none


class ClosureHead(nn.Module):
    """A distribution over the placed atoms that may be the second neighbour, and none of them.

    Args:
        features: of a decision, and of an atom.
        pair_features: of a pair.
        n_labels: of atoms to place.
        n_states: numbers that say what a placed atom awaits.
        width: hidden width.
    """

    def __init__(self, features: int, pair_features: int, n_labels: int, n_states: int, width: int) -> None:
        super().__init__()
        self.label = nn.Embedding(n_labels, features)
        self.of_pair = nn.Linear(pair_features, width, bias=False)
        self.of_atom = nn.Linear(features, width, bias=False)
        self.of_state = nn.Linear(n_states, width, bias=False)
        self.of_decision = nn.Linear(features, width)
        self.out = nn.Linear(width, 1)
        self.of_none = nn.Linear(features, width)
        self.none = nn.Linear(width, 1)
        self.known = nn.Linear(features + pair_features, features)
        for last in (self.out, self.none, self.known):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def log_probs(
        self,
        decisions: Tensor,
        label: Tensor,
        at: tuple[Tensor, Tensor],
        pairs: Tensor,
        atoms: Tensor,
        states: Tensor,
        may: Tensor,
        foreseen: Tensor | None = None,
    ) -> Tensor:
        """Return (n_rows, n_atoms + 1) log-probabilities of every atom, and of none last.

        Args:
            decisions: (n_rows, features).
            label: (n_rows,) of the atoms to place.
            at: (n_rows,) each, molecule and frame of the foci.
            pairs: (n_molecules, n_frames, n_atoms, pair_features).
            atoms: (n_molecules, n_atoms, features), encoded.
            states: (n_rows, n_atoms, n_states).
            may: (n_rows, n_atoms) bool, which atoms may be it; few, and nothing is computed for the others.
            foreseen: (n_rows, n_atoms + 1) further logits.
        """
        asked = decisions + self.label(label)
        row, atom = may.nonzero(as_tuple=True)
        molecule, frame = (x[row] for x in at)
        hidden = self.of_pair(rows_at(pairs, molecule, frame, atom)) + rows_at(self.of_atom(atoms), molecule, atom)
        hidden = hidden + self.of_state(states[row, atom].to(hidden)) + rows_at(self.of_decision(asked), row)
        candidates = at_least_float32(self.out(silu(hidden))[:, 0])
        none = at_least_float32(self.none(silu(self.of_none(asked))))
        logits = candidates.new_full(may.shape, -torch.inf).index_put((row, atom), candidates)
        logits = torch.cat([logits, none], 1)
        return (logits if foreseen is None else logits + foreseen).log_softmax(1)

    def closure(self, closes: Tensor, pairs: Tensor, atoms: Tensor, distance: Tensor) -> Closure:
        """Return what the position head hears.

        Args:
            closes: (n_rows,) bool.
            pairs: (n_rows, pair_features), how the foci see their second neighbours; anything where there is none.
            atoms: (n_rows, features) of these.
            distance: (n_rows,) Å of these from the foci.
        """
        partner = self.known(torch.cat([atoms, pairs.to(atoms)], -1)) * closes[:, None]
        return Closure(closes, partner, torch.where(closes, distance, 1.0))
