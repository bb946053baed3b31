"""Naive targets and losses of Symphony, every density on the whole grid (facts 3)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .heads import log_normaliser, position_logits
from .sphere import Grid

INVERSE_TEMPERATURE = 20.0
"""Sharpness of the target's direction."""

RADIAL_VARIANCE = 1e-5
"""Variance (Å^2) of the target's radius."""


def legendre(cosine: Tensor, degree: int) -> Tensor:
    """Return P_l of the cosine."""
    return torch.from_numpy(np.polynomial.Legendre.basis(degree)(cosine.double().numpy()))


def angular_logits(cosine: Tensor, lmax: int = 5) -> Tensor:
    """Return 20 delta_lmax(cosine), delta_lmax the band-limited delta function sum_l (2l + 1) / (4 pi) P_l; float64."""
    delta = sum((2 * l + 1) / (4 * math.pi) * legendre(cosine, l) for l in range(lmax + 1))
    return INVERSE_TEMPERATURE * delta


def angular_target(direction: Tensor, grid: Grid, lmax: int = 5) -> Tensor:
    """Return g (n_points,) float64, the density over directions (per steradian) about `direction` (3,)."""
    logits = angular_logits(grid.directions @ direction.double() / direction.double().norm(), lmax)
    return torch.exp(logits - torch.logsumexp(logits + grid.weights.log(), dim=0))


def radial_target(distance: Tensor, radii: Tensor) -> Tensor:
    """Return w (n_radii,) float64, the weights of the shells about `distance` (Å)."""
    return torch.softmax(-(radii.double() - distance.double()).square() / (2 * RADIAL_VARIANCE), dim=0)


def position_loss(coefficients: Tensor, target: Tensor, radii: Tensor, grid: Grid) -> Tensor:
    """Return KL(q || p) in nats of one placement; `target` (3,) in Å is measured from the focus."""
    lmax = math.isqrt(coefficients.shape[-1]) - 1
    logits = position_logits(coefficients, grid.harmonics(lmax).to(coefficients))
    w, g = radial_target(target.norm(), radii), angular_target(target, grid)
    cross_entropy = log_normaliser(logits, grid) - torch.einsum("k,p,kp->", w, g * grid.weights, logits.double())
    return cross_entropy + torch.xlogy(w, w).sum() + (torch.xlogy(g, g) * grid.weights).sum()


def focus_loss(logits: Tensor, q: Tensor, q_stop: float) -> Tensor:
    """Return KL(q || p) in nats from logits and target shares (n_atoms, n_species); the logit of STOP is 0."""
    log_total = torch.logsumexp(torch.cat([logits.reshape(-1), logits.new_zeros(1)]), dim=0)
    entropy = -torch.xlogy(q, q).sum() - (q_stop * math.log(q_stop) if q_stop > 0 else 0.0)
    return log_total - (q * logits).sum() - entropy
