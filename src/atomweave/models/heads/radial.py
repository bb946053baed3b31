"""Exact densities of a bond length on an interval: a Gaussian mixture or a rational-quadratic spline.

Both map r to its cumulative probability in closed form, so that densities are exact and draws invert the same function.
The mixture (Symphony's equation 2.4, after Simm et al.) is cut to the interval and normalised there; the spline is
Durkan et al. 2019, with a uniform base.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from ...config import Config

BISECTIONS = 30
"""Halvings of a 1.2 Å interval that leave less than 1e-8 Å, below float32's own resolution."""

TEMPERING_POINTS = 2401
"""Points on the interval on which a tempered density is tabulated: 0.5 mÅ apart on the default interval."""

ROWS_PER_BLOCK = 256
"""Rows tabulated at a time: a table of 24 components takes 0.1 GB."""


class RadialConfig(Config):
    """A density of the bond length."""

    kind: Literal["mixture", "spline"] = Field("mixture", description="Gaussian mixture or rational-quadratic spline")
    n_components: int = Field(24, ge=1, description="Gaussians, or bins of the spline")
    minimum: float = Field(0.85, ge=0, description="Å; the density is zero below")
    maximum: float = Field(2.05, gt=0, description="Å; the density is zero above")
    smallest_width: float = Field(0.002, gt=0, description="Å; least standard deviation, or least bin width and height")

    @model_validator(mode="after")
    def _ordered(self) -> RadialConfig:
        if self.maximum <= self.minimum:
            raise ValueError(f"maximum {self.maximum} must exceed minimum {self.minimum}")
        if self.kind == "spline" and self.n_components * self.smallest_width >= self.maximum - self.minimum:
            raise ValueError("n_components * smallest_width must be less than maximum - minimum")
        return self

    @property
    def n_parameters(self) -> int:
        """Numbers that describe one density."""
        return 3 * self.n_components + (1 if self.kind == "spline" else 0)


def log_density(parameters: Tensor, r: Tensor, config: RadialConfig) -> Tensor:
    """Return (...) log-density per Å at `r` (...), -inf outside the interval; parameters are (..., n_parameters)."""
    inside = (r > config.minimum) & (r < config.maximum)
    clamped = r.clamp(config.minimum, config.maximum)
    if config.kind == "mixture":
        log_weights, means, widths = _mixture(parameters, config)
        z = (clamped[..., None] - means) / widths
        density = (log_weights - 0.5 * z.square() - widths.log() - 0.5 * math.log(2 * math.pi)).logsumexp(-1)
    else:
        density = _spline(parameters, clamped, config)[1].log()
    return density.masked_fill(~inside, -torch.inf)


def cumulative(parameters: Tensor, r: Tensor, config: RadialConfig) -> Tensor:
    """Return (...) the probability of a bond shorter than `r` (...)."""
    clamped = r.clamp(config.minimum, config.maximum)
    if config.kind == "mixture":
        log_weights, means, widths = _mixture(parameters, config)
        below = torch.special.ndtr((config.minimum - means) / widths)
        return (log_weights.exp() * (torch.special.ndtr((clamped[..., None] - means) / widths) - below)).sum(-1)
    return _spline(parameters, clamped, config)[0]


def draw(parameters: Tensor, uniforms: Tensor, config: RadialConfig, temperature: float) -> Tensor:
    """Draw one bond length a row: (n_rows, n_parameters) and (n_rows,) in, (n_rows,) Å out."""
    if temperature != 1.0:
        return _draw_tempered(parameters, uniforms, config, temperature)
    parameters, uniforms = parameters.double(), uniforms.double()
    low = torch.full_like(uniforms, config.minimum)
    high = torch.full_like(uniforms, config.maximum)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = cumulative(parameters, middle, config) < uniforms
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def _draw_tempered(parameters: Tensor, uniforms: Tensor, config: RadialConfig, temperature: float) -> Tensor:
    parts = zip(parameters.double().split(ROWS_PER_BLOCK), uniforms.double().split(ROWS_PER_BLOCK), strict=True)
    return torch.cat([_draw_from_table(block, u, config, temperature) for block, u in parts])


def _draw_from_table(parameters: Tensor, uniforms: Tensor, config: RadialConfig, temperature: float) -> Tensor:
    r = torch.linspace(config.minimum, config.maximum, TEMPERING_POINTS, dtype=torch.float64, device=parameters.device)
    middles = (r[1:] + r[:-1]) / 2
    logits = log_density(parameters[:, None], middles.expand(len(parameters), -1), config) / temperature
    mass = logits.softmax(-1)
    edges = functional.pad(mass.cumsum(-1), (1, 0))
    wanted = uniforms[:, None] * edges[:, -1:]
    cell = (torch.searchsorted(edges, wanted, right=True) - 1).clamp(0, len(middles) - 1)
    within = (wanted - edges.gather(1, cell)) / mass.gather(1, cell)
    return (r[cell] + within.clamp(0, 1) * (r[1] - r[0]))[:, 0]


def _mixture(parameters: Tensor, config: RadialConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-weights (normalised on the interval), means (Å) and widths (Å), each (..., n_components)."""
    logits, shifts, log_widths = parameters.unflatten(-1, (3, config.n_components)).unbind(-2)
    span = config.maximum - config.minimum
    # Untrained means are spread over the interval, about one spacing wide.
    centres = config.minimum + span * (torch.arange(config.n_components).to(parameters) + 0.5) / config.n_components
    spacing = span / config.n_components
    means = centres + spacing * shifts
    widths = config.smallest_width + spacing * functional.softplus(log_widths)
    inside = torch.special.ndtr((config.maximum - means) / widths) - torch.special.ndtr(
        (config.minimum - means) / widths
    )
    log_norm = (logits.softmax(-1) * inside).sum(-1, keepdim=True).clamp(min=1e-12).log()
    return logits.log_softmax(-1) - log_norm, means, widths


def _spline(parameters: Tensor, r: Tensor, config: RadialConfig) -> tuple[Tensor, Tensor]:
    """Return the cumulative probability and its derivative (per Å) at `r` within the interval."""
    n, span = config.n_components, config.maximum - config.minimum
    shape = torch.broadcast_shapes(parameters.shape[:-1], r.shape)
    r = r.expand(shape)
    width_logits, height_logits, slope_logits = parameters.split([n, n, n + 1], dim=-1)
    least = config.smallest_width / span
    widths = (least + (1 - n * least) * width_logits.softmax(-1)) * span
    heights = least + (1 - n * least) * height_logits.softmax(-1)
    # Untrained, all slopes are 1 / span: the uniform density.
    slopes = (1e-4 + functional.softplus(slope_logits + math.log(math.e - 1))) / span
    knots = functional.pad(widths.cumsum(-1), (1, 0)) + config.minimum
    levels = functional.pad(heights.cumsum(-1), (1, 0))
    position = ((r[..., None] >= knots).sum(-1, keepdim=True) - 1).clamp(0, n - 1)

    def pick(values: Tensor, index: Tensor) -> Tensor:
        return values.expand(*shape, -1).gather(-1, index)[..., 0]

    width, height = pick(widths, position), pick(heights, position)
    left, right = pick(slopes, position), pick(slopes, position + 1)
    x = ((r - pick(knots, position)) / width).clamp(0, 1)
    chord = height / width
    denominator = chord + (left + right - 2 * chord) * x * (1 - x)
    level = pick(levels, position) + height * (chord * x**2 + left * x * (1 - x)) / denominator
    numerator = right * x**2 + 2 * chord * x * (1 - x) + left * (1 - x) ** 2
    return level, chord**2 * numerator / denominator**2
