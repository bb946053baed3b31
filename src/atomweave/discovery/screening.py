"""Which molecules are worth a calculation: GFN2-xTB and a count of atoms, calibrated on what was calculated so far.

The screening method's number is never the property: its gap lies eVs away from B3LYP's. It is one of the features of a
linear fit, the numbers of atoms of each element being the others: a polarizability is nearly a sum over atoms, and the
gaps of two methods follow each other among molecules of one composition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..molecule import Molecule

ELEMENTS = (1, 6, 7, 8, 9)
RIDGE = 1.0
"""Penalty of squared weights on standardised features: one molecule's worth, so that two or three molecules give a
careful slope and hundreds are hardly held back."""


def features(molecules: Sequence[Molecule], screened: np.ndarray) -> np.ndarray:
    """Return the fit's features, (n, 1 + elements): the screened value (n,) and the number of atoms of each element."""
    counts = np.array([[np.count_nonzero(molecule.numbers == number) for number in ELEMENTS] for molecule in molecules])
    return np.concatenate([screened[:, None], counts.reshape(len(molecules), len(ELEMENTS))], axis=1).astype(float)


@dataclass(frozen=True, eq=False)
class Calibration:
    """A linear fit of the property.

    Attributes:
        mean: of the features, (n_features,).
        scale: their deviations, 1 where they do not vary.
        weights: on standardised features, (n_features,).
        offset: mean of the property.
        n: molecules it was fitted to.
        error: root of the mean square of its leave-one-out residuals, in the property's unit; NaN for fewer than two.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: float
    n: int
    error: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> Calibration:
        """Fit the property (n,) to features (n, n_features) by ridge regression; n is at least 1."""
        mean, deviation = x.mean(0), x.std(0)
        scale = np.where(deviation > 0, deviation, 1.0)
        z, offset = (x - mean) / scale, float(y.mean())
        gram = z.T @ z + RIDGE * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, z.T @ (y - offset))
        # Leaving one out without fitting anew: the residual over one minus its leverage (the mean's share included).
        leverage = np.einsum("ij,ij->i", z, np.linalg.solve(gram, z.T).T) + 1 / len(y)
        residuals = (y - offset - z @ weights) / np.maximum(1 - leverage, 1e-9)
        error = float(np.sqrt(np.mean(residuals**2))) if len(y) > 1 else float("nan")
        return cls(mean, scale, weights, offset, len(y), error)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the property of molecules with features (n, n_features); (n,)."""
        return self.offset + (x - self.mean) / self.scale @ self.weights
