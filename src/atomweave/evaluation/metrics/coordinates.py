"""Internal coordinates of many molecules, each with the kind of bond, angle or torsion it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from ...species import SYMBOLS
from ..histogram import Histogram

_BY_NAME = sorted(SYMBOLS)
_RANKS = np.array([_BY_NAME.index(symbol) for symbol in SYMBOLS])
_BASE = 128  # room for one element in the code of a kind


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Values of one sort of internal coordinate, molecule after molecule.

    Attributes:
        kinds: names of the kinds that occur.
        kind: (n,) int64, which of `kinds` each value belongs to.
        values: (n,) float64, Å or degrees.
        molecule: (n,) int64, which molecule each value belongs to, ascending within a kind.
    """

    kinds: tuple[str, ...]
    kind: np.ndarray
    values: np.ndarray
    molecule: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, name: Callable[[int], str], values: np.ndarray, molecule: np.ndarray) -> Coordinates:
        """Sort out values by a number that stands for their kind; `name` turns it into words."""
        present, kind = np.unique(codes, return_inverse=True)
        return cls(tuple(name(int(code)) for code in present), kind, values, molecule)

    def most_frequent(self, n: int) -> list[str]:
        """Return the names of the n most frequent kinds, most frequent first."""
        counts = np.bincount(self.kind, minlength=len(self.kinds))
        return [self.kinds[kind] for kind in np.argsort(-counts, kind="stable")[:n] if counts[kind]]

    def only(self, kinds: Collection[str]) -> Coordinates:
        """Return the values of some kinds."""
        wanted = np.isin(self.kind, [index for index, kind in enumerate(self.kinds) if kind in kinds])
        return Coordinates(self.kinds, self.kind[wanted], self.values[wanted], self.molecule[wanted])

    def rows(self, kind: str) -> np.ndarray:
        """Return where the values of one kind stand; (n_values,), none for a kind that does not occur."""
        return np.flatnonzero(self.kind == self.kinds.index(kind)) if kind in self.kinds else np.zeros(0, np.int64)

    def histogram(self, kind: str, width: float) -> Histogram:
        """Return the distribution of one kind over all molecules."""
        return Histogram.of(self.values[self.rows(kind)], width)

    def split(self, kind: str, width: float, part_of: np.ndarray) -> list[Histogram]:
        """Return the distribution of one kind in each part of the molecules, parts without any left out.

        Args:
            kind: its name.
            width: of the bins.
            part_of: (n_molecules,) int64, which part each molecule belongs to, -1 for none.
        """
        rows = self.rows(kind)
        part = part_of[self.molecule[rows]]
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=-1))  # parts from 0 on: -1 comes first and starts nothing
        pieces = np.split(self.values[rows[order]], starts)[1:]
        return [Histogram.of(values, width) for values in pieces]

    def by_kind(self) -> dict[str, np.ndarray]:
        """Return the values of every kind; name -> (n_values,)."""
        return {kind: self.values[self.rows(kind)] for kind in self.kinds}


def element_ranks(numbers: np.ndarray) -> np.ndarray:
    """Return the place of each atomic number among all symbols in alphabetical order; any shape."""
    return _RANKS[numbers]


def packed(*parts: np.ndarray) -> np.ndarray:
    """Return one int64 for the ranks of up to eight atoms; numbers compare as the rows of symbols do."""
    code = np.zeros_like(parts[0], np.int64)
    for part in parts:
        code = code * _BASE + part
    return code


def symbols_of(code: int, n_atoms: int) -> list[str]:
    """Return the symbols of the atoms that `packed` put into a number."""
    return [_BY_NAME[code // _BASE**place % _BASE] for place in reversed(range(n_atoms))]
