"""Which atoms are left without a partner for a multiple bond: a maximum matching of what lacks bonds.

An atom lacks as many bonds as its number of neighbours is short of a valence of its element. Neighbours that both lack
one share a further bond, so a molecule without radicals and charges has a matching that leaves none over. Which atoms
are left over depends on the matching, unless one asks which atoms *some* maximum matching leaves over: that set is a
property of the graph (Gallai and Edmonds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..kernels import matching

VALENCES: dict[int, tuple[int, ...]] = {
    1: (1,), 5: (3,), 6: (4,), 7: (3,), 8: (2,), 9: (1,), 14: (4,), 15: (3, 5), 16: (2, 4, 6), 17: (1,), 32: (4,),
    33: (3, 5), 34: (2, 4, 6), 35: (1,), 53: (1,),
}  # fmt: skip
"""Atomic number -> valences of the neutral atom in organic molecules; other elements lack nothing."""


def lacking(numbers: Sequence[int], most: int) -> np.ndarray:
    """Return how many bonds an atom lacks, by element and number of neighbours; (n_elements, most + 1) int8.

    Up to the lowest valence that the neighbours leave room for: nothing beyond the highest.

    Args:
        numbers: atomic numbers of the elements.
        most: largest number of neighbours.
    """
    table = np.zeros((len(numbers), most + 1), np.int8)
    for row, number in enumerate(numbers):
        for n_neighbours in range(1, most + 1):
            above = [valence - n_neighbours for valence in VALENCES.get(number, ()) if valence >= n_neighbours]
            table[row, n_neighbours] = min(above, default=0)
    return table


def unmatched(lacks: Tensor, bonded: Tensor, molecule: Tensor) -> tuple[Tensor, Tensor]:
    """Return which atoms some maximum matching leaves over, and how many bonds every one leaves over.

    Args:
        lacks: (n_rows, n_atoms) integers, bonds that each atom lacks; 0 of atoms that are not there.
        bonded: (n_molecules, n_atoms, n_atoms) bool.
        molecule: (n_rows,) int64, the molecule that a row is of.

    Returns:
        (n_rows, n_atoms) bool and (n_rows,) int64.
    """
    device = lacks.device
    lacks, bonded, molecule = lacks.cpu(), bonded.cpu(), molecule.cpu()
    if matching.compiled():
        wanting, n_free = matching.find_unmatched(lacks, bonded, molecule)
    else:
        wanting, n_free = torch.zeros(lacks.shape, dtype=torch.bool), torch.zeros(len(lacks), dtype=torch.int64)
        for row in lacks.any(1).nonzero()[:, 0].tolist():
            left = _Matching(lacks[row].tolist(), bonded[molecule[row]].numpy()).left_over()
            wanting[row, [atom for atoms in left for atom in atoms]] = True
            n_free[row] = len(left)
    return wanting.to(device), n_free.to(device)


class _Matching:
    """The same search as in `kernels/matching.c`, where there is no compiler; a hundred times slower.

    Args:
        lacks: bonds that each atom lacks; so many nodes it is.
        bonded: (n_atoms, n_atoms) bool.
    """

    def __init__(self, lacks: Sequence[int], bonded: np.ndarray) -> None:
        self.atom = [atom for atom, n in enumerate(lacks) for _ in range(n)]
        self.match = [-1] * len(self.atom)
        self.adjacent: list[list[int]] = [[] for _ in self.atom]
        for v, atom in enumerate(self.atom):
            for other in range(v):
                if bonded[atom, self.atom[other]] and self.atom[other] != atom:
                    self.adjacent[v].append(other)
                    self.adjacent[other].append(v)
        for v in range(len(self.atom)):
            if self.match[v] < 0:
                self._augment(v)

    def left_over(self) -> list[set[int]]:
        """Return, for each node that is free, the atoms that could be left over in its place."""
        free = [v for v, partner in enumerate(self.match) if partner < 0]
        return [{self.atom[v] for v in self._search(root)[1]} for root in free]

    def _augment(self, root: int) -> None:
        v, _ = self._search(root)
        while v >= 0:
            before = self.parent[v]
            self.match[v], self.match[before], v = before, v, self.match[before]

    def _search(self, root: int) -> tuple[int, set[int]]:
        """Return the free end of an augmenting path from `root`, or -1, and what paths of even length reach."""
        self.parent, self.base = [-1] * len(self.atom), list(range(len(self.atom)))
        outer, ahead = {root}, deque([root])
        while ahead:
            v = ahead.popleft()
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
                    if self.match[to] < 0:
                        return to, outer
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
