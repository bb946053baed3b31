"""Which atoms are left without a partner for a multiple bond: a maximum matching of what lacks bonds.

An atom lacks as many bonds as its number of neighbours is short of a valence of its element. Neighbours that both lack
one share a further bond, so a molecule without radicals and charges has a matching that leaves none over. Which atoms
are left over depends on the matching, unless one asks which atoms *some* maximum matching leaves over: that set is a
property of the graph (Gallai and Edmonds). So is what a further atom beside a given one changes, and how many are left
over for good: even if each atom that awaits neighbours got all the partners it could use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..kernels import matching
from .valences import NEUTRAL


def lacking(numbers: Sequence[int], most: int) -> np.ndarray:
    """Return how many bonds an atom lacks, by element and number of neighbours; (n_elements, most + 1) int8.

    Up to the lowest valence that the neighbours leave room for: nothing beyond the highest. Elements that are not in
    `valences.NEUTRAL` lack nothing.

    Args:
        numbers: atomic numbers of the elements.
        most: largest number of neighbours.
    """
    table = np.zeros((len(numbers), most + 1), np.int8)
    for row, number in enumerate(numbers):
        for n_neighbours in range(1, most + 1):
            above = [valence - n_neighbours for valence in NEUTRAL.get(number, ()) if valence >= n_neighbours]
            table[row, n_neighbours] = min(above, default=0)
    return table


@dataclass(frozen=True)
class Unmatched:
    """What maximum matchings leave over, now and with a further atom, the next, that lacks 0, 1, 2... bonds."""

    wanting: Tensor  # (n_rows, n_atoms) bool, atoms that some maximum matching leaves over now
    n_free: Tensor  # (n_rows, n_lacks) int64, bonds that every one leaves over; the first is now
    n_short: Tensor  # (n_rows, n_lacks) int64, atoms that these bonds are of, in the matching that is found
    n_stuck: Tensor  # (n_rows, n_lacks, 2) int64, of those the ones for good, the next atom awaiting none or some


def unmatched(
    lacks: Tensor, bonded: Tensor, molecule: Tensor, beside: Tensor, awaiting: Tensor, n_lacks: int
) -> Unmatched:
    """Return what is left over.

    Args:
        lacks: (n_rows, n_atoms) integers, bonds that each atom lacks; 0 of atoms that are not there.
        bonded: (n_molecules, n_atoms, n_atoms) bool.
        molecule: (n_rows,) int64, the molecule that a row is of.
        beside: (n_rows, n_atoms) bool, the atoms that the next one is bonded with.
        awaiting: (n_rows, n_atoms) bool, whether an atom awaits neighbours when the next one is there.
        n_lacks: the next atom lacks 0 to n_lacks - 1 bonds; at least 1.
    """
    device = lacks.device
    lacks, bonded, molecule, beside, awaiting = (x.cpu() for x in (lacks, bonded, molecule, beside, awaiting))
    if matching.compiled():
        found = matching.find_unmatched(lacks, bonded, molecule, beside, awaiting, n_lacks)
    else:
        found = _find_unmatched(lacks, bonded, molecule, beside, awaiting, n_lacks)
    return Unmatched(*(tensor.to(device) for tensor in found))


def _find_unmatched(
    lacks: Tensor, bonded: Tensor, molecule: Tensor, beside: Tensor, awaiting: Tensor, n_lacks: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Do what `kernels.matching.find_unmatched` does, where there is no compiler; a hundred times slower."""
    n_rows, n_atoms = lacks.shape
    wanting = torch.zeros(lacks.shape, dtype=torch.bool)
    n_free, n_short = (torch.zeros(n_rows, n_lacks, dtype=torch.int64) for _ in range(2))
    n_stuck = torch.zeros(n_rows, n_lacks, 2, dtype=torch.int64)
    for row in range(n_rows):
        bonds = np.zeros((n_atoms + 1, n_atoms + 1), bool)  # the next atom comes last
        bonds[:-1, :-1] = bonded[molecule[row]].numpy()
        bonds[:-1, -1] = bonds[-1, :-1] = beside[row].numpy()
        graph = _Matching(lacks[row].tolist(), bonds)
        await_neighbours = set(awaiting[row].nonzero()[:, 0].tolist())
        for more in range(n_lacks):
            if more:
                graph.add(n_atoms)
            else:
                wanting[row, list(graph.wanting())] = True
            n_free[row, more], n_short[row, more] = graph.n_free(), graph.n_short()
            n_stuck[row, more, 0] = graph.n_stuck(await_neighbours)
            n_stuck[row, more, 1] = graph.n_stuck(await_neighbours | {n_atoms})
    return wanting, n_free, n_short, n_stuck


