"""Quadrature on the unit sphere, and integrals of exponentials of harmonic series.

A signal is a row of coefficients c over the harmonics of degrees 0..lmax (see `harmonics`); its value in direction n is
`sum_lm c_lm Y_lm(n)`.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..kernels.sphere import compiled, compiled_log_integral
from .harmonics import spherical_harmonics

ROWS_PER_BLOCK = 256
"""Signals evaluated on a grid at a time: a block of values stays in the cache between its passes."""


class SphereGrid(NamedTuple):
    """Gauss-Legendre nodes in the cosine of the polar angle (from y) times equally spaced azimuths."""

    points: Tensor  # (n_polar * n_azimuth, 3), azimuth runs fastest
    weights: Tensor  # (n_polar * n_azimuth,), sum to 4 pi
    cosine_edges: Tensor  # (n_polar + 1,), cell borders in the cosine, so that each cell has its node's weight
    n_azimuth: int


@functools.cache
def sphere_grid(n_polar: int, n_azimuth: int) -> SphereGrid:
    """Return the product grid in float64; exact for harmonics below degree min(2 n_polar, n_azimuth)."""
    cosines, weights = np.polynomial.legendre.leggauss(n_polar)
    azimuths = np.arange(n_azimuth) * (2 * math.pi / n_azimuth)
    sines = np.sqrt(1 - cosines**2)
    points = np.stack(
        [
            sines[:, None] * np.sin(azimuths),
            np.broadcast_to(cosines[:, None], (n_polar, n_azimuth)),
            sines[:, None] * np.cos(azimuths),
        ],
        axis=-1,
    )
    cell = np.repeat(weights, n_azimuth) * (2 * math.pi / n_azimuth)
    edges = np.concatenate([[-1.0], np.cumsum(weights) - 1.0])
    return SphereGrid(
        torch.from_numpy(points.reshape(-1, 3)), torch.from_numpy(cell), torch.from_numpy(edges.clip(-1, 1)), n_azimuth
    )


@functools.cache
def grid_harmonics(n_polar: int, n_azimuth: int, lmax: int) -> Tensor:
    """Return ((lmax + 1)^2, n_points) harmonics on `sphere_grid`, float64."""
    return spherical_harmonics(sphere_grid(n_polar, n_azimuth).points, lmax).T.contiguous()


@functools.cache
def ring_series(n_polar: int, n_azimuth: int, lmax: int) -> tuple[Tensor, Tensor]:
    """Return harmonics on the rings of `sphere_grid` as Fourier series in the azimuth, float64.

    Returns:
        (n_harmonics, n_polar, 2 lmax + 1) amplitudes and (2 lmax + 1, n_azimuth) waves, whose product over the orders
        -lmax..lmax is `grid_harmonics`.
    """
    meridian = grid_harmonics(n_polar, n_azimuth, lmax).unflatten(1, (n_polar, n_azimuth))[:, :, 0]
    amplitudes = torch.zeros(len(meridian), n_polar, 2 * lmax + 1, dtype=torch.float64)
    for degree in range(lmax + 1):
        for order in range(-degree, degree + 1):
            centre = degree**2 + degree
            # At azimuth 0 the sines vanish; their amplitudes are those of the cosines of the same |m|.
            amplitudes[centre + order, :, lmax + order] = meridian[centre + abs(order)]
    phases = torch.arange(n_azimuth, dtype=torch.float64) * (2 * math.pi / n_azimuth)
    orders = torch.arange(1, lmax + 1, dtype=torch.float64)[:, None]
    waves = torch.cat([(orders * phases).sin().flip(0), torch.ones_like(phases)[None], (orders * phases).cos()])
    return amplitudes, waves


@functools.cache
def half_grid(n_polar: int, n_azimuth: int) -> tuple[Tensor, Tensor]:
    """Return one of each two opposite points of `sphere_grid`, (n_points, 3), and its weight, for even `n_azimuth`."""
    grid = sphere_grid(n_polar, n_azimuth)
    assert n_azimuth % 2 == 0, "a grid with an odd number of azimuths holds no opposite points"
    n_half = n_polar * n_azimuth // 2  # of the equator, where there is one, the first half
    return grid.points[:n_half], grid.weights[:n_half]


def log_integral(coefficients: Tensor, harmonics: Tensor, weights: Tensor, antipodal: bool = False) -> Tensor:
    """Return (n_rows,) `log int exp(sum_lm c_lm Y_lm(n)) dn`, by quadrature.

    Args:
        coefficients: (n_rows, n_harmonics).
        harmonics: (n_harmonics, n_points).
        weights: (n_points,).
        antipodal: every point stands for its opposite as well, as in `half_grid`.
    """
    return _LogIntegral.apply(coefficients, harmonics, weights, antipodal)


class _LogIntegral(torch.autograd.Function):
    """Streams over blocks of rows: values on the grid are never stored.

    The gradient is the mean of the harmonics under the normalised exponential, which falls out of the same pass: one
    product with the weighted harmonics gives the integral (its first row, Y_00 = 1) and all means.
    """

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, harmonics: Tensor, weights: Tensor, antipodal: bool) -> Tensor:
        if antipodal and compiled(coefficients):
            logs, means = compiled_log_integral(coefficients, harmonics, weights, ctx.needs_input_grad[0])
            ctx.save_for_backward(means)
            return logs
        if antipodal:
            degree = torch.arange(len(harmonics), device=harmonics.device).sqrt().long()
            opposite = harmonics * (1 - 2 * (degree % 2))[:, None]
            harmonics, weights = torch.cat([harmonics, opposite], dim=1), weights.repeat(2)
        weighted = (harmonics * weights).T.contiguous()
        logs = coefficients.new_empty(len(coefficients))
        means = torch.empty_like(coefficients)
        values = coefficients.new_empty(min(ROWS_PER_BLOCK, len(coefficients)), harmonics.shape[1])
        for start in range(0, len(coefficients), ROWS_PER_BLOCK):
            block = coefficients[start : start + ROWS_PER_BLOCK]
            out = values[: len(block)]
            torch.matmul(block, harmonics, out=out)
            peak = out.amax(dim=1, keepdim=True)
            out.sub_(peak).exp_()
            moments = out @ weighted
            logs[start : start + len(block)] = peak[:, 0] + moments[:, 0].log()
            means[start : start + len(block)] = moments / moments[:, :1]
        ctx.save_for_backward(means)
        return logs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (means,) = ctx.saved_tensors
        return grad[:, None] * means, None, None, None


def delta_logits(cosine: Tensor, inverse_temperature: float, lmax: int) -> Tensor:
    """Return (...) `inverse_temperature * sum_{l <= lmax} (2l + 1) / (4 pi) P_l(cosine)`: a Dirac peak cut at lmax."""
    previous, current = torch.ones_like(cosine), cosine
    total = previous.clone()
    for degree in range(1, lmax + 1):
        total = total + (2 * degree + 1) * current
        previous, current = current, ((2 * degree + 1) * cosine * current - degree * previous) / (degree + 1)
    return inverse_temperature / (4 * math.pi) * total


class PeakTarget(NamedTuple):
    """The density `exp(delta_logits)` around y, normalised: its entropy and a small quadrature over it."""

    entropy: float  # nats
    points: Tensor  # (n_points, 3), float64
    probabilities: Tensor  # (n_points,), sum to 1, float64


@functools.cache
def peak_target(inverse_temperature: float, lmax: int, n_polar: int = 10, n_azimuth: int = 16) -> PeakTarget:
    """Return the target around y, with n_polar x n_azimuth points in the cap that holds all of its mass.

    The cap ends where the density has fallen by exp(-25) from its peak, at 15 degrees for the published target.
    """
    # Ample: the published target has no moments beyond degree 120. The time of leggauss grows as its cube.
    cosines, weights = np.polynomial.legendre.leggauss(500)
    cosine = torch.from_numpy(cosines)
    logits = delta_logits(cosine, inverse_temperature, lmax)
    peak = delta_logits(torch.ones(1, dtype=torch.float64), inverse_temperature, lmax)
    mass = torch.from_numpy(weights) * 2 * math.pi * torch.exp(logits - peak)
    log_norm = mass.sum().log() + peak
    entropy = float(log_norm - (mass * logits).sum() / mass.sum())
    inside = logits > peak - 25
    border = float(cosine[~inside].max()) if (~inside).any() else -1.0
    nodes, node_weights = np.polynomial.legendre.leggauss(n_polar)
    heights = torch.from_numpy(border + (nodes + 1) * (1 - border) / 2)
    ring = torch.from_numpy(node_weights) * torch.exp(delta_logits(heights, inverse_temperature, lmax) - peak)
    probabilities = (ring / ring.sum()).repeat_interleave(n_azimuth) / n_azimuth
    azimuth = torch.arange(n_azimuth, dtype=torch.float64) * (2 * math.pi / n_azimuth)
    radius = (1 - heights**2).sqrt()[:, None]
    points = torch.stack([radius * azimuth.sin(), heights[:, None].expand(-1, n_azimuth), radius * azimuth.cos()], -1)
    return PeakTarget(entropy, points.reshape(-1, 3), probabilities)
