"""Many molecules as ragged arrays, in memory or mapped from one safetensors file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import Column, TextColumn, check_offsets, column_of, is_missing
from ..errors import InputError, did_you_mean
from ..molecule import Molecule
from ..species import SYMBOLS

FARTHEST = 5_000.0
"""Å from the origin; beyond, single precision no longer keeps atoms apart by less than `COINCIDENT_DISTANCE`."""


@dataclass(frozen=True, eq=False)
class MoleculeStore:
    """Molecules one after the other; molecule i owns atoms `offsets[i]` to `offsets[i + 1]`.

    Raises:
        InputError: if shapes, types, elements, offsets or splits do not fit each other.
    """

    numbers: np.ndarray  # (n_total,) uint8, atomic numbers of all atoms
    positions: np.ndarray  # (n_total, 3) float32, Å
    offsets: np.ndarray  # (n_molecules + 1,) int64
    properties: Mapping[str, Column] = field(default_factory=dict)  # name -> (n_molecules, ...) numbers, or text
    units: Mapping[str, str] = field(default_factory=dict)  # property -> unit, where it has one
    splits: Mapping[str, np.ndarray] = field(default_factory=dict)  # e.g. "edm/train" -> (n,) int64 indices
    citation: str = ""  # what to cite when these molecules are used

    def __post_init__(self) -> None:
        if self.numbers.ndim != 1 or self.numbers.dtype != np.uint8:
            raise InputError(f"numbers are {self.numbers.dtype} {self.numbers.shape}, wanted uint8 (n_total,).")
        n_total = len(self.numbers)
        if self.positions.shape != (n_total, 3) or self.positions.dtype != np.float32:
            raise InputError(
                f"positions are {self.positions.dtype} {self.positions.shape}, not float32 ({n_total}, 3)."
            )
        check_offsets(self.offsets, n_total, "molecule offsets")
        if len(self.offsets) < 2 or (np.diff(self.offsets) == 0).any():
            raise InputError("a store needs at least one molecule, and every molecule at least one atom.")
        if self.numbers.min() < 1 or self.numbers.max() >= len(SYMBOLS):
            raise InputError("an atomic number is unknown, wanted 1 to 118.")
        for name, column in self.properties.items():
            shape = (len(column),) if isinstance(column, TextColumn) else column.shape
            if shape[:1] != (len(self),):
                raise InputError(f"property {name!r} has shape {shape}, wanted {len(self)} values, one a molecule.")
        for name in self.units:
            if name not in self.properties:
                raise InputError(f"there is a unit for {name!r}, but no such property.")
        for name, indices in self.splits.items():
            fits = indices.ndim == 1 and indices.dtype == np.int64
            if not fits or (len(indices) and (indices.min() < 0 or indices.max() >= len(self))):
                raise InputError(f"split {name!r} is not a list of int64 indices below {len(self)}.")

    @classmethod
    def from_molecules(cls, molecules: Iterable[Molecule], units: Mapping[str, str] | None = None) -> MoleculeStore:
        """Gather molecules and their properties; a property that some molecules lack is stored as missing there.

        Raises:
            InputError: if there are no molecules, or one lies too far out for single precision.
        """
        numbers, positions, values = [], [], dict[str, list[Any]]()
        for count, molecule in enumerate(molecules):
            if (reason := out_of_range(molecule)) is not None:
                raise InputError(f"molecule {count}: {reason}.")
            numbers.append(molecule.numbers)
            positions.append(molecule.positions.astype(np.float32))
            for name, value in molecule.properties.items():
                column = values.setdefault(name, [])
                column.extend([None] * (count - len(column)) + [value])
        if not numbers:
            raise InputError("a store needs at least one molecule, got none.")
        properties = {
            name: column_of(column + [None] * (len(numbers) - len(column))) for name, column in values.items()
        }
        return cls(
            np.concatenate(numbers),
            np.concatenate(positions),
            np.concatenate([[0], np.cumsum([len(atoms) for atoms in numbers])]).astype(np.int64),
            properties,
            {name: unit for name, unit in (units or {}).items() if name in properties},
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Molecule:
        """Return one molecule with the properties it has."""
        index = range(len(self))[index]
        atoms = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        values = {name: _value(column, index) for name, column in self.properties.items()}
        properties = {name: value for name, value in values.items() if not is_missing(value)}
        return Molecule(self.numbers[atoms], self.positions[atoms], properties)

    def __iter__(self) -> Iterator[Molecule]:
        return (self[i] for i in range(len(self)))

    @property
    def sizes(self) -> np.ndarray:
        """Number of atoms of each molecule; (n_molecules,) int64."""
        return np.diff(self.offsets)

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements that occur, by rising atomic number."""
        return tuple(SYMBOLS[number] for number in np.flatnonzero(np.bincount(self.numbers, minlength=len(SYMBOLS))))

    def split(self, name: str) -> np.ndarray:
        """Return the molecule indices of a split.

        Raises:
            InputError: if there is no such split; the message lists those there are.
        """
        if name not in self.splits:
            hint = did_you_mean(name, self.splits) if self.splits else "This store has no splits."
            raise InputError(f"unknown split {name!r}. {hint}")
        return self.splits[name]

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal sha256 of everything the store holds: arrays, names, units, citation."""
        from .storefile import content_hash

        return content_hash(self)

    def write(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all; the same store gives the same bytes."""
        from .storefile import write_store

        write_store(self, path)

    @classmethod
    def open(cls, path: str | Path, verify: bool = True) -> MoleculeStore:
        """Map a store from its file: nothing is read until it is used, except by `verify`.

        Args:
            path: a file that `write` made.
            verify: read everything once and compare its hash with the one stored (QM9: 0.1 s).

        Raises:
            RefusedFileError: if the file is missing, damaged, truncated, of another kind, or its hash does not match.
        """
        from .storefile import open_store

        return open_store(path, verify)


def out_of_range(molecule: Molecule) -> str | None:
    """Return why single precision cannot hold the positions, or None if it can."""
    farthest = float(abs(molecule.positions).max())
    return (
        f"a coordinate is {farthest:.6g} Å, wanted at most {FARTHEST:.0f}: centre it" if farthest > FARTHEST else None
    )


def _value(column: Column, index: int) -> Any:
    value = column[index]
    return value if isinstance(column, TextColumn) or value.ndim else value.item()
