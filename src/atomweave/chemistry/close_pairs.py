"""Pairs of atoms that are near one another: all pairs of a small molecule, a grid of cells for a large one.

A grid keeps time and memory in step with the number of atoms, where all pairs of 10,000 atoms would take gigabytes.
Its cells are numbered along each axis by rank, empty stretches left out, so that atoms any distance apart do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ..errors import InputError

MOST_ATOMS_IN_PAIRS = 256
"""Molecules of more atoms go to the grid."""

MOST_PAIRS_PER_ATOM = 50
"""More than this in a large molecule is no matter: at twice the longest bond, dense solids have some ten."""

PAIRS_AT_ONCE = 500_000  # in one block: 4 MB an array stays near the cache


@dataclass(frozen=True, eq=False)
class ClosePairs:
    """Pairs of atoms and how far apart they are."""

    first: np.ndarray  # (n_pairs,) int64
    second: np.ndarray  # (n_pairs,) int64, greater than `first`
    distances: np.ndarray  # (n_pairs,) float64, Å

    def __len__(self) -> int:
        return len(self.first)


def close_pairs(positions: np.ndarray, cutoff: float) -> ClosePairs:
    """Return the pairs of one molecule that are at most `cutoff` Å apart, by second atom, then by first.

    Args:
        positions: (n_atoms, 3) Å.
        cutoff: Å.

    Raises:
        InputError: if the molecule is large and its atoms lie so densely that the pairs would fill the memory.
    """
    if len(positions) > MOST_ATOMS_IN_PAIRS:
        return _joined(positions, cutoff)
    # Small molecules come one by one in their thousands: `take` and 1D arrays are what costs least (8 µs).
    second, first = _all_pairs(len(positions))
    with np.errstate(over="ignore"):
        steps = positions.take(second, 0) - positions.take(first, 0)
        distances = np.sqrt(np.einsum("pi,pi->p", steps, steps))
    near = (distances <= cutoff).nonzero()[0]
    return ClosePairs(first[near], second[near], distances[near])


def close_pairs_of_many(positions: np.ndarray, offsets: np.ndarray, cutoff: float) -> Iterator[ClosePairs]:
    """Yield the close pairs of many molecules in blocks of bounded size, as rows of `positions`.

    Every molecule's pairs stand together, by second atom, then by first; those of a large one may fill several blocks,
    each with all pairs of its second atoms.

    Args:
        positions: (n_atoms, 3) Å of all molecules, one after the other.
        offsets: (n_molecules + 1,) molecule i owns rows `offsets[i]` to `offsets[i + 1]`.
        cutoff: Å.
    """
    sizes = np.diff(offsets)
    for size in np.unique(sizes).tolist():
        starts = offsets[:-1][sizes == size]
        if size > MOST_ATOMS_IN_PAIRS:
            for start in starts.tolist():
                for block in _by_cells(positions[start : start + size], cutoff):
                    yield ClosePairs(block.first + start, block.second + start, block.distances)
            continue
        at_once = max(1, PAIRS_AT_ONCE // max(1, size * (size - 1) // 2))
        for chosen in np.split(starts, range(at_once, len(starts), at_once)):
            yield _among_all(positions[chosen[:, None] + np.arange(size)], chosen, cutoff)


def _among_all(positions: np.ndarray, starts: np.ndarray, cutoff: float) -> ClosePairs:
    """Return the close pairs of molecules of equal size, (n_molecules, n_atoms, 3), whose rows begin at `starts`."""
    second, first = _all_pairs(positions.shape[1])
    with np.errstate(over="ignore"):  # atoms so far apart that the square overflows are infinitely far
        steps = positions[:, second] - positions[:, first]
        distances = np.sqrt(np.einsum("mpi,mpi->mp", steps, steps))
    molecule, pair = np.nonzero(distances <= cutoff)
    shift = starts[molecule]
    return ClosePairs(first[pair] + shift, second[pair] + shift, distances[molecule, pair])


@lru_cache(maxsize=64)
def _all_pairs(n_atoms: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tril_indices(n_atoms, -1)


def _by_cells(positions: np.ndarray, cutoff: float) -> Iterator[ClosePairs]:
    """Yield the close pairs of one molecule: atoms of the same or of touching cells, `cutoff` Å wide."""
    width = 1.001 * cutoff  # rounding must not put an empty cell between atoms that are just `cutoff` apart
    cells = np.stack([_ranks(np.floor(axis / width)) for axis in positions.T])
    base = int(cells.max()) + 2  # one empty cell between rows, so that no neighbour is found around the corner
    place = np.array([base * base, base, 1])
    keys = place @ cells
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    offsets = np.array(list(product((-1, 0, 1), repeat=3))) @ place
    low = np.searchsorted(ranked, keys[:, None] + offsets, "left")
    counts = np.searchsorted(ranked, keys[:, None] + offsets, "right") - low
    ends = np.cumsum(counts.sum(1))
    start = 0
    while start < len(positions):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE)))
        yield _in_cells(positions, order, low[start:stop], counts[start:stop], start, cutoff)
        start = stop


def _in_cells(
    positions: np.ndarray, order: np.ndarray, low: np.ndarray, counts: np.ndarray, start: int, cutoff: float
) -> ClosePairs:
    """Return the close pairs whose second atom is one of those from `start` on, with their 27 cells each."""
    n_each = counts.ravel()
    ends = np.cumsum(n_each)
    first = order[np.repeat(low.ravel() - (ends - n_each), n_each) + np.arange(ends[-1])]
    second = np.repeat(np.arange(start, start + len(counts)), counts.sum(1))
    once = first < second
    first, second = first[once], second[once]
    with np.errstate(over="ignore"):
        steps = positions[second] - positions[first]
        distances = np.sqrt(np.einsum("pi,pi->p", steps, steps))
    near = np.flatnonzero(distances <= cutoff)
    near = near[np.lexsort((first[near], second[near]))]
    return ClosePairs(first[near], second[near], distances[near])


def _ranks(cells: np.ndarray) -> np.ndarray:
    """Renumber cells of one axis from 1: neighbours stay neighbours, a wider gap becomes a gap of one."""
    values, which = np.unique(cells, return_inverse=True)
    steps = np.minimum(np.diff(values), 2).astype(np.int64)
    return np.concatenate([[1], 1 + np.cumsum(steps)])[which]


def _joined(positions: np.ndarray, cutoff: float) -> ClosePairs:
    blocks, n_pairs = [], 0
    for block in _by_cells(positions, cutoff):
        blocks.append(block)
        n_pairs += len(block)
        if n_pairs > MOST_PAIRS_PER_ATOM * len(positions):
            raise InputError(
                f"{len(positions):,} atoms lie too densely to be a molecule: more than {MOST_PAIRS_PER_ATOM} pairs an "
                f"atom are nearer than {cutoff:.2f} Å."
            )
    return ClosePairs(
        np.concatenate([block.first for block in blocks]),
        np.concatenate([block.second for block in blocks]),
        np.concatenate([block.distances for block in blocks]),
    )
