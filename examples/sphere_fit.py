"""Targets of smoothed points on the sphere, and the channels of harmonics that come closest to them (thesis B.2).

A target is the mean of one peak `exp(20 delta_5(n . r_i))` a point r_i, each normalised: what Symphony is taught when
several positions are right. The factor 20 is that of the authors' code; equation B.1 leaves it out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from atomweave.geometry.harmonics import spherical_harmonics
from atomweave.geometry.rotations import edge_rotations
from atomweave.geometry.sphere import delta_logits, peak_target, sphere_grid
from atomweave.models.heads.angular import AngularConfig, channel_logits, log_partition

SHARPNESS, PEAK_LMAX = 20.0, 5


class Target(NamedTuple):
    """A density on the sphere for each of several signals, as a quadrature over the caps that hold its mass."""

    centres: Tensor  # (n_signals, n_centres, 3) unit vectors
    points: Tensor  # (n_signals, n_points, 3) unit vectors
    probabilities: Tensor  # (n_signals, n_points), sum to 1
    entropy: Tensor  # (n_signals,) nats


def random_centres(n_signals: int, n_centres: int, rng: torch.Generator) -> Tensor:
    """Return (n_signals, n_centres, 3) unit vectors, uniform on the sphere, float64."""
    vectors = torch.randn(n_signals, n_centres, 3, generator=rng, dtype=torch.float64)
    return vectors / vectors.norm(dim=-1, keepdim=True)


def smoothed(centres: Tensor) -> Target:
    """Return the targets with peaks at `centres` (n_signals, n_centres, 3)."""
    peak = peak_target(SHARPNESS, PEAK_LMAX)
    turns = edge_rotations(centres, 1)[1]  # carry a centre to y, around which the peak's points lie
    points = (peak.points @ turns).flatten(1, 2)
    probabilities = peak.probabilities.repeat(centres.shape[1]) / centres.shape[1]
    log_density = target_log_density(centres, points)
    return Target(centres, points, probabilities.expand(len(centres), -1), -(probabilities * log_density).sum(-1))


def target_log_density(centres: Tensor, points: Tensor) -> Tensor:
    """Return (..., n_points) log-density of the target with peaks at (..., n_centres, 3), at (..., n_points, 3)."""
    logits = delta_logits(points @ centres.mT, SHARPNESS, PEAK_LMAX)
    return logits.logsumexp(-1) - log_peak_norm() - math.log(centres.shape[-2])


@functools.cache
def log_peak_norm() -> float:
    """Return `log int exp(20 delta_5)` of one peak."""
    grid = sphere_grid(500, 1)  # the peak stands on the polar axis: one azimuth is enough
    return float((delta_logits(grid.points[:, 1], SHARPNESS, PEAK_LMAX) + grid.weights.log()).logsumexp(0))


def divergence(coefficients: Tensor, around: Tensor, target: Target, config: AngularConfig) -> Tensor:
    """Return (n_signals,) KL(q || p_c), nats.

    Args:
        coefficients: (n_signals, channels, n_harmonics).
        around: (n_signals, n_harmonics, n_points), harmonics at the target's points.
        target: q.
        config: the parametrisation of p_c.
    """
    logits = channel_logits(coefficients @ around, coefficients, config).logsumexp(-2)
    expected = (target.probabilities.to(logits) * logits).sum(-1)
    return log_partition(coefficients, config) - expected - target.entropy.to(logits)


def starts(n_rows: int, config: AngularConfig, lmax: int, rng: torch.Generator) -> Tensor:
    """Return (n_rows, channels, n_harmonics) random coefficients to start from.

    Squared logits start positive everywhere: a series that changes sign has its density's maximum all along the line
    where it vanishes, and descent hardly ever gets rid of such a line (with it, twice to three times the divergence is
    left).
    """
    coefficients = torch.randn(n_rows, config.channels, (lmax + 1) ** 2, generator=rng)
    if config.logits == "squared":
        coefficients *= 0.3
        coefficients[..., 0] += 4.0
    return coefficients


def fit(
    target: Target, lmax: int, config: AngularConfig, rng: torch.Generator, n_steps: int, n_starts: int = 1
) -> tuple[Tensor, Tensor]:
    """Minimise KL(q || p_c) over the coefficients of every signal; all are fitted at once.

    Args:
        target: q.
        lmax: highest degree of the harmonics.
        config: the parametrisation, with the number of channels.
        rng: draws the starts.
        n_steps: of `descend`.
        n_starts: of each signal; the best end counts, since several channels have local minima.

    Returns:
        (n_signals, channels, n_harmonics) coefficients and (n_signals,) divergences in nats.
    """
    n_signals = len(target.centres)
    repeated = Target(*(part.repeat(n_starts, *[1] * (part.dim() - 1)) for part in target))
    around = spherical_harmonics(repeated.points, lmax).mT.float()
    coefficients = starts(n_starts * n_signals, config, lmax, rng).requires_grad_()
    rate = 0.5 if config.logits == "harmonics" else 0.2
    descend(lambda: divergence(coefficients, around, repeated, config).sum(), coefficients, n_steps, rate)
    with torch.no_grad():
        reached = divergence(coefficients, around, repeated, config).view(n_starts, n_signals)
    ends = coefficients.detach().unflatten(0, (n_starts, n_signals))
    return ends[reached.argmin(0), torch.arange(n_signals)], reached.amin(0)


def descend(loss: Callable[[], Tensor], parameters: Tensor, n_steps: int, rate: float) -> None:
    """Minimise `loss()` by Adam over `parameters`, its rate falling to zero along half a cosine."""
    # A short memory of squared gradients: they fall by orders of magnitude on the way, and 0.999 would hold steps back.
    optimizer = torch.optim.Adam([parameters], lr=rate, betas=(0.9, 0.95))
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
