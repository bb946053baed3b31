"""Densities on the sphere from channels of harmonic coefficients.

`f(n) = log sum_ch exp( sum_lm c_ch,lm Y_lm(n) )` and `p(n) = exp f(n) / int exp f` (Symphony, equation 4.11); several
channels reach angular frequencies that one cannot. `squared` logits are those of Simm et al. (equation 2.5): `-(beta /
k') |sum_lm c_lm Y_lm(n)|^2`, where k' is sqrt(k), k or 1 and k the sum of |c_lm|^2; the thesis prints sqrt(k) in 2.5
and k in B.2.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ...config import Config
from ...geometry.harmonics import spherical_harmonics
from ...geometry.sphere import grid_harmonics, half_grid, log_integral, ring_series, sphere_grid
from ...kernels.directions import compiled, draw_points

Logits = Literal["harmonics", "squared"]
Normaliser = Literal["sqrt_k", "k", "none"]


class AngularConfig(Config):
    """How a density on the sphere is parametrised and integrated."""

    channels: int = Field(2, ge=1, description="channels of harmonic coefficients, summed after the exponential")
    logits: Logits = Field("harmonics", description="harmonics: equation 4.11; squared: Simm et al., equation 2.5")
    normaliser: Normaliser = Field("sqrt_k", description="of squared logits: sqrt_k as equation 2.5, k as B.2, none")
    beta: float = Field(1.0, gt=0, description="factor of squared logits")
    n_polar: int = Field(45, ge=45, le=10_000, description="Gauss-Legendre nodes of the grid of log Z when teaching")
    n_azimuth: int = Field(90, ge=89, le=10_000, description="azimuths of the grid of log Z when teaching")
    n_polar_drawing: int = Field(
        180, ge=20, le=10_000, description="Gauss-Legendre nodes of the grid on which directions are drawn"
    )
    n_azimuth_drawing: int = Field(
        359, ge=20, le=10_000, description="azimuths of the grid on which directions are drawn"
    )


def channel_logits(series: Tensor, coefficients: Tensor, config: AngularConfig) -> Tensor:
    """Turn values of the harmonic series (..., n_points) of coefficients (..., n_harmonics) into logits."""
    if config.logits == "harmonics":
        return series
    if config.normaliser == "none":
        return -config.beta * series.square()
    power = 0.5 if config.normaliser == "sqrt_k" else 1.0
    k = coefficients.square().sum(-1, keepdim=True).clamp(min=torch.finfo(series.dtype).tiny)
    return -config.beta * series.square() / k**power


def log_partition(coefficients: Tensor, config: AngularConfig, rotation: Tensor | None = None) -> Tensor:
    """Return (...) `log int sum_ch exp(logits)` of coefficients (..., channels, n_harmonics).

    Args:
        coefficients: by channel.
        config: the parametrisation and the grid.
        rotation: (3, 3), turns the grid, so that a model cannot learn to hide between its points.
    """
    lmax = math.isqrt(coefficients.shape[-1]) - 1
    # Opposite points share their harmonics up to a sign, so that half of a symmetric grid is enough.
    half = config.logits == "harmonics" and config.n_azimuth % 2 == 0
    grid = half_grid(config.n_polar, config.n_azimuth) if half else sphere_grid(config.n_polar, config.n_azimuth)[:2]
    points = grid[0] if rotation is None else grid[0] @ rotation.T.to(grid[0])
    harmonics = spherical_harmonics(points.to(coefficients), lmax).T
    weights = grid[1].to(coefficients)
    if config.logits == "harmonics":
        by_channel = log_integral(coefficients.flatten(0, -2), harmonics, weights, antipodal=half)
        return by_channel.view(coefficients.shape[:-1]).logsumexp(-1)
    logits = channel_logits(coefficients @ harmonics, coefficients, config)
    return (logits.logsumexp(-2) + weights.log()).logsumexp(-1)


def log_density(coefficients: Tensor, directions_harmonics: Tensor, config: AngularConfig) -> Tensor:
    """Return (...) unnormalised log-density at one direction a row.

    Args:
        coefficients: (..., channels, n_harmonics).
        directions_harmonics: (..., n_harmonics).
        config: the parametrisation.
    """
    series = (coefficients * directions_harmonics[..., None, :]).sum(-1, keepdim=True)
    return channel_logits(series, coefficients, config)[..., 0].logsumexp(-1)


def tempered_grid_logits(
    coefficients: Tensor, harmonics: Tensor, config: AngularConfig, temperature: float, tempering: str
) -> Tensor:
    """Return (..., n_points) logits of the density at a temperature, on a grid.

    Args:
        coefficients: (..., channels, n_harmonics).
        harmonics: (n_harmonics, n_points).
        config: the parametrisation.
        temperature: 1 for the model's own density.
        tempering: "exact" divides the logits of the mixture, "coefficients" those of each channel before it is formed.
    """
    if tempering == "coefficients":
        coefficients = coefficients / temperature
    logits = channel_logits(coefficients @ harmonics, coefficients, config).logsumexp(-2)
    return logits if tempering == "coefficients" else logits / temperature


def draw_directions(
    coefficients: Tensor, config: AngularConfig, temperature: float, tempering: str, uniforms: Tensor
) -> Tensor:
    """Draw one direction a row from the density of coefficients (n_rows, channels, n_harmonics) at a temperature.

    Arguments as in `tempered_grid_logits` and `draw_direction`, result as in the latter.
    """
    lmax = math.isqrt(coefficients.shape[-1]) - 1
    size = config.n_polar_drawing, config.n_azimuth_drawing
    # Tempering a mixture is no mixture of tempered channels, which is all that the kernel knows.
    by_channel = temperature == 1.0 or tempering == "coefficients" or coefficients.shape[1] == 1
    if config.logits == "harmonics" and by_channel and compiled(coefficients):
        amplitudes, waves = ring_series(*size, lmax)
        series = (coefficients / temperature) @ amplitudes.to(coefficients).flatten(1)
        ring_weights = sphere_grid(*size).weights.view(size)[:, 0].to(coefficients)
        series = series.unflatten(-1, amplitudes.shape[1:])
        ring, azimuth = draw_points(series, waves.to(coefficients), ring_weights, uniforms[:, 0])
        return _within_cell(ring, azimuth, config, uniforms).to(coefficients)
    harmonics = grid_harmonics(*size, lmax).to(coefficients)
    logits = tempered_grid_logits(coefficients, harmonics, config, temperature, tempering)
    return draw_direction(logits, config, uniforms)


def draw_direction(logits: Tensor, config: AngularConfig, uniforms: Tensor) -> Tensor:
    """Draw one direction a row from logits on the drawing grid, uniform within the cell of the point drawn.

    Args:
        logits: (n_rows, n_points), on `sphere_grid(n_polar_drawing, n_azimuth_drawing)`.
        config: the grid.
        uniforms: (n_rows, 3) in (0, 1): which cell, where in its polar and its azimuthal extent.

    Returns:
        (n_rows, 3) unit vectors.
    """
    grid = sphere_grid(config.n_polar_drawing, config.n_azimuth_drawing)
    mass = torch.exp(logits - logits.amax(dim=1, keepdim=True)) * grid.weights.to(logits)
    point = draw_index(mass, uniforms[:, 0])
    ring = point.div(grid.n_azimuth, rounding_mode="floor")
    return _within_cell(ring, point % grid.n_azimuth, config, uniforms).to(logits)


def _within_cell(ring: Tensor, azimuth: Tensor, config: AngularConfig, uniforms: Tensor) -> Tensor:
    grid = sphere_grid(config.n_polar_drawing, config.n_azimuth_drawing)
    edges = grid.cosine_edges.to(ring.device)
    u = uniforms.to(edges)
    cosine = edges[ring] + (edges[ring + 1] - edges[ring]) * u[:, 1]
    angle = (azimuth + u[:, 2] - 0.5) * (2 * math.pi / grid.n_azimuth)
    sine = (1 - cosine**2).clamp(min=0).sqrt()
    return torch.stack([sine * angle.sin(), cosine, sine * angle.cos()], dim=1)


def draw_index(mass: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one index a row with probability proportional to `mass` (n_rows, n), by uniforms (n_rows,)."""
    cumulative = mass.double().cumsum(1)
    wanted = uniforms.to(cumulative)[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, wanted, right=True)[:, 0]
    # Rounding may lead past the last index of positive mass.
    last = mass.shape[1] - 1 - (mass > 0).flip(1).to(torch.int8).argmax(1)
    return torch.minimum(index, last)
