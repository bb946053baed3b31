"""What growth policies read off a padded batch of geometries: squared distances, and which atoms are bonded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def squared_distances(positions: NDArray) -> NDArray:
    """Return (n_molecules, n_atoms, n_atoms) float64, Å^2.

    In float64, so that which atom is the nearest does not depend on where the molecule lies.

    Args:
        positions: (n_molecules, n_atoms, 3) Å.
    """
    x = np.asarray(positions, np.float64)
    square: NDArray = np.zeros(x.shape[:2] + x.shape[1:2])
    for axis in range(3):
        square += (x[:, :, None, axis] - x[:, None, :, axis]) ** 2
    return square


def bonded_atoms(square: NDArray, reach: NDArray, present: NDArray) -> NDArray:
    """Return (n_molecules, n_atoms, n_atoms) bool: the rule of `chemistry.radii`.

    Args:
        square: (n_molecules, n_atoms, n_atoms) squared distances, Å^2.
        reach: (n_molecules, n_atoms) Å; two atoms are bonded if they are at most the sum of theirs apart.
        present: (n_molecules, n_atoms) bool, False beyond a molecule's last atom.
    """
    bonded = np.sqrt(square) <= reach[:, :, None] + reach[:, None, :]
    return bonded & present[:, :, None] & present[:, None, :] & ~np.eye(present.shape[1], dtype=bool)
