"""Breadth first along the bonds, the policy of Weaver.

The bond graph is that of `chemistry.radii`. The first atom is a heavy one, each as likely (any atom where there is
none). The focus is the oldest atom that still awaits neighbours: they are placed one by one, heavy ones first and then
hydrogens, each as likely within its class; then the next atom in the order of growth becomes the focus. When no atom
awaits a neighbour the molecule is finished: there is no STOP, and the focus needs no distribution.

Every atom says as it is placed how many neighbours it has in the whole molecule (its degree). So what an atom still
awaits is known at every step, and positions are drawn knowing how many bonds they have to leave room for. An atom that
is bonded to another beside its focus closes a ring, and says with which one. The first atom has nobody to tell its
degree: as it becomes the focus, the count of its neighbours is a decision of its own (COUNT, or END where there are
none).

A share of the molecules (`fragment_share`) teaches to continue a given fragment: a random connected part of the
molecule, in breadth-first order of its own. Its atoms do not tell their degrees. Each, when its turn comes, decides how
many further neighbours it gets; but a hydrogen that has its neighbour gets no other.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from ...chemistry.radii import reach
from ...config import Config
from ...species import Species
from ..trajectories import UNKNOWN, Decision, Trajectories
from .base import Fate, Policy, draw_start
from .distances import bonded_atoms, squared_distances

DRAWS = 3
"""Uniform numbers that a molecule takes as a whole: its first atom, whether a fragment is given, how large it is."""

DRAWS_PER_ATOM = 2
"""Uniform numbers an atom: its turn among its siblings, and when it joins a random fragment."""

_LOG_FACTORIALS = np.array([math.lgamma(n + 1) for n in range(1000)])


class BreadthFirstConfig(Config):
    """How molecules grow breadth first along their bonds."""

    kind: Literal["breadth_first"] = "breadth_first"
    start: Literal["data", "H", "C"] = Field(
        "data", description="first atom: any heavy one (any atom where there is none), any H, or any C"
    )
    fragment_share: float = Field(
        0.1, ge=0, le=1, description="share of molecules that teach to continue a fragment of theirs"
    )
    max_degree: int = Field(6, ge=1, le=12, description="molecules with an atom of more neighbours are left out")


class BreadthFirstPolicy(Policy):
    """Grows batches of molecules in lockstep, all arrays padded to the largest of them."""

    def __init__(self, config: BreadthFirstConfig, species: Species) -> None:
        super().__init__(species)
        self.config = config
        self._is_hydrogen = np.array(species.numbers) == 1  # (n_species,)
        self._reach = reach(species.numbers)  # (n_species,) Å
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
        """Draw one trajectory a molecule; see `Policy.grow`."""
        n_molecules, width = species.shape
        rows = np.arange(n_molecules)
        present = np.arange(width) < n_atoms[:, None]
        x = np.asarray(positions, np.float64)  # so that the order does not depend on where the molecule lies
        bonded = bonded_atoms(squared_distances(x), self._reach[species], present)
        draws = uniforms[:, DRAWS : DRAWS + DRAWS_PER_ATOM * width].reshape(n_molecules, width, DRAWS_PER_ATOM)
        given = uniforms[:, 1] < self.config.fragment_share
        n_given = np.where(given, 1 + np.minimum((uniforms[:, 2] * n_atoms).astype(np.int64), n_atoms - 1), 1)

        candidates = self.start_candidates(species, present)
        n_starts = candidates.sum(1)
        root = draw_start(candidates, uniforms[:, 0])

        # Among the neighbours of a focus the lowest of these numbers comes first: heavy atoms, then hydrogens.
        turn = draws[:, :, 0] + self._is_hydrogen[species]
        order, n_placed = np.zeros((n_molecules, width), np.int64), np.ones(n_molecules, np.int64)
        order[:, 0] = root
        part = np.flatnonzero(n_given > 1)
        inside = self._random_part(bonded[part], root[part], n_given[part], draws[part, :, 1])
        self._place(order, n_placed, bonded & _pairs(inside, part, bonded), turn, part)
        self._place(order, n_placed, bonded, turn, rows)
        fate = np.where(n_placed < n_atoms, Fate.APART, Fate.KEPT).astype(np.int64)
        fate[(bonded.sum(2) > self.config.max_degree).any(1)] = Fate.CROWDED
        fate[n_starts == 0] = Fate.NO_START

        kept = np.flatnonzero(fate == Fate.KEPT)
        n_atoms, width = np.asarray(n_atoms[kept], np.int64), int(n_atoms[kept].max(initial=1))
        order, present, row = order[kept, :width], present[kept, :width], kept[:, None]
        bonded = bonded[row[:, :, None], order[:, :, None], order[:, None, :]]
        bonded &= present[:, :, None] & present[:, None, :]
        grown = _Grown(n_atoms, n_given[kept], bonded, self._is_hydrogen[species[row, order]], turn[row, order])
        x = np.where(present[:, :, None], x[row, order] - x[kept, root[kept]][:, None], 0.0)
        log_q = np.where(given[kept], np.nan, grown.log_q - np.log(np.maximum(n_starts[kept], 1)))
        decisions: dict[str, Any] = {name: torch.from_numpy(array) for name, array in grown.decisions().items()}
        return Trajectories(
            species=torch.from_numpy(np.where(present, species[row, order], 0)),
            positions=torch.from_numpy(x.astype(np.float32)),
            n_atoms=torch.from_numpy(n_atoms),
            log_q=torch.from_numpy(log_q),
            policy=self.config.kind,
            **decisions,
        ), fate

    def _random_part(self, bonded: NDArray, root: NDArray, size: NDArray, keys: NDArray) -> NDArray:
        """Return (n_molecules, n_atoms) bool: connected parts around `root` of at most `size` atoms.

        Whichever neighbour of the part has the lowest of `keys` (n_molecules, n_atoms) joins next.
        """
        each, inside, near = np.arange(len(root)), np.zeros(keys.shape, bool), np.zeros(keys.shape, bool)
        inside[each, root] = True
        newest = root
        for n_inside in range(1, int(size.max(initial=1))):
            near |= bonded[each, newest]
            frontier = np.where(near & ~inside, keys, np.inf)
            newest = frontier.argmin(1)
            inside[each, newest] |= np.isfinite(frontier[each, newest]) & (n_inside < size)
        return inside

    def _place(self, order: NDArray, n_placed: NDArray, bonded: NDArray, turn: NDArray, rows: NDArray) -> None:
        """Go on breadth first along `bonded`: fill `order` (growth index -> storage index) and `n_placed`, in place.

        Args:
            order: (n_molecules, n_atoms), its first `n_placed` (n_molecules,) entries given.
            n_placed: see above.
            bonded: (n_molecules, n_atoms, n_atoms) bool, by storage index, as `turn`.
            turn: (n_molecules, n_atoms), the lowest comes first among siblings.
            rows: the molecules to grow.
        """
        each, width = np.arange(len(rows)), order.shape[1]
        order_here, count, bonded, turn = order[rows], n_placed[rows], bonded[rows], turn[rows]
        unplaced = np.ones((len(rows), width), bool)
        row, index = np.nonzero(np.arange(width) < count[:, None])
        unplaced[row, order_here[row, index]] = False
        for focus in range(width):
            children = bonded[each, order_here[:, focus]] & unplaced & (focus < count)[:, None]
            n_children = children.sum(1)
            ranked = np.where(children, turn, np.inf).argsort(1)
            row, rank = np.nonzero(np.arange(int(n_children.max(initial=0))) < n_children[:, None])
            order_here[row, count[row] + rank] = ranked[row, rank]
            unplaced &= ~children
            count += n_children
        order[rows], n_placed[rows] = order_here, count


def _pairs(inside: NDArray, rows: NDArray, like: NDArray) -> NDArray:
    """Return which pairs lie within the parts `inside` (n_rows, n_atoms) of molecules `rows`; all of the others."""
    pairs = np.ones_like(like)
    pairs[rows] = inside[:, :, None] & inside[:, None, :]
    return pairs


class _Grown:
    """The kept molecules in growth order, and what is decided about their fragments.

    Args:
        n_atoms: (n_molecules,) int64.
        n_given: (n_molecules,) how many atoms the fragment has that is given; 1 for the first atom alone.
        bonded: (n_molecules, n_atoms, n_atoms) bool.
        hydrogen: (n_molecules, n_atoms) bool.
        turn: (n_molecules, n_atoms) float, the lower comes first among the neighbours of a focus.
    """

    def __init__(self, n_atoms: NDArray, n_given: NDArray, bonded: NDArray, hydrogen: NDArray, turn: NDArray) -> None:
        self.n_atoms, self.bonded, self.hydrogen, self.turn = n_atoms, bonded, hydrogen, turn
        self.index = index = np.arange(bonded.shape[1])
        present = index < n_atoms[:, None]
        self.given = present & (index < n_given[:, None])
        self.degree = bonded.sum(2)
        # Breadth first, an atom's oldest neighbour placed it.
        self.parent = np.where(present & ~self.given, bonded.argmax(2), -1)
        is_child = self.parent[:, None, :] == index[:, None]
        self.n_children = is_child.sum(2) * present
        n_hydrogens = (is_child & hydrogen[:, None, :]).sum(2)
        orders = _LOG_FACTORIALS[n_hydrogens] + _LOG_FACTORIALS[self.n_children - n_hydrogens]
        self.log_q = -(orders * present).sum(1)  # (n_molecules,) of a breadth-first order, given its first atom
        has_neighbour = (bonded & self.given[:, None, :]).any(2)
        self.counts = self.given & ~(hydrogen & has_neighbour)  # decides how many neighbours it gets

    def decisions(self) -> dict[str, NDArray]:
        """Return the fields of `Trajectories` that say what is decided, and what is known before.

        A focus has its count, where that is a decision, and one placement for each child. Before the first of them the
        atoms placed are those given and the children of all foci before.
        """
        runs = np.where(self.index < self.n_atoms[:, None], self.n_children + self.counts, 0)
        n_decisions = runs.sum(1)
        real = np.arange(int(n_decisions.max(initial=0))) < n_decisions[:, None]
        placed_before = self.given.sum(1, keepdims=True) + self.n_children.cumsum(1) - self.n_children
        length = runs.ravel()
        within = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
        counting = np.repeat(self.counts.ravel(), length)
        counts = np.zeros(real.shape, bool)
        prefix, focus = np.zeros((2, *real.shape), np.int64)
        counts[real] = counting & (within == 0)
        prefix[real] = np.repeat(placed_before.ravel(), length) + np.maximum(within - counting, 0)
        focus[real] = np.repeat(np.broadcast_to(self.index, runs.shape).ravel(), length)

        row = np.arange(len(prefix))[:, None]
        n_children = self.n_children[row, focus]
        places = real & ~counts
        kind = np.where(counts, np.where(n_children > 0, Decision.COUNT, Decision.END), Decision.PLACE)
        open_neighbours = self.bonded[row, focus] & (self.index >= prefix[:, :, None]) & places[:, :, None]
        heavy = open_neighbours & ~self.hydrogen[:, None, :]
        admitted = np.where(heavy.any(2, keepdims=True), heavy, open_neighbours)
        molecule, decision, atom = np.nonzero(admitted)
        return {
            "kind": np.where(real, kind, Decision.PADDING),
            "prefix": prefix,
            "focus": focus,
            "target": np.where(places, prefix, -1),
            "alternative_molecule": molecule,
            "alternative_decision": decision,
            "alternative_focus": focus[molecule, decision],
            "alternative_target": atom,
            "degree": np.where(self.given, 0, self.degree),
            "awaits": self._awaits(prefix, focus, counts),
            "count": np.where(counts, n_children, 0),
            "closure": self._closure(),
        }

    def _closure(self) -> NDArray:
        """Return `Trajectories.closure`."""
        others = self.bonded & (self.index < self.index[:, None]) & (self.index != self.parent[:, :, None])
        return np.where(others.any(2) & ~self.given, others.argmax(2), -1)

    def _awaits(self, prefix: NDArray, focus: NDArray, counts: NDArray) -> NDArray:
        """Return `Trajectories.awaits` for decisions of which some (bool) are `counts`."""
        n_placed = self.bonded.cumsum(2, dtype=np.int8)  # neighbours among the first atoms, up to each
        row = np.arange(len(prefix))[:, None]
        awaits = self.degree[:, None, :] - n_placed[row, :, np.maximum(prefix - 1, 0)]
        # Of a given atom this is known once it has been the focus.
        undecided = (self.index > focus[:, :, None]) | ((self.index == focus[:, :, None]) & counts[:, :, None])
        awaits[undecided & self.counts[:, None, :]] = UNKNOWN
        return np.where(self.index < prefix[:, :, None], awaits, 0).astype(np.int8)
