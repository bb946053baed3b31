"""Breadth first along the bonds, the policy of Weaver.

The bond graph is that of `chemistry.radii`. The first atom is a heavy one, each as likely (any atom where there is
none). The focus is the oldest atom that has not ended: its unplaced neighbours are placed one by one, heavy ones first
and then hydrogens, each as likely within its class; when none is left the decision is END, and the next atom in the
order of growth becomes the focus. When all atoms have ended the molecule is finished: there is no STOP, and the focus
needs no distribution.

A hydrogen that is not the first atom ends as it is placed, without a decision (`hydrogens_end`): in QM9 it never has a
further neighbour to place, and a quarter of all decisions would be spent on saying so. A molecule that hangs together
only through a hydrogen, or not at all, is left out.

A share of the molecules (`any_focus`) teaches how to continue fragments that no breadth-first growth leaves behind, by
single questions: the atoms are placed in a random order that keeps the fragment connected, the focus is any placed
atom, and of the complete atoms a random part has said END. What is to be decided there follows the same rule.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from ...chemistry.radii import CONNECTIVITY_FACTOR, COVALENT_RADII
from ...config import Config
from ...species import Species
from ..trajectories import Decision, Trajectories
from .base import Fate, Policy

DRAWS = 3
"""Uniform numbers that a molecule takes as a whole: its first atom, whether it is asked questions, how many say END."""

DRAWS_PER_ATOM = 5
"""Uniform numbers an atom: its place among its siblings, whether it says END, and three for the questions."""

_LOG_FACTORIALS = np.array([math.lgamma(n + 1) for n in range(1000)])


class BreadthFirstConfig(Config):
    """How molecules grow breadth first along their bonds."""

    kind: Literal["breadth_first"] = "breadth_first"
    start: Literal["data", "H", "C"] = Field(
        "data", description="first atom: any heavy one (any atom where there is none), any H, or any C"
    )
    hydrogens_end: bool = Field(
        True, description="a hydrogen that is not the first atom ends as it is placed, without a decision"
    )
    any_focus: float = Field(
        0.1, ge=0, le=1, description="share of molecules that teach single questions about random fragments and foci"
    )


class BreadthFirstPolicy(Policy):
    """Grows batches of molecules in lockstep, all arrays padded to the largest of them."""

    def __init__(self, config: BreadthFirstConfig, species: Species) -> None:
        super().__init__(species)
        self.config = config
        numbers = np.array(species.numbers)
        self._is_hydrogen = numbers == 1  # (n_species,)
        self._reach = CONNECTIVITY_FACTOR * COVALENT_RADII[numbers]  # (n_species,) Å
        self._may_start = np.ones(len(species), bool)  # (n_species,)
        if config.start != "data":
            self._may_start = np.array(species.symbols) == config.start

    def n_draws(self, n_atoms: int) -> int:
        """Return how many uniform numbers a molecule needs; see `Policy.n_draws`."""
        return DRAWS + DRAWS_PER_ATOM * n_atoms

    def start_candidates(self, species: NDArray, present: NDArray) -> NDArray:
        """Return the atoms that may be the first; see `Policy.start_candidates`."""
        candidates = present & self._may_start[species]
        if self.config.start == "data":
            heavy = candidates & ~self._is_hydrogen[species]
            candidates = np.where(heavy.any(1, keepdims=True), heavy, candidates)
        return candidates

    def grow(
        self, species: NDArray, positions: NDArray, n_atoms: NDArray, uniforms: NDArray
    ) -> tuple[Trajectories, NDArray]:
        """Draw one trajectory a molecule, or single questions about it; see `Policy.grow`."""
        n_molecules, width = species.shape
        rows = np.arange(n_molecules)
        present = np.arange(width) < n_atoms[:, None]
        x = np.asarray(positions, np.float64)  # so that the order does not depend on where the molecule lies
        bonded = self._bonds(species, x, present)
        asked = uniforms[:, 1] < self.config.any_focus
        draws = uniforms[:, DRAWS : DRAWS + DRAWS_PER_ATOM * width].reshape(n_molecules, width, DRAWS_PER_ATOM)

        candidates = self.start_candidates(species, present)
        n_starts = candidates.sum(1)
        rank = np.minimum((uniforms[:, 0] * n_starts).astype(np.int64), np.maximum(n_starts - 1, 0))
        first = np.where(candidates, candidates.cumsum(1) - 1, -1) == rank[:, None]
        root = first.argmax(1)
        decides = present.copy()  # by storage index: the atoms that are a focus at some time
        if self.config.hydrogens_end:
            decides &= ~self._is_hydrogen[species]
            decides[rows, root] = True

        # Among the neighbours of a focus the lowest of these numbers comes first: heavy atoms, then hydrogens.
        turn = draws[:, :, 0] + self._is_hydrogen[species]
        order, n_placed = np.zeros((n_molecules, width), np.int64), np.ones(n_molecules, np.int64)
        order[:, 0] = root
        self._place_breadth_first(order, n_placed, bonded, decides, turn, np.flatnonzero(~asked))
        self._place_at_random(order, n_placed, bonded, decides, draws[:, :, 0], np.flatnonzero(asked))
        fate = np.where(n_placed < n_atoms, Fate.APART, Fate.KEPT).astype(np.int64)
        fate[n_starts == 0] = Fate.NO_START

        kept = np.flatnonzero(fate == Fate.KEPT)
        n_atoms, width = np.asarray(n_atoms[kept], np.int64), int(n_atoms[kept].max(initial=1))
        order, present, row = order[kept, :width], present[kept, :width], kept[:, None]
        bonded = bonded[row[:, :, None], order[:, :, None], order[:, None, :]]
        bonded &= present[:, :, None] & present[:, None, :]
        grown = _Grown(
            n_atoms=n_atoms,
            bonded=bonded,
            hydrogen=self._is_hydrogen[species[row, order]],
            decides=decides[row, order] & present,
            turn=turn[row, order],
            draws=draws[kept, :width],
        )
        prefix, focus = grown.asked(asked[kept])
        ended = grown.ended(prefix, focus, asked[kept], uniforms[kept, 2])
        x = np.where(present[:, :, None], x[row, order] - x[kept, root[kept]][:, None], 0.0)
        log_q = np.where(asked[kept], np.nan, grown.log_q - np.log(np.maximum(n_starts[kept], 1)))
        return Trajectories(
            species=torch.from_numpy(np.where(present, species[row, order], 0)),
            positions=torch.from_numpy(x.astype(np.float32)),
            n_atoms=torch.from_numpy(n_atoms),
            prefix=torch.from_numpy(prefix),
            focus=torch.from_numpy(focus),
            ended=torch.from_numpy(ended),
            log_q=torch.from_numpy(log_q),
            policy=self.config.kind,
            **{name: torch.from_numpy(x) for name, x in grown.decisions(prefix, focus).items()},
        ), fate

    def _bonds(self, species: NDArray, x: NDArray, present: NDArray) -> NDArray:
        """Return (n_molecules, n_atoms, n_atoms) bool: the rule of `chemistry.radii`, for padded species indices."""
        square: NDArray = np.zeros(present.shape + present.shape[1:])
        for axis in range(3):
            square += (x[:, :, None, axis] - x[:, None, :, axis]) ** 2
        reach = self._reach[species]
        bonded = np.sqrt(square) <= reach[:, :, None] + reach[:, None, :]
        return bonded & present[:, :, None] & present[:, None, :] & ~np.eye(present.shape[1], dtype=bool)

    def _place_breadth_first(
        self, order: NDArray, n_placed: NDArray, bonded: NDArray, decides: NDArray, turn: NDArray, rows: NDArray
    ) -> None:
        """Fill `order` (growth index -> storage index) and `n_placed` of the molecules `rows`, in place."""
        each, width = np.arange(len(rows)), order.shape[1]
        order_here, count, bonded = order[rows], n_placed[rows], bonded[rows] & decides[rows, :, None]
        turn = turn[rows]
        unplaced = np.ones((len(rows), width), bool)
        unplaced[each, order_here[:, 0]] = False
        for focus in range(width):
            children = bonded[each, order_here[:, focus]] & unplaced & (focus < count)[:, None]
            n_children = children.sum(1)
            ranked = np.where(children, turn, np.inf).argsort(1)
            row, rank = np.nonzero(np.arange(int(n_children.max(initial=0))) < n_children[:, None])
            order_here[row, count[row] + rank] = ranked[row, rank]
            unplaced &= ~children
            count += n_children
        order[rows], n_placed[rows] = order_here, count

    def _place_at_random(
        self, order: NDArray, n_placed: NDArray, bonded: NDArray, decides: NDArray, keys: NDArray, rows: NDArray
    ) -> None:
        """As `_place_breadth_first`, but whichever neighbour of the fragment has the lowest key comes next."""
        each, bonded, keys = np.arange(len(rows)), bonded[rows] & decides[rows, :, None], keys[rows]
        newest = order[rows, 0]
        unplaced, near = np.ones(keys.shape, bool), np.zeros(keys.shape, bool)
        for size in range(1, order.shape[1]):
            unplaced[each, newest] = False
            near |= bonded[each, newest]
            frontier = np.where(near & unplaced, keys, np.inf)
            newest = frontier.argmin(1)
            grows = np.isfinite(frontier[each, newest])
            order[rows[grows], size] = newest[grows]
            n_placed[rows] += grows


class _Grown:
    """The kept molecules in growth order, and what is decided about their fragments.

    Args:
        n_atoms: (n_molecules,) int64.
        bonded: (n_molecules, n_atoms, n_atoms) bool.
        hydrogen: (n_molecules, n_atoms) bool.
        decides: (n_molecules, n_atoms) bool, whether the atom is ever a focus.
        turn: (n_molecules, n_atoms) float, the lower comes first among the neighbours of a focus.
        draws: (n_molecules, n_atoms, DRAWS_PER_ATOM) in (0, 1), by storage index.
    """

    def __init__(
        self, n_atoms: NDArray, bonded: NDArray, hydrogen: NDArray, decides: NDArray, turn: NDArray, draws: NDArray
    ) -> None:
        self.n_atoms, self.bonded, self.hydrogen = n_atoms, bonded, hydrogen
        self.decides, self.turn, self.draws = decides, turn, draws
        self.index = np.arange(bonded.shape[1])
        # An atom's parent is its oldest neighbour that is ever a focus: breadth first, that one placed it.
        parents = bonded & decides[:, None, :]
        self.parent = np.where(self.index > 0, parents.argmax(2), -1)
        is_child = (self.parent[:, None, :] == self.index[:, None]) & (self.index < n_atoms[:, None])[:, None, :]
        self.n_children = is_child.sum(2)
        n_hydrogens = (is_child & hydrogen[:, None, :]).sum(2)
        orders = _LOG_FACTORIALS[n_hydrogens] + _LOG_FACTORIALS[self.n_children - n_hydrogens]
        self.log_q = -orders.sum(1)  # (n_molecules,) of a breadth-first order, given its first atom
        self.n_decisions = n_atoms - 1 + decides.sum(1)

    def asked(self, asked: NDArray) -> tuple[NDArray, NDArray]:
        """Return prefix and focus of every decision, (n_molecules, n_decisions); 0 where padded.

        Args:
            asked: (n_molecules,) bool, True where the decisions are single questions.
        """
        column = np.arange(int(self.n_decisions.max(initial=0)))
        real = column < self.n_decisions[:, None]
        prefix, focus = self._in_order(real)
        if asked.any():
            any_prefix, any_focus = self._questions(column)
            here = real & asked[:, None]
            prefix, focus = np.where(here, any_prefix, prefix), np.where(here, any_focus, focus)
        return prefix, focus

    def _in_order(self, real: NDArray) -> tuple[NDArray, NDArray]:
        """Return prefix and focus of the decisions of breadth-first growth.

        A focus has one decision for each child and its END. Before the first of them the atoms placed are the first
        one and the children of all foci before.
        """
        runs = np.where(self.decides, self.n_children + 1, 0)
        placed_before = 1 + self.n_children.cumsum(1) - self.n_children
        length = runs.ravel()
        within = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
        prefix, focus = np.zeros((2, *real.shape), np.int64)
        prefix[real] = np.repeat(placed_before.ravel(), length) + within
        focus[real] = np.repeat(np.broadcast_to(self.index, runs.shape).ravel(), length)
        return prefix, focus

    def _questions(self, column: NDArray) -> tuple[NDArray, NDArray]:
        """Return one question about every prefix, then as many as are left about prefixes drawn at random."""
        n = self.n_atoms[:, None]
        draw = np.take_along_axis(self.draws, (column % n)[:, :, None], 1)
        again = column >= n
        some_prefix = 1 + np.minimum((draw[:, :, 4] * n).astype(np.int64), n - 1)
        prefix = np.where(again, some_prefix, column + 1)
        foci = self.decides.cumsum(1)  # how many of the first atoms may be a focus
        n_foci = np.take_along_axis(foci, prefix - 1, 1)
        rank = np.minimum((np.where(again, draw[:, :, 3], draw[:, :, 2]) * n_foci).astype(np.int64), n_foci - 1)
        return prefix, (foci[:, None, :] <= rank[:, :, None]).sum(2)

    def ended(self, prefix: NDArray, focus: NDArray, asked: NDArray, share: NDArray) -> NDArray:
        """Return the atoms that have said END, (n_molecules, n_decisions, n_atoms) bool.

        Args:
            prefix: (n_molecules, n_decisions), 0 where padded.
            focus: (n_molecules, n_decisions).
            asked: (n_molecules,) bool, True where the decisions are single questions.
            share: (n_molecules,) how many of the complete atoms have said END where they are.
        """
        before = self.decides[:, None, :] & (self.index < focus[:, :, None])
        if not asked.any():
            return before
        last_neighbour = np.where(self.bonded, self.index, -1).max(2)
        says_end = self.decides & (self.draws[:, :, 1] < share[:, None])
        complete = np.maximum(last_neighbour, self.index)[:, None, :] < prefix[:, :, None]
        said = says_end[:, None, :] & complete & (self.index != focus[:, :, None])
        return np.where(asked[:, None, None], said, before)

    def decisions(self, prefix: NDArray, focus: NDArray) -> dict[str, NDArray]:
        """Return kind, target and alternatives by the rule: heavy neighbours, then hydrogens, then END."""
        real = prefix > 0
        row = np.arange(len(prefix))[:, None]
        open_neighbours = self.bonded[row, focus] & (self.index >= prefix[:, :, None]) & real[:, :, None]
        heavy = open_neighbours & ~self.hydrogen[:, None, :]
        admitted = np.where(heavy.any(2, keepdims=True), heavy, open_neighbours)
        places = admitted.any(2)
        target = np.where(admitted, self.turn[:, None, :], np.inf).argmin(2)
        molecule, decision, atom = np.nonzero(admitted)
        return {
            "kind": np.where(places, Decision.PLACE, np.where(real, Decision.END, Decision.PADDING)),
            "target": np.where(places, target, -1),
            "alternative_molecule": molecule,
            "alternative_decision": decision,
            "alternative_focus": focus[molecule, decision],
            "alternative_target": atom,
        }