FREE, PROMISED = -1, -2  # for a match: no partner, or one that is yet to be placed
NOBODY: frozenset[int] = frozenset()


class _Matching:
    """A maximum matching that grows a node at a time, by the search of `kernels/matching.c`.

    Args:
        lacks: bonds that each atom lacks; so many nodes it is.
        bonded: (n_atoms, n_atoms) bool; of these and of atoms that are added.
    """

    def __init__(self, lacks: Sequence[int], bonded: np.ndarray) -> None:
        self.bonded = bonded
        self.atom: list[int] = []
        self.match: list[int] = []
        self.adjacent: list[list[int]] = []
        for atom, n in enumerate(lacks):
            for _ in range(n):
                self.add(atom)

    def add(self, atom: int) -> None:
        """Add a node of an atom: it lacks one bond more."""
        v = len(self.atom)
        others = [other for other in range(v) if self.bonded[atom, self.atom[other]] and self.atom[other] != atom]
        self.atom.append(atom)
        self.match.append(FREE)
        self.adjacent.append(others)
        for other in others:
            self.adjacent[other].append(v)
        self._find_partner(v, NOBODY)

    def n_free(self) -> int:
        """Return how many nodes are left over."""
        return self.match.count(FREE)

    def n_short(self) -> int:
        """Return how many atoms these are nodes of."""
        return len({atom for atom, partner in zip(self.atom, self.match, strict=True) if partner == FREE})

    def n_stuck(self, await_neighbours: AbstractSet[int]) -> int:
        """Return how many are left over even if every node of these atoms may have a partner of its own."""
        kept = list(self.match)
        for v, partner in enumerate(self.match):
            if partner == FREE:
                self._find_partner(v, await_neighbours)
        n, self.match = self.n_free(), kept
        return n

    def wanting(self) -> set[int]:
        """Return the atoms that some maximum matching leaves over."""
        free = [v for v, partner in enumerate(self.match) if partner == FREE]
        return {self.atom[v] for root in free for v in self._search(root, NOBODY)[1]}

    def _find_partner(self, root: int, await_neighbours: AbstractSet[int]) -> None:
        v, outer = self._search(root, await_neighbours)
        if v in outer:
            self.match[v], v = PROMISED, self.match[v]
        while v >= 0:
            before = self.parent[v]
            self.match[v], self.match[before], v = before, v, self.match[before]

    def _search(self, root: int, await_neighbours: AbstractSet[int]) -> tuple[int, set[int]]:
        """Return the end of a path along which `root` gets a partner, or -1, and what paths of even length reach."""
        self.parent, self.base = [-1] * len(self.atom), list(range(len(self.atom)))
        outer, ahead = {root}, deque([root])
        while ahead:
            v = ahead.popleft()
            if self.atom[v] in await_neighbours:
                return v, outer
            for to in self.adjacent[v]:
                if self.base[v] == self.base[to] or self.match[v] == to:
                    continue
                if to == root or (self.match[to] >= 0 and self.parent[self.match[to]] >= 0):
                    base = self._common_base(v, to)
                    blossom = self._path(v, base, to) | self._path(to, base, v)
                    for i in range(len(self.atom)):
                        if self.base[i] in blossom:
                            self.base[i] = base
                            if i not in outer:
                                outer.add(i)
                                ahead.append(i)
                elif self.parent[to] < 0:
                    self.parent[to] = v
                    if self.match[to] == FREE:
                        return to, outer
                    if self.match[to] == PROMISED:  # its partner has no other neighbour
                        continue
                    outer.add(self.match[to])
                    ahead.append(self.match[to])
        return -1, outer

    def _common_base(self, a: int, b: int) -> int:
        seen = set()
        while True:
            a = self.base[a]
            seen.add(a)
            if self.match[a] < 0:
                break
            a = self.parent[self.match[a]]
        while self.base[b] not in seen:
            b = self.parent[self.match[self.base[b]]]
        return self.base[b]

    def _path(self, v: int, base: int, child: int) -> set[int]:
        """Return the bases on the way from `v` to `base`, and turn the path round."""
        met = set()
        while self.base[v] != base:
            met |= {self.base[v], self.base[self.match[v]]}
            self.parent[v] = child
            child = self.match[v]
            v = self.parent[self.match[v]]
        return met
