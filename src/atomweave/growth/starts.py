"""Given fragments, put into an order that the model's policy could have grown.

A fragment comes in whatever order its file has, and a model is taught some orders only. So the order is derived again
from the geometry: breadth first along the bonds, or from the atom placed last, for a policy that follows bonds, nearest
atom first for the others.
Whatever is chosen on the way (root, siblings) is chosen by what a rotation and a shuffle leave alone, and where
symmetry leaves nothing to choose by, by the coordinates: a fragment whose atoms are shuffled is put into the same order
to the last bit, and grows the same molecules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..chemistry.radii import bonded_pairs
from ..errors import UsageError
from ..molecule import Molecule
from .policies import BreadthFirstConfig, PrimConfig
from .trajectories import UNKNOWN

if TYPE_CHECKING:
    from .policies import PolicyConfig

DISTANCE_DECIMALS = 3
"""Distances (Å) that agree to so many decimals are ties: rounding, and a rotation, must not choose between them."""


@dataclass(frozen=True)
class Given:
    """A fragment to go on from."""

    molecule: Molecule
    sites: tuple[int, ...] | None = None  # storage indices of the atoms that may get neighbours; None is all of them
    told: Mapping[str, Any] = field(default_factory=dict)  # properties of every molecule that grows from it


@dataclass(frozen=True)
class Start:
    """A given fragment in growth order."""

    given: Given
    order: NDArray  # (n_atoms,) int64, growth index -> storage index
    awaits: NDArray  # (n_atoms,) int8, by growth index: 0 for atoms that get no further neighbour, else `UNKNOWN`

    @classmethod
    def of(cls, given: Given, policy: PolicyConfig) -> Start:
        """Put a fragment into an order that `policy` could have grown.

        Raises:
            UsageError: if a site is a hydrogen to which the policy gives no neighbours.
        """
        molecule = given.molecule
        sites = np.full(len(molecule), given.sites is None)
        sites[list(given.sites or ())] = True
        # All that follows reads the atoms in this order, so that not even a sum depends on how they came.
        sorted_ = np.lexsort((*molecule.positions.T[::-1], molecule.numbers))
        numbers, positions, sites = molecule.numbers[sorted_], molecule.positions[sorted_], sites[sorted_]
        if not isinstance(policy, (BreadthFirstConfig, PrimConfig)):
            order = _nearest_first(_ranks(numbers, positions), positions)
            return cls(given, sorted_[order], _awaits(sites[order]))
        neighbours = _neighbours(numbers, positions)
        closed = numbers == 1  # as in teaching, a hydrogen that has its neighbour gets no other
        closed &= np.array([len(those) > 0 for those in neighbours], bool)
        if isinstance(policy, PrimConfig):
            order = _prim(policy, numbers, positions, neighbours, sites)
        else:
            order = _breadth_first(numbers, positions, neighbours, sites, closed)
        closed = closed[order]
        if given.sites is not None and (closed & sites[order]).any():
            atom = int(sorted_[order][closed & sites[order]].min())
            raise UsageError(
                f"sites: atom {atom} (counted from 0) is a hydrogen, which gets no further neighbour from this model; "
                "name the atom that it is bonded to, and remove its hydrogens where it needs room."
            )
        return cls(given, sorted_[order], _awaits(sites[order] & ~closed))


def _awaits(sites: NDArray) -> NDArray:
    """Return (n_atoms,) int8: what is not a site awaits nothing, of the others nobody knows."""
    return np.where(sites, UNKNOWN, 0).astype(np.int8)


def _neighbours(numbers: NDArray, positions: NDArray) -> list[list[int]]:
    """Return the atoms that each atom is bonded to."""
    neighbours: list[list[int]] = [[] for _ in numbers]
    for a, b in bonded_pairs(numbers, positions).tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    return neighbours


def _ranks(numbers: NDArray, positions: NDArray, *before: NDArray) -> NDArray:
    """Return (n_atoms,) ranks, 0 first: heavy atoms, far from the centre, before others; ties by storage.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        before: (n_atoms,) each, what counts more than that, the most important first; low comes before high.
    """
    distances = np.linalg.norm(positions - positions.mean(0), axis=1).round(DISTANCE_DECIMALS)
    ranks = np.empty(len(numbers), np.int64)
    ranks[np.lexsort((-distances, numbers == 1, *before[::-1]))] = np.arange(len(numbers))
    return ranks


def _nearest_first(ranks: NDArray, positions: NDArray) -> NDArray:
    """Return the order (n_atoms,) in which the atom nearest to those placed comes next, from the first by rank."""
    order = np.empty(len(ranks), np.int64)
    distances, newest = np.full(len(ranks), np.inf), int(ranks.argmin())
    unplaced = np.ones(len(ranks), bool)
    for size in range(len(ranks)):
        order[size], unplaced[newest] = newest, False
        distances = np.minimum(distances, np.linalg.norm(positions - positions[newest], axis=1))
        newest = int(np.where(unplaced, distances, np.inf).argmin())
    return order


def _prim(
    policy: PrimConfig, numbers: NDArray, positions: NDArray, neighbours: list[list[int]], sites: NDArray
) -> NDArray:
    """Return an order (n_atoms,) that `policy` could have grown, from an atom that may be its first.

    Args:
        policy: see above.
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        neighbours: the atoms that each atom is bonded to.
        sites: (n_atoms,) bool; the order begins as many bonds away from them as it can, as `_breadth_first`.
    """
    first = {"first_carbon": numbers == 6, "C": numbers == 6, "H": numbers == 1, "data": numbers != 1}[policy.start]
    ranks = _ranks(numbers, positions, ~first, numbers == 1, -_bonds_away(neighbours, sites))
    if policy.order == "last":
        return _last_first(ranks, numbers, positions, neighbours)
    return _nearest_first(ranks, positions)


def _last_first(ranks: NDArray, numbers: NDArray, positions: NDArray, neighbours: list[list[int]]) -> NDArray:
    """Return the order (n_atoms,) in which the heavy atom placed last that awaits neighbours gets its nearest one.

    One connected part comes after the other, each from its first atom by rank.
    """
    order: list[int] = []
    placed = np.zeros(len(ranks), bool)
    for root in ranks.argsort().tolist():
        newest = root
        while not placed[newest]:
            order.append(newest)
            placed[newest] = True
            waiting = [atom for atom in order if not placed[neighbours[atom]].all()]
            if not waiting:
                break
            focus = ([atom for atom in waiting if numbers[atom] != 1] or waiting)[-1]
            left = [atom for atom in neighbours[focus] if not placed[atom]]
            newest = left[int(np.linalg.norm(positions[left] - positions[focus], axis=1).argmin())]
    return np.array(order)


def _breadth_first(
    numbers: NDArray, positions: NDArray, neighbours: list[list[int]], sites: NDArray, closed: NDArray
) -> NDArray:
    """Return an order (n_atoms,) breadth first along the bonds, one connected part after the other.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        neighbours: the atoms that each atom is bonded to; sorted in place.
        sites: (n_atoms,) bool; every part begins as many bonds away from them as it can, so that what is still to grow
            is what the policy would have left for last.
        closed: (n_atoms,) bool, atoms that are nobody's parent unless they come first.
    """
    ranks = _ranks(numbers, positions)
    for those in neighbours:
        those.sort(key=lambda atom: ranks[atom])
    away = _bonds_away(neighbours, sites)
    # Without heavy atoms only the first atom is asked: then that is a site.
    away[closed] = np.where(sites[closed], np.inf, -1)
    order: list[int] = []
    placed = np.zeros(len(numbers), bool)
    for root in np.lexsort((ranks, -away, numbers == 1)).tolist():
        waiting = deque([] if placed[root] else [root])
        placed[root] = True
        while waiting:
            focus = waiting.popleft()
            order.append(focus)
            if closed[focus] and focus != root:
                continue
            children = [atom for atom in neighbours[focus] if not placed[atom]]
            placed[children] = True
            waiting.extend(children)
    return np.array(order)


def _bonds_away(neighbours: list[list[int]], sites: NDArray) -> NDArray:
    """Return (n_atoms,) float: how many bonds lie between each atom and the nearest site, infinite where none leads."""
    away = np.where(sites, 0.0, np.inf)
    waiting = deque(np.flatnonzero(sites).tolist())
    while waiting:
        focus = waiting.popleft()
        for atom in neighbours[focus]:
            if away[atom] == np.inf:
                away[atom] = away[focus] + 1
                waiting.append(atom)
    return away
