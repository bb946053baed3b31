"""Wigner matrices of the rotation that lays an edge along the polar axis, and random rotations.

A rotation about y is block diagonal in (-m, m), so that the rotation by (alpha, beta) factors as `D(alpha, beta) =
A(alpha) J A(beta) J^T` with one constant matrix J a degree, which carries the y axis to the x axis. See Pinchon and
Hoggan, J. Phys. A 40, 1597 (2007).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from .harmonics import degree_slice, spherical_harmonics


def edge_rotations(directions: Tensor, lmax: int) -> list[Tensor]:
    """Return one (..., 2l + 1, 2l + 1) matrix a degree, which takes features to the frame where `directions` is y.

    Args:
        directions: (..., 3), of any length but zero; a zero vector counts as y.
        lmax: highest degree.
    """
    x, y, z = directions.unbind(-1)
    alpha = torch.atan2(x, z)  # a turn about y by alpha and a tilt about x by beta carry y to the direction
    beta = torch.atan2(torch.hypot(x, z), y)
    order = torch.arange(-lmax, lmax + 1, dtype=directions.dtype, device=directions.device)
    tilting, turning = beta[..., None] * order[lmax:], alpha[..., None] * order
    tilts, cosines, sines = torch.cat([tilting.cos(), tilting.sin()], dim=-1), turning.cos(), turning.sin()
    rotations = []
    for degree in range(lmax + 1):
        size = 2 * degree + 1
        with torch.autocast(directions.device.type, enabled=False):  # geometry stays in full precision
            tilt = (tilts @ _tilt_series(degree, lmax).to(directions)).unflatten(-1, (size, size))
        here = slice(lmax - degree, lmax + degree + 1)
        rotations.append(tilt * cosines[..., None, here] - tilt.flip(-1) * sines[..., None, here])
    return rotations


@functools.cache
def _tilt_series(degree: int, lmax: int) -> Tensor:
    """Return (2 lmax + 2, (2l + 1)^2): what cosines, then sines, of multiples of beta add up to a tilt; float64."""
    y_to_x = _y_to_x(degree)
    terms = torch.zeros(2, lmax + 1, 2 * degree + 1, 2 * degree + 1, dtype=torch.float64)
    for order in range(degree + 1):
        plus, minus = degree + order, degree - order
        terms[0, order, plus, plus] = terms[0, order, minus, minus] = 1
        if order:
            terms[1, order, plus, minus], terms[1, order, minus, plus] = 1, -1
    return (y_to_x @ terms @ y_to_x.mT).flatten(0, 1).flatten(1)


@functools.cache
def _y_to_x(degree: int) -> Tensor:
    """Return J, the matrix of the rotation about z that carries y to x, float64.

    Solved from the harmonics themselves, which are exact to rounding, since e3nn's own Wigner matrices carry 1e-8.
    """
    points = torch.randn(8 * (degree + 1), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(degree))
    turned = torch.stack([points[:, 1], -points[:, 0], points[:, 2]], dim=1)
    before = spherical_harmonics(points, degree)[:, degree_slice(degree)]
    after = spherical_harmonics(turned, degree)[:, degree_slice(degree)]
    return torch.linalg.lstsq(before, after).solution.mT.contiguous()


def random_rotation(rng: torch.Generator) -> Tensor:
    """Return a (3, 3) rotation matrix drawn uniformly (Haar), float64."""
    quaternion = torch.randn(4, generator=rng, dtype=torch.float64)
    w, x, y, z = (quaternion / quaternion.norm()).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )
