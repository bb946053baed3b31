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
    rotations = []
    for degree in range(lmax + 1):
        y_to_x = _y_to_x(degree).to(directions)
        tilt = y_to_x @ _about_y(-beta, degree) @ y_to_x.mT
        rotations.append(tilt @ _about_y(-alpha, degree))
    return rotations


def _about_y(angle: Tensor, degree: int) -> Tensor:
    """Return the matrix of a rotation about y by `angle` (...): cosines on the diagonal, sines on the antidiagonal."""
    order = torch.arange(-degree, degree + 1, dtype=angle.dtype, device=angle.device)
    phase = angle[..., None] * order
    antidiagonal = torch.diag_embed(torch.sin(phase)).flip(-1)
    return torch.diag_embed(torch.cos(phase)) - antidiagonal


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
