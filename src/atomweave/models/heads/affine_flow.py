"""A normalising flow of conditional affine layers (Luo and Ji, ICLR 2022, equations 1 and 9), and what it amounts to.

Layer l maps data to latent by x <- (x + t_l) exp(s_l), where s_l = exp(w_l) tanh(.) and t_l come from a network of the
condition alone. With z ~ N(0, 1) and log |det J| = sum_l s_l the log-density of x is exact (equation 1). As neither s_l
nor t_l reads x, and no layer mixes dimensions, six layers are one affine map, and x is Gaussian given the condition:

    sigma = exp(- sum_l s_l),    mu = - sum_l t_l exp(- sum_{m<l} s_m)

`AffineFlow.layers` with `to_latent` and `from_latent` is the flow as printed, `AffineFlow.forward` the Gaussian, which
is what teaching and growing use. What the layers buy is range: |s_l| < 1 at w_l = 0, and C-H bonds need
log sigma = -5.

The temperature of a published draw is the standard deviation of z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ...config import Config
from ..precision import at_least_float32
from .circle import wrapped_log_density

HALF_LOG_TURN = 0.5 * math.log(2 * math.pi)


class AffineFlowConfig(Config):
    """Conditional affine layers: one Gaussian."""

    kind: Literal["affine"] = "affine"
    n_layers: int = Field(6, ge=1, le=1000, description="affine layers; together they are one Gaussian")
    width: int = Field(128, ge=1, description="hidden width of each layer's network")


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions, one a row and dimension."""

    mean: Tensor  # (..., n_dimensions) or (n_rows,)
    log_std: Tensor  # the same

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density at x, entry by entry; before they are squared, differences are scaled."""
        z = (x - self.mean) * (-self.log_std).exp()
        return -0.5 * z.square() - self.log_std - HALF_LOG_TURN

    def log_density_on_circle(self, x: Tensor) -> Tensor:
        """Return log sum_k of the density at x + 2 pi k: what is drawn is an angle, whatever its turn."""
        return wrapped_log_density(x, self.mean, self.log_std)

    def draw(self, uniforms: Tensor, temperature: float) -> Tensor:
        """Return draws in float64, of the shape of `uniforms`; the standard deviations times the temperature."""
        z = temperature * torch.special.ndtri(uniforms.double())
        return self.mean.double() + self.log_std.double().exp() * z


class AffineFlow(nn.Module):
    """Conditional affine layers; see the module's docstring.

    Args:
        config: depth and width.
        n_condition: width of the condition.
        n_dimensions: of what is described; each is on its own.
    """

    def __init__(self, config: AffineFlowConfig, n_condition: int, n_dimensions: int = 1) -> None:
        super().__init__()
        n_layers, width = config.n_layers, config.width
        self.shape = n_layers, width, n_dimensions
        self.hidden = nn.Linear(n_condition, n_layers * width)  # the first matrices of all layers' networks
        for rows in self.hidden.weight.detach().split(width):
            nn.init.xavier_uniform_(rows)
        nn.init.zeros_(self.hidden.bias)
        # Next to nothing, so that the flow begins as the identity.
        self.weight = nn.Parameter(torch.full((n_layers, 2 * n_dimensions, width), 1e-10))
        self.bias = nn.Parameter(torch.zeros(n_layers, 2 * n_dimensions))
        self.log_range = nn.Parameter(torch.zeros(n_layers))

    def layers(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return s and t of all layers, (n_rows, n_layers, n_dimensions) each, of conditions (n_rows, n_condition)."""
        n_layers, width, n_dimensions = self.shape
        hidden = at_least_float32(self.hidden(condition)).tanh().view(-1, n_layers, width)
        with torch.autocast(condition.device.type, enabled=False):
            raw = torch.einsum("nlw,ldw->nld", hidden, self.weight) + self.bias
        raw_scale, shift = raw.split(n_dimensions, -1)
        return self.log_range.exp()[:, None] * raw_scale.tanh(), shift

    def forward(self, condition: Tensor) -> Gaussian:
        """Return what the layers amount to; (n_rows, n_dimensions), or (n_rows,) of a single dimension."""
        scale, shift = self.layers(condition)
        after = scale.cumsum(1)
        mean, log_std = -(shift * (scale - after).exp()).sum(1), -after[:, -1]
        return Gaussian(mean[:, 0], log_std[:, 0]) if self.shape[2] == 1 else Gaussian(mean, log_std)


def to_latent(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return z (n_rows, n_dimensions) of data x, layer by layer, and log |dz/dx|, the same shape.

    Args:
        x: (n_rows, n_dimensions).
        scale: (n_rows, n_layers, n_dimensions), s of `AffineFlow.layers`.
        shift: the same, t.
    """
    for s, t in zip(scale.unbind(1), shift.unbind(1), strict=True):
        x = (x + t) * s.exp()
    return x, scale.sum(1)


def from_latent(z: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return the data that `to_latent` maps to z; arguments as there."""
    for s, t in zip(reversed(scale.unbind(1)), reversed(shift.unbind(1)), strict=True):
        z = z * (-s).exp() - t
    return z
