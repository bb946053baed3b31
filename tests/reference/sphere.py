"""Quadrature on the sphere: Gauss-Legendre in the cosine of the polar angle (about y), uniform in azimuth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from e3nn import o3
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Directions with weights that sum to 4 pi."""

    directions: Tensor  # (n_points, 3) float64, unit vectors; azimuth is the faster index
    weights: Tensor  # (n_points,) float64
    all_harmonics: Tensor  # (n_points, n_harmonics) float64, component-normalised, lmax of the grid

    def harmonics(self, lmax: int) -> Tensor:
        """Return (n_points, (lmax + 1)^2) harmonics."""
        return self.all_harmonics[:, : (lmax + 1) ** 2]


def product_grid(n_polar: int, n_azimuth: int, lmax: int = 5) -> Grid:
    """Return the grid of n_polar x n_azimuth directions; the published one is 180 x 359."""
    cosine, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(n_polar))
    azimuth = 2 * math.pi * torch.arange(n_azimuth, dtype=torch.float64) / n_azimuth
    sine = torch.sqrt(1 - cosine.square())
    y = cosine[:, None].expand(-1, n_azimuth)
    x, z = sine[:, None] * torch.sin(azimuth), sine[:, None] * torch.cos(azimuth)
    directions = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
    weights = (weights[:, None] * (2 * math.pi / n_azimuth)).expand(-1, n_azimuth).reshape(-1)
    return Grid(directions, weights, o3.spherical_harmonics(list(range(lmax + 1)), directions, True, "component"))
