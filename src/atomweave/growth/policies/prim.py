"""Prim's minimum spanning tree over all atoms, the policy of G-SphereNet (Luo and Ji, ICLR 2022, section 3.5).

Edges weigh the squared distance of their ends. The atom that lies nearest to any placed atom comes next, whatever the
elements, and the placed atom that it lies nearest to is its focus. Bonds to hydrogen are the shortest, so an atom has
its hydrogens before the next heavy atom comes. The first atom is the first carbon in storage order, and then nothing is
drawn: a molecule has one trajectory.

A focus is not drawn when teaching, but it must be chosen when growing. There the published model draws it among all
atoms that still await neighbours, and so often leaves the order that it was taught. With order `last` there is nothing
to choose: the focus is the heavy atom placed last that still awaits neighbours (bonds by `chemistry.radii`; a hydrogen
where no heavy atom does), and its nearest neighbour that is left comes next. So is 95 % of Prim's tree (QM9).

Equal distances are decided as in the published code, whose heap returns what was pushed first: the older focus, then
the atom first in storage. Before every decision `Trajectories.awaits` tells how many neighbours each placed atom lacks;
one that lacks none cannot be the focus, which is what the focal classifier learns.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from ...chemistry.radii import reach
from ...config import Config
from ...species import Species
from ..trajectories import Decision, Trajectories
from .base import Fate, Policy, draw_start
from .distances import bonded_atoms, squared_distances

TIE = 1e-9
"""Squared distances (Å^2) that differ by no more are equal. Rounding of float64 stays far below, so that it never
chooses among the atoms of a symmetric molecule; of stored coordinates, which hold fewer digits, few come that close."""


class PrimConfig(Config):
    """How molecules grow along a spanning tree."""

    kind: Literal["prim"] = "prim"
    start: Literal["first_carbon", "data", "C", "H"] = Field(
        "first_carbon",
        description="first atom: the first carbon in storage order (the first atom where there is none), or, each as "
        "likely, any heavy one (data; any atom where there is none), any C, or any H; molecules without a C or H that "
        "is wanted are left out",
    )
    order: Literal["published", "last"] = Field(
        "published",
        description="published: Prim's tree; last: the focus is the heavy atom placed last that awaits neighbours",
    )


class PrimPolicy(Policy):
    """Grows batches of molecules in lockstep, all arrays padded to the largest of them."""

    def __init__(self, config: PrimConfig, species: Species) -> None:
        super().__init__(species)
        self.config = config
        self._reach = reach(species.numbers)  # (n_species,) Å
        self._is_heavy = np.array(species.numbers) != 1  # (n_species,)
        first = {"first_carbon": "C", "data": None}.get(config.start, config.start)
        self._comes_first = self._is_heavy if first is None else np.array(species.symbols) == first  # (n_species,)

    def n_draws(self, n_atoms: int) -> int:
        """Return 1, for the first atom; see `Policy.n_draws`."""
        return 1

    def start_candidates(self, species: NDArray, present: NDArray) -> NDArray:
        """Return the atoms that may be the first; see `Policy.start_candidates`."""
        candidates = present & self._comes_first[species]
        if self.config.start in ("first_carbon", "data"):
            candidates = np.where(candidates.any(1, keepdims=True), candidates, present)
        if self.config.start == "first_carbon":
            candidates &= candidates.cumsum(1) == 1
        return candidates

    def grow(
        self, species: NDArray, positions: NDArray, n_atoms: NDArray, uniforms: NDArray
    ) -> tuple[Trajectories, NDArray]:
        """Put molecules into their order; see `Policy.grow`."""
        present = np.arange(species.shape[1]) < n_atoms[:, None]
        square = squared_distances(positions)
        bonded = bonded_atoms(square, self._reach[species], present)
        candidates = self.start_candidates(species, present)
        n_starts = candidates.sum(1)
        root = draw_start(candidates, uniforms[:, 0])
        fate = np.full(len(species), Fate.KEPT, np.int64)
        if self.config.order == "last":
            order, focus, n_placed = _last_first(square, bonded, self._is_heavy[species], root)
            fate[n_placed < n_atoms] = Fate.APART
        else:
            order, focus = _spanning_tree(square, present, root)
        fate[n_starts == 0] = Fate.NO_START

        kept = np.flatnonzero(fate == Fate.KEPT)
        n_atoms, width = np.asarray(n_atoms[kept], np.int64), int(n_atoms[kept].max(initial=1))
        order, focus, row, index = order[kept, :width], focus[kept, :width], kept[:, None], np.arange(width)
        present, grows = index < n_atoms[:, None], index < n_atoms[:, None] - 1
        bonded = bonded[row[:, :, None], order[:, :, None], order[:, None, :]]
        bonded &= present[:, :, None] & present[:, None, :]
        x = np.asarray(positions, np.float64)
        x = np.where(present[:, :, None], x[row, order] - x[kept, root[kept]][:, None], 0.0)
        molecule, decision = np.nonzero(grows)
        focus = np.where(grows, focus, 0)
        stops = np.where(present, Decision.STOP, Decision.PADDING)
        arrays = {
            "species": np.where(present, species[row, order], 0),
            "positions": x.astype(np.float32),  # around the first atom, numbers stay small in float32
            "n_atoms": n_atoms,
            "kind": np.where(grows, Decision.PLACE, stops),
            "prefix": np.where(present, index + 1, 0),
            "focus": focus,
            "target": np.where(grows, index + 1, -1),
            "alternative_molecule": molecule,
            "alternative_decision": decision,
            "alternative_focus": focus[molecule, decision],
            "alternative_target": decision + 1,
            "awaits": _awaits(bonded, present),
            "log_q": -np.log(n_starts[kept]),
        }
        tensors: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return Trajectories(policy=self.config.kind, **tensors), fate


def _spanning_tree(square: NDArray, present: NDArray, root: NDArray) -> tuple[NDArray, NDArray]:
    """Return Prim's order and foci.

    Args:
        square: (n_molecules, n_atoms, n_atoms) squared distances, Å^2.
        present: (n_molecules, n_atoms) bool.
        root: (n_molecules,) storage indices of the first atoms.

    Returns:
        order: (n_molecules, n_atoms), growth index -> storage index; anything beyond the last atom, as in `focus`.
        focus: (n_molecules, n_atoms), decision -> growth index.
    """
    n_molecules, width = present.shape
    rows = np.arange(n_molecules)
    order, focus = np.zeros((2, n_molecules, width), np.int64)
    order[:, 0] = root
    unplaced = present.copy()
    unplaced[rows, root] = False
    # To every atom that is not placed: the squared distance from the nearest that is, and its growth index.
    nearest = np.where(unplaced, square[rows, root], np.inf)
    parent = np.zeros((n_molecules, width), np.int64)
    for size in range(1, width):
        tied = nearest <= nearest.min(1, keepdims=True) + TIE
        newest = np.where(tied, parent, width).argmin(1)
        order[:, size], focus[:, size - 1] = newest, parent[rows, newest]
        unplaced[rows, newest], nearest[rows, newest] = False, np.inf
        offered = square[rows, newest]
        nearer = unplaced & (offered < nearest - TIE)
        nearest, parent = np.where(nearer, offered, nearest), np.where(nearer, size, parent)
    return order, focus


def _last_first(square: NDArray, bonded: NDArray, heavy: NDArray, root: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the order whose focus is the atom placed last that awaits neighbours; heavy atoms before hydrogens.

    Args:
        square: (n_molecules, n_atoms, n_atoms) squared distances, Å^2.
        bonded: (n_molecules, n_atoms, n_atoms) bool.
        heavy: (n_molecules, n_atoms) bool, false for hydrogen.
        root: (n_molecules,) storage indices of the first atoms.

    Returns:
        Order and foci as of `_spanning_tree`, and how many atoms hang together with the first; (n_molecules,).
    """
    n_molecules, width = heavy.shape
    rows = np.arange(n_molecules)
    order, focus = np.zeros((2, n_molecules, width), np.int64)
    place = np.full((n_molecules, width), -1)  # storage index -> growth index; -1 while not placed
    lacks = bonded.sum(2)
    n_placed, newest, grows = np.zeros(n_molecules, np.int64), root, np.ones(n_molecules, bool)
    for size in range(width):
        order[grows, size], place[rows[grows], newest[grows]] = newest[grows], size
        n_placed += grows
        lacks = lacks - (bonded[rows, newest] & grows[:, None])
        turn = np.where((place >= 0) & (lacks > 0), place + width * heavy, -1)
        at = turn.argmax(1)
        grows = turn[rows, at] >= 0
        focus[:, size] = place[rows, at]
        left = np.where(bonded[rows, at] & (place < 0), square[rows, at], np.inf)
        newest = (left <= left.min(1, keepdims=True) + TIE).argmax(1)
    return order, focus, n_placed


def _awaits(bonded: NDArray, present: NDArray) -> NDArray:
    """Return `Trajectories.awaits` of molecules whose decision k is taken with k + 1 atoms placed.

    Args:
        bonded: (n_molecules, n_atoms, n_atoms) bool, by growth index.
        present: (n_molecules, n_atoms) bool.
    """
    bonds = bonded.astype(np.int8)
    # Row k of the sum: neighbours of each atom among the first k + 1.
    lacks = bonds.sum(1, dtype=np.int8)[:, None, :] - bonds.cumsum(1, dtype=np.int8)
    placed = np.tri(present.shape[1], dtype=bool) & present[:, :, None]
    return np.where(placed, lacks, 0).astype(np.int8)
