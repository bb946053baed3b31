"""What is looked for: a property, which way, and from where on a molecule is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..columns import TextColumn
from ..errors import InputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from ..data.store import MoleculeStore

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Objective:
    """One property to make small or large.

    Attributes:
        target: the property's name in `properties.methods.PROPERTIES`, and that of the store's column of its values.
        direction: which way.
        threshold: a molecule is good strictly below it (minimize) or above it (maximize), in the property's unit.

    Raises:
        UsageError: if there is no such property.
    """

    target: str
    direction: Direction
    threshold: float

    def __post_init__(self) -> None:
        from ..properties.methods import PROPERTIES

        if self.target not in PROPERTIES:
            hint = did_you_mean(self.target, PROPERTIES)
            raise UsageError(f"--{self.direction}: there is no property {self.target!r}; {hint}")
        if not np.isfinite(self.threshold):
            raise UsageError(f"--threshold: got {self.threshold}, wanted a number.")

    @property
    def unit(self) -> str:
        """Unit of the property."""
        from ..properties.methods import PROPERTIES

        return PROPERTIES[self.target].unit

    @property
    def good_words(self) -> str:
        """What makes a molecule good, e.g. "gap < 4.5 eV"."""
        return f"{self.target} {'<' if self.direction == 'minimize' else '>'} {self.threshold:g} {self.unit}"

    def good(self, values: np.ndarray) -> np.ndarray:
        """Return which of (n,) values are good; NaN never is."""
        return values < self.threshold if self.direction == "minimize" else values > self.threshold

    def order(self, values: np.ndarray) -> np.ndarray:
        """Return the places of (n,) values from best to worst, NaN last."""
        return np.argsort(values if self.direction == "minimize" else -values, kind="stable")

    def values(self, store: MoleculeStore) -> np.ndarray:
        """Return the values that a store holds; (n_molecules,) float64.

        Raises:
            InputError: if it holds no such column of numbers, or says that they are in another unit.
        """
        columns = {
            name: column
            for name, column in store.properties.items()
            if not isinstance(column, TextColumn) and column.ndim == 1
        }
        if self.target not in columns:
            hint = did_you_mean(self.target, columns) if columns else "It holds no numbers of molecules."
            raise InputError(f"the data hold no property {self.target!r} to choose molecules by. {hint}")
        unit = store.units.get(self.target, self.unit)
        if _plain(unit) != _plain(self.unit):
            raise InputError(f"the data's {self.target} is in {unit}, wanted {self.unit}: convert it first.")
        return np.asarray(columns[self.target], np.float64)


def _plain(unit: str) -> str:
    return unit.lower().replace(" ", "").replace("**", "^")
