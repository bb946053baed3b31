"""Real spherical harmonics and their invariant couplings, in numpy: torch and e3nn take seconds to import.

Orders within a degree are m = -l ... l, the polar axis is z, the sign of Condon and Shortley is left out. Nothing that
is kept or printed depends on these conventions, for only invariants are made of them.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

LEVI_CIVITA = np.array([[[(a - b) * (b - c) * (c - a) / 2 for c in range(3)] for b in range(3)] for a in range(3)])
"""Invariant of three vectors; (3, 3, 3)."""

_N_POLAR, _N_AZIMUTH = 16, 32
"""A grid that integrates products of harmonics over the sphere exactly, degrees adding up to 31 at most."""


def harmonics(directions: np.ndarray, lmax: int) -> np.ndarray:
    """Return the orthonormal real Y_lm, (n, (lmax + 1)^2), degree after degree.

    Args:
        directions: (n, 3) of any length but zero.
        lmax: highest degree.
    """
    x, y, z = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    found = np.empty((len(directions), (lmax + 1) ** 2))
    around = np.ones(len(z), complex)  # (x + iy)^m
    for m in range(lmax + 1):
        # d^m P_l / dz^m for l = m, m + 1, ...; the one before l = m is zero.
        before, legendre = np.zeros(len(z)), np.full(len(z), float(math.prod(range(1, 2 * m, 2))))
        for l in range(m, lmax + 1):
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            middle = l * (l + 1)
            if m == 0:
                found[:, middle] = norm * legendre
            else:
                found[:, middle + m] = math.sqrt(2) * norm * legendre * around.real
                found[:, middle - m] = math.sqrt(2) * norm * legendre * around.imag
            before, legendre = legendre, ((2 * l + 1) * z * legendre - (l + m) * before) / (l - m + 1)
        around = around * (x + 1j * y)
    return found


@cache
def coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return the invariant tensor of three degrees with unit Frobenius norm, the real Wigner 3j symbol up to its sign.

    Where l1 + l2 + l3 is even it is the integral over three harmonics. That vanishes for odd sums, where the tensor
    changes its sign under reflection: there the integrals are joined by the triple product of three vectors. There is
    but one invariant of three degrees, so that any way to it will do.

    Returns:
        (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) float64.

    Raises:
        ValueError: if there is none, or its sum is odd and this way does not lead to it.
    """
    if (l1 + l2 + l3) % 2 == 0:
        tensor = _integral(l1, l2, l3)
    elif min(l1, l2, l3) < 1:
        raise ValueError(f"no coupling of the degrees {l1}, {l2}, {l3}")
    else:
        pieces = [_integral(1, l, l - 1) for l in (l1, l2, l3)]
        tensor = np.einsum(
            "pqr,pas,qbt,rcu,stu->abc", LEVI_CIVITA, *pieces, _integral(l1 - 1, l2 - 1, l3 - 1), optimize=True
        )
    size = float(np.linalg.norm(tensor))
    if size < 1e-8:
        raise ValueError(f"no coupling of the degrees {l1}, {l2}, {l3}")
    return tensor / size


def _integral(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return the integral over the sphere of every product of three harmonics; (2 l1 + 1, 2 l2 + 1, 2 l3 + 1)."""
    found, weights = _on_grid(max(l1, l2, l3))
    first, second, third = (found[:, l * l : (l + 1) ** 2] for l in (l1, l2, l3))
    return np.einsum("g,ga,gb,gc->abc", weights, first, second, third, optimize=True)


@cache
def _on_grid(lmax: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the harmonics at the points of the grid, (n, (lmax + 1)^2), and the weights of the points, (n,)."""
    z, weights = np.polynomial.legendre.leggauss(_N_POLAR)
    azimuth = 2 * math.pi / _N_AZIMUTH * np.arange(_N_AZIMUTH)
    z, azimuth = (grid.ravel() for grid in np.meshgrid(z, azimuth, indexing="ij"))
    ring = np.sqrt(1 - z * z)
    points = np.column_stack([ring * np.cos(azimuth), ring * np.sin(azimuth), z])
    return harmonics(points, lmax), np.repeat(weights, _N_AZIMUTH) * (2 * math.pi / _N_AZIMUTH)
