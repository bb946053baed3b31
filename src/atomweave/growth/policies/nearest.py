"""Nearest neighbour first, the policy of Symphony: a randomised minimum spanning tree (thesis, algorithm 1).

The first atom is drawn by the start rule. From then on, let d_min be the smallest distance between a placed atom f and
an atom a that is not placed yet; every pair (f, a) nearer than d_min + tolerance is admissible, and one of them, each
as likely as the others, becomes focus and target. The model is taught the share of admissible pairs that each focus
and target species have (`focus_species_targets`). When all atoms are placed, the decision is STOP. Where thesis and
published code differ, this is the code: "ties are broken randomly" means the tolerance of 0.125 Å.

Bonds to hydrogen are the shortest, so a heavy atom usually has its hydrogens before the next heavy atom is placed.
`heavy_first` postpones hydrogen: while any heavy atom is left, focus and target must both be heavy, and d_min is the
smallest distance of such pairs. If the first atom is a hydrogen (start H), there is no heavy focus yet: that hydrogen
is the focus of the first step, its target is heavy, and it is no focus again until all heavy atoms are placed.

A start rule other than `data` weights molecules: growing that starts with H from a model taught with `data` has seen
each molecule in proportion to its share of H, and never one without.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from ...config import Config
from ...species import Species
from ..trajectories import Decision, Trajectories
from .base import Fate, Policy
from .distances import squared_distances


class NearestConfig(Config):
    """How molecules grow nearest neighbour first."""

    kind: Literal["nearest"] = "nearest"
    start: Literal["data", "H", "C"] = Field(
        "data",
        description="first atom: any (with heavy_first: any heavy atom, where there is one), any H, or any C; "
        "molecules without such an atom are left out",
    )
    tolerance: float = Field(0.125, ge=0, description="Å; a pair is admissible below the smallest distance plus this")
    max_distance: float = Field(2.03, gt=0, description="Å; molecules that need a longer step are left out")
    neighbour_cutoff: float = Field(5.0, gt=0, description="Å; atoms at least this far apart are no neighbours")
    heavy_first: bool = Field(False, description="place all heavy atoms before any hydrogen")


class NearestPolicy(Policy):
    """Grows batches of molecules in lockstep, all arrays padded to the largest of them."""

    def __init__(self, config: NearestConfig, species: Species) -> None:
        super().__init__(species)
        self.config = config
        self._is_heavy = np.array(species.numbers) != 1  # (n_species,)
        self._may_start = np.ones(len(species), bool)  # (n_species,)
        if config.start != "data":
            self._may_start = np.array(species.symbols) == config.start

    def start_candidates(self, species: NDArray, present: NDArray) -> NDArray:
        """Return the atoms that may be the first; see `Policy.start_candidates`."""
        candidates = present & self._may_start[species]
        if self.config.heavy_first and self.config.start == "data":
            heavy = candidates & self._is_heavy[species]
            candidates = np.where(heavy.any(1, keepdims=True), heavy, candidates)
        return candidates

    def grow(
        self, species: NDArray, positions: NDArray, n_atoms: NDArray, uniforms: NDArray
    ) -> tuple[Trajectories, NDArray]:
        """Draw one trajectory a molecule; see `Policy.grow`."""
        n_molecules, width = species.shape
        rows = np.arange(n_molecules)
        present = np.arange(width) < n_atoms[:, None]
        distance = self._neighbour_distances(positions, present)
        heavy = self._is_heavy[species] & present
        fate = np.full(n_molecules, Fate.KEPT, np.int64)

        order = np.zeros((n_molecules, width), np.int64)  # growth index -> storage index
        focus = np.zeros((n_molecules, width), np.int64)  # decision -> growth index
        candidates = self.start_candidates(species, present)
        fate[~candidates.any(1)] = Fate.NO_START
        row, atom = np.nonzero(candidates)
        drawn, pick = _draw_one_a_row(row, n_molecules, uniforms[:, 0])
        order[drawn, 0] = atom[pick]

        # Distance from growth index f to atom a, infinite unless f is placed, a is not, and they are neighbours.
        reach: NDArray = np.full((n_molecules, width, width), np.inf)
        unplaced = present.copy()
        pairs: list[tuple[NDArray, ...]] = []
        for size in range(1, width):
            newest = order[:, size - 1]
            unplaced[rows, newest] = False
            reach[rows, :, newest] = np.inf
            reach[:, size - 1] = np.where(unplaced, distance[rows, newest], np.inf)
            admitted = reach[:, :size]
            if self.config.heavy_first:
                admitted = self._heavy_pairs(admitted, heavy, unplaced, order[:, :size])
            limit = admitted.min((1, 2)) + self.config.tolerance
            row, f, atom = np.nonzero(admitted < limit[:, None, None])
            drawn, pick = _draw_one_a_row(row, n_molecules, uniforms[:, size])
            order[drawn, size], focus[drawn, size - 1] = atom[pick], f[pick]
            pairs.append((row, np.full_like(row, size - 1), f, atom))

            far = drawn[reach[drawn, f[pick], atom[pick]] > self.config.max_distance]
            apart = np.setdiff1d(np.flatnonzero(unplaced.any(1)), drawn)
            fate[far] = np.where(fate[far] == Fate.KEPT, Fate.TOO_FAR, fate[far])  # the first reason counts
            fate[apart] = np.where(fate[apart] == Fate.KEPT, Fate.APART, fate[apart])

        kept = fate == Fate.KEPT
        n_starts = candidates.sum(1)
        return self._trajectories(species, positions, n_atoms, order, focus, pairs, kept, n_starts), fate

    def _neighbour_distances(self, positions: NDArray, present: NDArray) -> NDArray:
        """Return (n_molecules, n_atoms, n_atoms) Å, infinite between atoms that are no neighbours."""
        distance = np.sqrt(squared_distances(positions))
        neighbours = (distance < self.config.neighbour_cutoff) & present[:, :, None] & present[:, None, :]
        neighbours &= ~np.eye(present.shape[1], dtype=bool)
        return np.where(neighbours, distance, np.inf)

    def _heavy_pairs(self, reach: NDArray, heavy: NDArray, unplaced: NDArray, order: NDArray) -> NDArray:
        """Return `reach` without the pairs that have to wait for the heavy atoms, where any are left."""
        focus_fits = np.take_along_axis(heavy, order, 1)
        focus_fits |= ~focus_fits.any(1, keepdims=True)  # the first atom is H: nothing else can be the focus
        waits = ~(focus_fits[:, :, None] & heavy[:, None, :])
        waits &= (unplaced & heavy).any(1)[:, None, None]
        return np.where(waits, np.inf, reach)

    def _trajectories(
        self,
        species: NDArray,
        positions: NDArray,
        n_atoms: NDArray,
        order: NDArray,
        focus: NDArray,
        pairs: list[tuple[NDArray, ...]],
        kept: NDArray,
        n_starts: NDArray,
    ) -> Trajectories:
        """Put the kept molecules and their decisions into growth order."""
        n_atoms = np.asarray(n_atoms[kept], np.int64)
        width = int(n_atoms.max(initial=1))
        order, focus = order[kept, :width], focus[kept, :width]
        index = np.arange(width)
        present, last = index < n_atoms[:, None], index == n_atoms[:, None] - 1
        grows = present & ~last

        grown_species = np.where(present, np.take_along_axis(species[kept], order, 1), 0)
        x = np.take_along_axis(np.asarray(positions[kept], np.float64), order[:, :, None], 1)
        x = np.where(present[:, :, None], x - x[:, :1], 0.0)  # around the first atom, numbers stay small in float32
        growth_index = np.zeros((len(kept), species.shape[1]), np.int64)
        kept_rows, slots = np.nonzero(present)
        growth_index[np.flatnonzero(kept)[kept_rows], order[present]] = slots

        row, decision, f, atom = (np.concatenate(part) for part in zip(*pairs, strict=True)) if pairs else _NO_PAIRS
        new_row = np.cumsum(kept) - 1
        of_kept = kept[row]
        # The first atom, and then every pair (focus, target), is as likely as its alternatives.
        n_pairs = np.bincount(row * species.shape[1] + decision, minlength=species.size).reshape(species.shape)
        log_q = -np.log(n_starts[kept]) - np.log(np.maximum(n_pairs[kept], 1)).sum(1)
        return Trajectories(
            species=torch.from_numpy(grown_species),
            positions=torch.from_numpy(x.astype(np.float32)),
            n_atoms=torch.from_numpy(n_atoms),
            kind=torch.from_numpy(np.where(grows, Decision.PLACE, np.where(last, Decision.STOP, Decision.PADDING))),
            prefix=torch.from_numpy(np.where(present, index + 1, 0)),
            focus=torch.from_numpy(np.where(grows, focus, 0)),
            target=torch.from_numpy(np.where(grows, index + 1, -1)),
            alternative_molecule=torch.from_numpy(new_row[row[of_kept]]),
            alternative_decision=torch.from_numpy(decision[of_kept]),
            alternative_focus=torch.from_numpy(f[of_kept]),
            alternative_target=torch.from_numpy(growth_index[row[of_kept], atom[of_kept]]),
            policy=self.config.kind,
            log_q=torch.from_numpy(log_q),
        )


_NO_PAIRS = (np.zeros(0, np.int64),) * 4


def _draw_one_a_row(row: NDArray, n_rows: int, uniform: NDArray) -> tuple[NDArray, NDArray]:
    """Draw one entry of each row that has any, all its entries alike.

    Args:
        row: (n_entries,) the row of each entry, ascending.
        n_rows: how many rows there are.
        uniform: (n_rows,) numbers in (0, 1).

    Returns:
        The rows that have entries, and for each of them the index of the entry drawn.
    """
    count = np.bincount(row, minlength=n_rows)
    drawn = np.flatnonzero(count)
    # A float just below 1 times a large count may round up to the count itself.
    pick = np.minimum((uniform[drawn] * count[drawn]).astype(np.int64), count[drawn] - 1)
    return drawn, np.cumsum(count)[drawn] - count[drawn] + pick
