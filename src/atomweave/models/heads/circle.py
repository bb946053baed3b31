"""Densities on the circle: a normal distribution wrapped around it, and mixtures of such."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TURN = 2 * math.pi

N_TURNS = 2
"""Turns to either side that are summed where the density is narrower than `WIDE`."""

WIDE = 1.5
"""Standard deviation (radian) from which on the density is summed as a Fourier series, of `N_HARMONICS` terms. What
either sum leaves out is below 1e-15."""

N_HARMONICS = 5


def wrapped_log_density(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return log sum_k N(x + 2 pi k; mean, std), per radian: exact for any width.

    Args:
        x: radian; the three broadcast.
        mean: radian.
        log_std: logarithm of the standard deviation, radian.
    """
    offset = torch.remainder(x - mean + math.pi, TURN) - math.pi
    turns = TURN * torch.arange(-N_TURNS, N_TURNS + 1).to(offset)
    # Each branch is kept where it is accurate, so that the gradient of the other is finite too.
    narrow = log_std.clamp(max=math.log(WIDE))[..., None]
    z = (offset[..., None] + turns) * (-narrow).exp()
    summed = (-0.5 * z.square()).logsumexp(-1) - narrow[..., 0] - 0.5 * math.log(TURN)
    variance = (2 * log_std.clamp(min=math.log(WIDE), max=math.log(100 * WIDE))).exp()
    n = torch.arange(1, N_HARMONICS + 1).to(offset)
    series = 2 * ((-0.5 * n.square() * variance[..., None]).exp() * (n * offset[..., None]).cos()).sum(-1)
    return torch.where(log_std > math.log(WIDE), torch.log1p(series) - math.log(TURN), summed)
