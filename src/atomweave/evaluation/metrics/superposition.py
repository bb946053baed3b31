"""How far two geometries of the same atoms lie apart once one is laid on the other as well as it goes."""

from __future__ import annotations

import numpy as np


def best_fit_rmsd(first: np.ndarray, second: np.ndarray) -> float:
    """Return the smallest root mean square distance over all proper rotations and translations.

    W. Kabsch, Acta Cryst. A 32, 922 (1976). Atoms correspond by index; a mirror image is another geometry.

    Args:
        first: (n_atoms, 3) Å.
        second: (n_atoms, 3) Å.

    Returns:
        Å.
    """
    first = first - first.mean(0)
    second = second - second.mean(0)
    left, _, right = np.linalg.svd(first.T @ second)
    left[:, -1] *= np.linalg.det(left) * np.linalg.det(right)  # -1 where the best fit would be a mirror image
    return float(np.sqrt(((first @ left @ right - second) ** 2).sum(1).mean()))
