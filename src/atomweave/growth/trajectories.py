"""What teaching and growing act on: molecules in growth order with their decisions, and fragments.

A trajectory is a molecule in the order in which it could have grown, and the decisions that grew it. Fragment k is the
first k atoms, so that all fragments of a molecule share one row of storage; a decision names its fragment by k.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


class Decision(enum.IntEnum):
    """What is decided about a fragment; PADDING fills short rows."""

    PADDING = -1
    STOP = 0
    END = 1  # the focus gets no further neighbour
    PLACE = 2
    COUNT = 3  # the focus gets so many further neighbours, at least one; END is the same with none


UNKNOWN = -1
"""Number of neighbours awaited by an atom that nobody has said it of."""


@dataclass(frozen=True)
class Trajectories:
    """A batch of molecules in growth order, and some or all of their decisions."""

    species: Tensor  # (n_molecules, n_atoms) int64, species index in growth order; 0 beyond a molecule's last atom
    positions: Tensor  # (n_molecules, n_atoms, 3) float32, Å; 0 beyond the last atom
    n_atoms: Tensor  # (n_molecules,) int64
    kind: Tensor  # (n_molecules, n_decisions) int64, values of `Decision`
    prefix: Tensor  # (n_molecules, n_decisions) int64, the fragment is the first `prefix` atoms; 0 at padding
    focus: Tensor  # (n_molecules, n_decisions) int64, growth index below `prefix`; 0 at STOP and padding
    target: Tensor  # (n_molecules, n_decisions) int64, growth index of the atom placed; -1 where none is
    # Every (focus, target) pair that the policy admitted, one row a pair; the drawn pair is among them.
    alternative_molecule: Tensor  # (n_alternatives,) int64, row of `kind`
    alternative_decision: Tensor  # (n_alternatives,) int64, column of `kind`
    alternative_focus: Tensor  # (n_alternatives,) int64, growth index
    alternative_target: Tensor  # (n_alternatives,) int64, growth index
    policy: str  # name of the growth policy
    # (n_molecules, n_atoms) int64, how many neighbours the atom has in the whole molecule, told as it is placed; 0 if
    # nothing is told, as of the first atom and of a given fragment's; None where a policy has no such notion.
    degree: Tensor | None = None
    # (n_molecules, n_decisions, n_atoms) int8, how many further neighbours each placed atom awaits before the decision,
    # `UNKNOWN` where nothing tells; 0 beyond the prefix; None as above.
    awaits: Tensor | None = None
    # (n_molecules, n_decisions) int64, further neighbours of the focus at COUNT; 0 elsewhere; None as above.
    count: Tensor | None = None
    # (n_molecules, n_atoms) int64, growth index of the second-oldest atom that the atom is bonded to as it is placed (a
    # ring closes); -1 where there is none; None as above.
    closure: Tensor | None = None
    # (n_molecules,) float64, log-probability that the policy draws this trajectory of the molecule, nats; NaN where it
    # begins with a given fragment; None where a policy does not say.
    log_q: Tensor | None = None
    # (n_molecules, n_columns) float32, what the model is told of the molecules, NaN where nothing: see
    # `growth.conditions`; None where nothing is told at all.
    conditions: Tensor | None = None
    # Where these molecules are a part of a larger batch: the row of the first, and how many molecules that batch has.
    first_row: int = 0
    n_whole: int | None = None

    def to(self, device: torch.device | str) -> Trajectories:
        """Return the same trajectories with all tensors on `device`."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: x.to(device) for name, x in tensors.items() if isinstance(x, Tensor)}
        return replace(self, **moved)

    def rows(self, first: int, last: int) -> Trajectories:
        """Return the molecules `first` to `last - 1` with all their decisions, marked as a part of the batch."""
        per_molecule = [
            *("species", "positions", "n_atoms", "kind", "prefix", "focus", "target"),
            *("degree", "awaits", "count", "closure", "log_q", "conditions"),
        ]
        tensors = {name: getattr(self, name) for name in per_molecule}
        cut: dict[str, Any] = {name: x[first:last] for name, x in tensors.items() if x is not None}
        here = (self.alternative_molecule >= first) & (self.alternative_molecule < last)
        return replace(
            self,
            **cut,
            alternative_molecule=self.alternative_molecule[here] - first,
            alternative_decision=self.alternative_decision[here],
            alternative_focus=self.alternative_focus[here],
            alternative_target=self.alternative_target[here],
            first_row=self.first_row + first,
            n_whole=len(self.n_atoms) if self.n_whole is None else self.n_whole,
        )

    @property
    def n_decisions(self) -> Tensor:
        """Number of decisions in the batch, padding left out; scalar."""
        return (self.kind != Decision.PADDING).sum()


