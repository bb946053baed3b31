"""Radial bases and cutoffs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

N_LOG_GAUSSIANS = 24
"""Of `log_gaussians`."""

_LOG_RANGE = (0.5, 2.6)
"""Of log(1 + d), d in Å: from 0.65 to 12.5 Å."""


def gaussian_basis(distances: Tensor, n_basis: int, cutoff: float) -> Tensor:
    """Return (..., n_basis) Gaussians on centres between 0 and `cutoff` (Å), both left out, one spacing wide.

    The factor 1/1.12 gives the basis about unit square sum; as in the authors' E3SchNet.
    """
    spacing = cutoff / (n_basis + 1)
    centres = torch.arange(1, n_basis + 1, dtype=distances.dtype, device=distances.device) * spacing
    return torch.exp(-(((distances[..., None] - centres) / spacing) ** 2)) / 1.12


def cosine_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """Return (...) `(cos(pi d / cutoff) + 1) / 2`, zero beyond `cutoff` (Å)."""
    return 0.5 * (torch.cos(math.pi * distances / cutoff) + 1) * (distances < cutoff)


def bessel_basis(distances: Tensor, n_basis: int, cutoff: float) -> Tensor:
    """Return (..., n_basis) `sqrt(2) sin(n pi x) / x`, x = d / cutoff (Gasteiger et al. 2020, e3nn's scale)."""
    x = (distances / cutoff)[..., None]
    order = torch.arange(1, n_basis + 1, dtype=distances.dtype, device=distances.device)
    return math.sqrt(2) * math.pi * order * torch.sinc(order * x)


def polynomial_envelope(distances: Tensor, cutoff: float) -> Tensor:
    """Return (...) `1 - 28 x^6 + 48 x^7 - 21 x^8`, x = d / cutoff, zero beyond (Gasteiger et al. 2020, p = 6)."""
    x = (distances / cutoff).clamp(max=1.0)
    return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8


def gaussian(x: Tensor) -> Tensor:
    """Return exp(-x^2 / 2), for x that may be large.

    As a power of two: where it underflows, as most of a basis of narrow Gaussians does, `torch.exp` takes nine times as
    long on a CPU (torch 2.13).
    """
    return torch.exp2((-0.5 / math.log(2)) * x.square())


def log_gaussians(distances: Tensor) -> Tensor:
    """Return (..., N_LOG_GAUSSIANS) Gaussians on log(1 + d), d in Å: 0.2 Å apart at bond lengths, 1 Å at 10 Å."""
    low, high = _LOG_RANGE
    spacing = (high - low) / (N_LOG_GAUSSIANS - 1)
    centres = torch.linspace(low, high, N_LOG_GAUSSIANS, dtype=distances.dtype, device=distances.device)
    return gaussian((distances.log1p()[..., None] - centres) / spacing)
