"""What a molecule can be asked to be: properties of a store by name, its number of atoms, its composition.

Conditions travel as numbers, one row a molecule: a property and "n_atoms" take one column each, "composition" one a
species, the number of its atoms. NaN stands for what is not told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..columns import TextColumn
from ..errors import InputError, UsageError, did_you_mean
from ..species import NUMBERS, Species

if TYPE_CHECKING:
    from ..data.store import MoleculeStore

N_ATOMS = "n_atoms"
COMPOSITION = "composition"

LARGEST = float(np.finfo(np.float32).max)
"""Conditions travel in single precision."""


Request = Mapping[str, float | str]
"""What is asked of a molecule: name -> number, or a formula such as "C7H10O2" for the composition."""


class OutsideRangeWarning(UserWarning):
    """What is asked lies outside of what the model learnt from; it can only guess."""


@dataclass(frozen=True)
class Conditions:
    """The conditions that a model can be told, in the order of their columns."""

    names: tuple[str, ...]
    species: Species

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column holds: the condition's name, or an element's symbol for its number of atoms."""
        parts = [self.species.symbols if name == COMPOSITION else (name,) for name in self.names]
        return tuple(column for part in parts for column in part)

    @property
    def owners(self) -> list[int]:
        """For each column the place in `names` of its condition."""
        parts = [[i] * (len(self.species) if name == COMPOSITION else 1) for i, name in enumerate(self.names)]
        return [i for part in parts for i in part]

    def check(self, store: MoleculeStore) -> None:
        """Refuse a store that cannot tell these conditions.

        Raises:
            InputError: if it lacks one of them, or holds no number of it for each molecule.
        """
        numeric = {name: column for name, column in store.properties.items() if not isinstance(column, TextColumn)}
        known = {name for name, column in numeric.items() if column.ndim == 1} | {N_ATOMS, COMPOSITION}
        for name in self.names:
            if name not in known:
                raise InputError(
                    f"condition {name!r}: the data hold no such number of each molecule; {did_you_mean(name, known)}"
                )
            if name in numeric and (beyond := np.flatnonzero(np.abs(numeric[name]) > LARGEST)).size:
                first = beyond[0]
                raise InputError(
                    f"condition {name!r}: molecule {first} of the data has {numeric[name][first]}, wanted a number "
                    f"below {LARGEST:.2g}, or none."
                )

    def measure(self, store: MoleculeStore, molecules: NDArray) -> NDArray:
        """Return the conditions that molecules of a store meet; (n, n_columns) float32, NaN where one is missing."""
        first, n_atoms = store.offsets[molecules], store.sizes[molecules]
        parts = []
        for name in self.names:
            if name == N_ATOMS:
                parts.append(n_atoms[:, None])
            elif name == COMPOSITION:
                row = np.repeat(np.arange(len(molecules)), n_atoms)
                within = np.arange(len(row)) - np.repeat(np.cumsum(n_atoms) - n_atoms, n_atoms)
                species = self.species.indices(store.numbers[np.repeat(first, n_atoms) + within])
                n_species = len(self.species)
                counts = np.bincount(row * n_species + species, minlength=len(molecules) * n_species)
                parts.append(counts.reshape(-1, n_species))
            else:
                parts.append(np.asarray(store.properties[name])[molecules][:, None])
        return np.concatenate([part.astype(np.float32) for part in parts], axis=1)

    def row(self, request: Request) -> NDArray:
        """Return what is asked as numbers; (n_columns,) float32, NaN where nothing is.

        Raises:
            UsageError: if a name is unknown, a value means nothing, or two values contradict each other.
        """
        for name in request:
            if not self:
                raise UsageError(f"condition {name!r}: this model was taught none; grow without it.")
            if name not in self.names:
                raise UsageError(f"condition {name!r}: this model was not taught it; {did_you_mean(name, self.names)}")
        parts: list[Sequence[float]] = []
        for name in self.names:
            if name == COMPOSITION:
                parts.append(self._counts(request[name]) if name in request else [math.nan] * len(self.species))
            else:
                parts.append([_number(name, request[name]) if name in request else math.nan])
        if N_ATOMS in request and COMPOSITION in request:
            n_atoms = sum(parts[self.names.index(COMPOSITION)])
            if n_atoms != float(request[N_ATOMS]):
                raise UsageError(
                    f"condition {N_ATOMS!r}: got {request[N_ATOMS]}, but {request[COMPOSITION]} has {n_atoms:g} atoms; "
                    f"ask for one of them."
                )
        return np.array([value for part in parts for value in part], np.float32)

    @property
    def composition(self) -> slice:
        """Which columns count the atoms of each species; none where the composition is no condition."""
        if COMPOSITION not in self.names:
            return slice(0, 0)
        first = self.owners.index(self.names.index(COMPOSITION))
        return slice(first, first + len(self.species))

    def _counts(self, formula: float | str) -> list[float]:
        """Return the number of atoms of each species."""
        counts = dict.fromkeys(self.species.symbols, 0.0)
        for symbol, count in parse_formula(str(formula)).items():
            if symbol not in counts:
                raise UsageError(
                    f"condition {COMPOSITION!r}: {symbol} of {formula} is not among this model's elements: "
                    f"{' '.join(self.species.symbols)}."
                )
            counts[symbol] = float(count)
        return list(counts.values())

    def remarks(self, row: NDArray, low: Sequence[float], high: Sequence[float]) -> list[str]:
        """Return a sentence for each number asked outside of the training data's range; (n_columns,) each.

        Raises:
            UsageError: for a negative number of what never was negative.
        """
        found = []
        for column, value, least, most in zip(self.columns, row, low, high, strict=True):
            if value < 0 <= least:
                raise UsageError(
                    f"condition {column!r}: got {value:g}, but it is never negative: the model learnt from "
                    f"{least:g} to {most:g}."
                )
            if value < least or value > most:
                learnt = f"{least:g} to {most:g}"
                found.append(f"condition {column!r}: {value:g} lies outside of what the model learnt from, {learnt}.")
        return found


def n_atoms_of(request: Request) -> int | None:
    """Return how many atoms a request that `Conditions.row` takes asks for, if it says so."""
    if N_ATOMS in request:
        return int(float(request[N_ATOMS]))
    return sum(parse_formula(str(request[COMPOSITION])).values()) if COMPOSITION in request else None


def parse_formula(formula: str) -> dict[str, int]:
    """Return the number of atoms of each element in a formula such as "C7H10O2".

    Raises:
        UsageError: if it cannot be read, names no element, or has no atoms.
    """
    if not re.fullmatch(r"([A-Z][a-z]?\d{0,4})+", formula):
        raise UsageError(f"condition {COMPOSITION!r}: got {formula!r}, wanted a formula such as C7H10O2.")
    counts: dict[str, int] = {}
    for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        if symbol not in NUMBERS:
            raise UsageError(f"condition {COMPOSITION!r}: there is no element {symbol!r}, of {formula!r}.")
        counts[symbol] = counts.get(symbol, 0) + int(count or 1)
    if not sum(counts.values()):
        raise UsageError(f"condition {COMPOSITION!r}: {formula!r} has no atoms, wanted a formula such as C7H10O2.")
    return counts


def _number(name: str, value: float | str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"condition {name!r}: got {value!r}, wanted a number.")
    if name == N_ATOMS and (number < 1 or number != int(number)):
        raise UsageError(f"condition {name!r}: got {value!r}, wanted a whole number of at least 1.")
    return number