@dataclass(frozen=True)
class Fragments:
    """A batch of unfinished molecules."""

    species: Tensor  # (n_fragments, n_slots) int64; 0 beyond the last atom
    positions: Tensor  # (n_fragments, n_slots, 3) float32, Å; 0 beyond the last atom
    n_atoms: Tensor  # (n_fragments,) int64, at least 1
    # (n_fragments, n_slots) int8, how many further neighbours each atom gets: 0 has ended, `UNKNOWN` if nothing tells
    awaits: Tensor
    policy: str  # name of the growth policy that grew them
    degree: Tensor | None = None  # (n_fragments, n_slots) int64, as in `Trajectories`; None is 0 everywhere
    memory: Any = None  # what `Model.remember` gave for these fragments, rows of it chosen; None where nothing is known
    conditions: Tensor | None = None  # (n_fragments, n_columns) float32, as in `Trajectories`

    def rows(self, rows: Tensor) -> Fragments:
        """Return some of the fragments."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {name: x[rows] for name, x in tensors.items() if isinstance(x, Tensor)}
        return replace(self, **chosen, memory=None if self.memory is None else self.memory.of(rows))


@dataclass(frozen=True)
class Proposals:
    """One drawn decision a fragment."""

    kind: Tensor  # (n_fragments,) int64, values of `Decision`
    focus: Tensor  # (n_fragments,) int64; 0 at STOP
    species: Tensor  # (n_fragments,) int64; 0 unless PLACE
    positions: Tensor  # (n_fragments, 3) float32, Å, in the fragment's own coordinates; 0 unless PLACE
    log_prob: Tensor  # (n_fragments,) float32, log-density of the decision at temperature 1, nats (positions per Å^3)
    degree: Tensor | None = None  # (n_fragments,) int64, neighbours that the placed atom is to have; None says nothing
    count: Tensor | None = None  # (n_fragments,) int64, further neighbours of the focus at COUNT
    closure: Tensor | None = (
        None  # (n_fragments,) int64, growth index of a second neighbour, a ring closes; -1 for none
    )


def focus_species_targets(trajectories: Trajectories, n_species: int) -> Tensor:
    """Return the distribution over focus and species of the next atom that the policy's alternatives amount to.

    Entry [m, d, f, Z] is the share of decision d's admissible pairs whose focus is f and whose target has species Z:
    over (f, Z) it sums to 1 where an atom is placed and is 0 everywhere at STOP and padding.

    Args:
        trajectories: the batch.
        n_species: size of the element vocabulary.

    Returns:
        (n_molecules, n_decisions, n_atoms, n_species), float as the positions.
    """
    t = trajectories
    n_molecules, n_decisions = t.kind.shape
    n_atoms = t.species.shape[1]
    decision = t.alternative_molecule * n_decisions + t.alternative_decision
    weight = 1 / torch.bincount(decision, minlength=n_molecules * n_decisions).to(t.positions.dtype)[decision]
    species = t.species[t.alternative_molecule, t.alternative_target]
    flat = t.positions.new_zeros(n_molecules * n_decisions * n_atoms * n_species)
    flat.index_add_(0, (decision * n_atoms + t.alternative_focus) * n_species + species, weight)
    return flat.view(n_molecules, n_decisions, n_atoms, n_species)
