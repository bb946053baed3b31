"""Exact densities with several modes, in place of one Gaussian: of a distance, an angle and a torsion.

On an interval they are those of `radial`: a Gaussian mixture cut to the interval, or a spline. On the circle it is a
mixture of wrapped normal distributions, which has no seam, and whose draws are those of a normal distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ..precision import at_least_float32
from . import radial
from .circle import TURN, wrapped_log_density
from .radial import RadialConfig

CELLS = 1440
"""Of the circle, on which a tempered density is tabulated: a quarter of a degree each."""

ROWS_PER_BLOCK = 32
"""Rows tabulated at a time: a table of 12 components takes some 0.1 GB with all that it is made of."""


class MixtureConfig(Config):
    """A mixture of Gaussians, on an interval or around the circle."""

    kind: Literal["mixture"] = "mixture"
    n_components: int = Field(16, ge=1, description="Gaussians")
    smallest_width: float = Field(0.004, gt=0, description="least standard deviation, Å or radian")
    width: int = Field(128, ge=1, description="hidden width of the network that reads the condition")


class SplineConfig(Config):
    """A rational-quadratic spline on an interval."""

    kind: Literal["spline"] = "spline"
    n_components: int = Field(24, ge=1, description="bins")
    smallest_width: float = Field(0.004, gt=0, description="least width of a bin, Å or radian")
    width: int = Field(128, ge=1, description="hidden width of the network that reads the condition")


@dataclass(frozen=True)
class OnInterval:
    """Densities on an interval, one a row; zero outside."""

    parameters: Tensor  # (n_rows, n_parameters)
    config: RadialConfig

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density at x (n_rows,)."""
        return radial.log_density(self.parameters, x, self.config)

    def log_density_on_circle(self, x: Tensor) -> Tensor:
        """Return the log-density of an angle, whatever its turn: zero but between 0 and pi."""
        return self.log_density(torch.remainder(x + math.pi, TURN) - math.pi)

    def draw(self, uniforms: Tensor, temperature: float) -> Tensor:
        """Return (n_rows,) draws, float64, from the density to the power 1 / temperature."""
        return radial.draw(self.parameters, uniforms, self.config, temperature).double()


@dataclass(frozen=True)
class OnCircle:
    """Mixtures of wrapped normal distributions, one a row."""

    log_weights: Tensor  # (n_rows, n_components)
    means: Tensor  # (n_rows, n_components) radian
    log_stds: Tensor  # (n_rows, n_components) radian

    def log_density(self, x: Tensor) -> Tensor:
        """Return (n_rows, ...) log-density at x (n_rows, ...), per radian."""
        shape = (len(x), *[1] * (x.dim() - 1), self.means.shape[1])
        parts = wrapped_log_density(x[..., None], self.means.view(shape), self.log_stds.view(shape))
        return (self.log_weights.view(shape) + parts).logsumexp(-1)

    def log_density_on_circle(self, x: Tensor) -> Tensor:
        """Return the same: there is nothing else than the circle."""
        return self.log_density(x)

    def draw(self, uniforms: Tensor, temperature: float) -> Tensor:
        """Return (n_rows,) draws, float64, from the density to the power 1 / temperature.

        One number draws the component, and what is left of it the place in that component.
        """
        if temperature != 1.0:
            return self._draw_tempered(uniforms, temperature)
        component, within = _pick(self.log_weights.double().exp(), uniforms)
        mean, log_std = (x.double().gather(1, component[:, None])[:, 0] for x in (self.means, self.log_stds))
        return mean + log_std.exp() * torch.special.ndtri(within)

    def _draw_tempered(self, uniforms: Tensor, temperature: float) -> Tensor:
        middles = TURN * (torch.arange(CELLS, device=uniforms.device, dtype=torch.float64) + 0.5) / CELLS
        parts = (x.double().split(ROWS_PER_BLOCK) for x in (self.log_weights, self.means, self.log_stds))
        blocks = [OnCircle(*part) for part in zip(*parts, strict=True)]
        logits = torch.cat([x.log_density(middles.expand(len(x.means), -1)) for x in blocks])
        cell, within = _pick((logits / temperature).softmax(-1), uniforms)
        return TURN * (cell + within) / CELLS


class IntervalHead(nn.Module):
    """Condition -> density on an interval.

    Args:
        config: mixture or spline.
        n_condition: width of the condition.
        low: where the interval begins, Å or radian.
        high: where it ends.
    """

    def __init__(self, config: MixtureConfig | SplineConfig, n_condition: int, low: float, high: float) -> None:
        super().__init__()
        self.density = RadialConfig(
            kind=config.kind, n_components=config.n_components, smallest_width=config.smallest_width,
            minimum=low, maximum=high,
        )  # fmt: skip
        self.network = _network(n_condition, config.width, self.density.n_parameters)

    def forward(self, condition: Tensor) -> OnInterval:
        """Return the densities of conditions (n_rows, n_condition)."""
        return OnInterval(at_least_float32(self.network(condition)), self.density)


class CircleHead(nn.Module):
    """Condition -> density on the circle; untrained, the components stand evenly around it."""

    def __init__(self, config: MixtureConfig, n_condition: int) -> None:
        super().__init__()
        self.config = config
        self.network = _network(n_condition, config.width, 3 * config.n_components)

    def forward(self, condition: Tensor) -> OnCircle:
        """Return the densities of conditions (n_rows, n_condition)."""
        n = self.config.n_components
        logits, shifts, log_widths = at_least_float32(self.network(condition)).unflatten(1, (3, n)).unbind(1)
        spacing = TURN / n
        means = spacing * (torch.arange(n).to(shifts) + 0.5 + shifts)
        stds = self.config.smallest_width + spacing * functional.softplus(log_widths)
        return OnCircle(logits.log_softmax(-1), means, stds.log())


def _network(n_in: int, width: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, n_out))


def _pick(mass: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each uniform number (n_rows,) picks from float64 `mass` (n_rows, n), and what is left, in (0, 1)."""
    cumulative = mass.cumsum(1)
    wanted = uniforms.double()[:, None] * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, wanted, right=True)
    # Rounding may lead past the last entry of positive mass.
    found = torch.minimum(found, mass.shape[1] - 1 - (mass > 0).flip(1).to(torch.int8).argmax(1, keepdim=True))
    here = mass.gather(1, found)
    within = (wanted - cumulative.gather(1, found) + here) / here
    tiny = torch.finfo(torch.float64).eps
    return found[:, 0], within[:, 0].clamp(tiny, 1 - tiny)
