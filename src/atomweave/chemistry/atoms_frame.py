"""Atoms as bytes, for workers: positions, then atomic numbers, 25 bytes an atom."""

from __future__ import annotations

import numpy as np

BYTES_PER_ATOM = 25


def pack_atoms(numbers: np.ndarray, positions: np.ndarray) -> bytes:
    """Return (n_atoms,) atomic numbers and (n_atoms, 3) positions in Å as bytes."""
    return np.ascontiguousarray(positions, np.float64).tobytes() + np.asarray(numbers, np.uint8).tobytes()


def unpack_atoms(request: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_atoms,) uint8 atomic numbers and (n_atoms, 3) float64 positions in Å."""
    n_atoms = len(request) // BYTES_PER_ATOM
    return np.frombuffer(request, np.uint8, n_atoms, 24 * n_atoms), np.frombuffer(
        request, np.float64, 3 * n_atoms
    ).reshape(-1, 3)
