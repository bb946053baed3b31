"""The valid molecules of a sample with their bonds, as ragged arrays: statistics need no loop over molecules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .validity import Verdict


@dataclass(frozen=True, eq=False)
class Graphs:
    """Molecules one after the other; molecule i owns atoms, bonds and rings `offsets[i]` to `offsets[i + 1]`."""

    numbers: np.ndarray  # (n_atoms,) uint8, atomic numbers
    positions: np.ndarray  # (n_atoms, 3) float64, Å
    atom_offsets: np.ndarray  # (n_molecules + 1,) int64
    bonds: np.ndarray  # (n_bonds, 2) int64, rows of `numbers`, the first smaller
    orders: np.ndarray  # (n_bonds,) float64: 1, 1.5 (aromatic), 2, 3
    bond_offsets: np.ndarray  # (n_molecules + 1,) int64
    ring_sizes: np.ndarray  # (n_rings,) int64, atoms of each ring (smallest set of smallest rings)
    ring_offsets: np.ndarray  # (n_molecules + 1,) int64

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Graphs:
        """Gather molecules; every verdict must be valid, or at least have a molecule and a perception with bonds."""
        molecules = [verdict.molecule for verdict in verdicts]
        perceptions = [verdict.perception for verdict in verdicts]
        if not all(molecules) or not all(perceptions):
            raise ValueError("graphs are made of verdicts that have a molecule and its bonds")
        atom_offsets = _offsets([len(molecule) for molecule in molecules if molecule is not None])
        bonds = [
            perception.bonds + start
            for perception, start in zip(perceptions, atom_offsets, strict=False)
            if perception is not None
        ]
        rings = [perception.rings for perception in perceptions if perception is not None]
        return cls(
            _joined([molecule.numbers for molecule in molecules if molecule is not None], np.zeros(0, np.uint8)),
            _joined([molecule.positions for molecule in molecules if molecule is not None], np.zeros((0, 3))),
            atom_offsets,
            _joined(bonds, np.zeros((0, 2), np.int64)),
            _joined([perception.orders for perception in perceptions if perception is not None], np.zeros(0)),
            _offsets([len(piece) for piece in bonds]),
            np.array([size for sizes in rings for size in sizes], np.int64),
            _offsets([len(sizes) for sizes in rings]),
        )

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Number of atoms of each molecule; (n_molecules,) int64."""
        return np.diff(self.atom_offsets)

    @cached_property
    def molecule_of_atom(self) -> np.ndarray:
        """Which molecule each atom belongs to; (n_atoms,) int64."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each bond; (n_bonds,) Å."""
        steps = self.positions[self.bonds[:, 1]] - self.positions[self.bonds[:, 0]]
        return np.linalg.norm(steps, axis=1)

    @cached_property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Bonded neighbours of every atom: `rows` (2 n_bonds,) int64 and `offsets` (n_atoms + 1,) int64.

        The neighbours of atom i are `rows[offsets[i]:offsets[i + 1]]`, in ascending order.
        """
        centres = np.concatenate([self.bonds[:, 0], self.bonds[:, 1]])
        others = np.concatenate([self.bonds[:, 1], self.bonds[:, 0]])
        order = np.lexsort((others, centres))
        return others[order], _offsets(np.bincount(centres, minlength=len(self.numbers)))

    def take(self, molecules: np.ndarray) -> Graphs:
        """Return some of the molecules, in the order given; `molecules` are their (n,) indices, repeats allowed."""
        atoms, atom_offsets = _pieces(self.atom_offsets, molecules)
        bonds, bond_offsets = _pieces(self.bond_offsets, molecules)
        rings, ring_offsets = _pieces(self.ring_offsets, molecules)
        shift = np.repeat(atom_offsets[:-1] - self.atom_offsets[molecules], np.diff(bond_offsets))
        return Graphs(
            self.numbers[atoms],
            self.positions[atoms],
            atom_offsets,
            self.bonds[bonds] + shift[:, None],
            self.orders[bonds],
            bond_offsets,
            self.ring_sizes[rings],
            ring_offsets,
        )


def _offsets(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _pieces(offsets: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the chosen pieces one after the other, and the offsets of the pieces among them."""
    counts = np.diff(offsets)[which]
    ends = _offsets(counts)
    return np.repeat(offsets[which] - ends[:-1], counts) + np.arange(ends[-1]), ends


def _joined(arrays: Sequence[np.ndarray], empty: np.ndarray) -> np.ndarray:
    return np.concatenate(arrays) if arrays else empty
