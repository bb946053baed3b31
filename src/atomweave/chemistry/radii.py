"""Which atoms are bonded: the covalent radii that decide the published xyz2mol figures, and the rule that uses them.

The radii are those of RDKit's periodic table up to release 2023.3, in substance the Blue Obelisk Data Repository's
single-bond radii with which the Cambridge Structural Database perceives bonds (bonded if the distance is below the sum
of the radii plus a tolerance). Later releases carry Cordero et al.'s radii (Dalton Trans. 2008, 2832; H 0.31, C 0.76),
with which the same rule draws spurious bonds across strained rings: QM9 then is 94.7 % valid instead of 99.99 %.
All 119 values were compared with `GetPeriodicTable().GetRcovalent` of RDKit 2023.03.3; only phosphorus differs since.
Its 0.75 Å there binds P-H up to 1.27 Å, P-P to 1.95 and P-C to 1.86, where these bonds measure 1.42, 2.2 and up to
1.91: 0.95 Å reaches all of them, and no phosphorus across an oxygen (2.7 Å and more).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .close_pairs import ClosePairs, close_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

CONNECTIVITY_FACTOR = 1.3
"""Two atoms are bonded if they are at most this many times the sum of their radii apart (`covFactor` of RDKit)."""

# fmt: off
COVALENT_RADII = np.array(
    [
        # no element
        0.00,
        # H He
        0.23, 0.93,
        # Li to Ne
        0.68, 0.35, 0.83, 0.68, 0.68, 0.68, 0.64, 1.12,
        # Na to Ar
        0.97, 1.10, 1.35, 1.20, 0.95, 1.02, 0.99, 1.57,
        # to Kr
        1.33, 0.99, 1.44, 1.47, 1.33, 1.35, 1.35, 1.34, 1.33, 1.50, 1.52, 1.45, 1.22, 1.17, 1.21, 1.22, 1.21, 1.91,
        # to Xe
        1.47, 1.12, 1.78, 1.56, 1.48, 1.47, 1.35, 1.40, 1.45, 1.50, 1.59, 1.69, 1.63, 1.46, 1.46, 1.47, 1.40, 1.98,
        # to Lu
        1.67, 1.34, 1.87, 1.83, 1.82, 1.81, 1.80, 1.80, 1.99, 1.79, 1.76, 1.75, 1.74, 1.73, 1.72, 1.94, 1.72,
        # Hf to Rn
        1.57, 1.43, 1.37, 1.35, 1.37, 1.32, 1.50, 1.50, 1.70, 1.55, 1.54, 1.54, 1.68, 1.70, 2.40,
        # to Lr
        2.00, 1.90, 1.88, 1.79, 1.61, 1.58, 1.55, 1.53, 1.51, 1.50, 1.50, 1.50, 1.50, 1.50, 1.50, 1.50, 1.50,
        # Rf to Og
        1.57, 1.49, 1.43, 1.41, 1.34, 1.29, 1.28, 1.21, 1.22, 1.36, 1.43, 1.62, 1.75, 1.65, 1.57,
    ]
)
# fmt: on
"""Covalent radius by atomic number, (119,) Å; index 0 stands for no element and bonds to nothing."""


def reach(numbers: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return Å by atomic number, (n_atoms,): two atoms are bonded if they are at most the sum of theirs apart."""
    return CONNECTIVITY_FACTOR * COVALENT_RADII[np.asarray(numbers, np.int64)]


def bonded_pairs(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the bonded pairs of one molecule, in time and memory that grow linearly with its atoms.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.

    Returns:
        (n_bonds, 2) int64, first index smaller, in ascending order.

    Raises:
        InputError: if it is a large molecule whose atoms lie too densely, see `close_pairs`.
    """
    return bonded_among(numbers, close_pairs(positions, longest_bond(numbers)))


def longest_bond(numbers: np.ndarray) -> float:
    """Return the distance (Å) beyond which no two of these atoms are bonded."""
    return 2 * float(reach(numbers).max())


def bonded_among(numbers: np.ndarray, close: ClosePairs) -> np.ndarray:
    """Return the bonded pairs among close pairs, which must reach to `longest_bond`; as `bonded_pairs`."""
    radius = reach(numbers)
    bonded = (close.distances <= radius[close.first] + radius[close.second]).nonzero()[0]
    first, second = close.first[bonded], close.second[bonded]
    pairs = np.empty((len(bonded), 2), np.int64)
    order = np.argsort(first * len(numbers) + second)
    pairs[:, 0], pairs[:, 1] = first[order], second[order]
    return pairs


def adjacency(numbers: Tensor, positions: Tensor) -> Tensor:
    """Return which atoms are bonded, in padded batches and with torch alone.

    Args:
        numbers: (..., n_atoms) integers, 0 where padded.
        positions: (..., n_atoms, 3) Å.

    Returns:
        (..., n_atoms, n_atoms) bool, symmetric, False on the diagonal and wherever padded.
    """
    import torch

    radii = torch.as_tensor(COVALENT_RADII, dtype=positions.dtype, device=positions.device)
    radius = CONNECTIVITY_FACTOR * radii[numbers.long()]
    distances = (positions.unsqueeze(-2) - positions.unsqueeze(-3)).norm(dim=-1)
    near = distances <= radius.unsqueeze(-1) + radius.unsqueeze(-2)
    present = numbers > 0
    itself = torch.eye(numbers.shape[-1], dtype=torch.bool, device=numbers.device)
    return near & present.unsqueeze(-1) & present.unsqueeze(-2) & ~itself
