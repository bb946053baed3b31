"""Which element comes next: by a flow on dequantised types, as published, or by a softmax.

Published (Luo and Ji, ICLR 2022, section 3.4): the one-hot vector of the type gets uniform noise in [0, c), the flow
describes the result, and the largest of drawn numbers is the type. As the flow is a Gaussian with independent
dimensions, the probability of a type has one integral left,

    P(k) = int N(x; mu_k, sigma_k) prod_{j != k} Phi((x - mu_j) / sigma_j) dx

which Gauss-Legendre quadrature on panels around all means gives to ten digits.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ..precision import at_least_float32
from .affine_flow import HALF_LOG_TURN, AffineFlow, AffineFlowConfig, Gaussian
from .angular import draw_index

SPREADS = (0.0, 2.0, 4.0, 7.0, 12.0)
"""Standard deviations to either side of each mean at which panels of the quadrature end."""

NODES = 8
"""Gauss-Legendre nodes a panel; together they miss 2e-11 of a probability, and 4e-7 of its logarithm down to e^-20."""


class DequantisedConfig(AffineFlowConfig):
    """The type as the largest of Gaussian numbers."""

    kind: Literal["dequantised"] = "dequantised"  # type: ignore[assignment]
    noise: float = Field(
        0.9, gt=0, le=1, description="uniform noise on the one-hot type is below this; the paper has 1"
    )


class SoftmaxConfig(Config):
    """The type by logits."""

    kind: Literal["softmax"] = "softmax"
    width: int = Field(128, ge=1, description="hidden width of the network that reads the condition")


class DequantisedType(nn.Module):
    """Condition -> type, through a flow on noisy one-hot vectors; see the module's docstring."""

    def __init__(self, config: DequantisedConfig, n_condition: int, n_species: int) -> None:
        super().__init__()
        self.noise, self.n_draws = config.noise, n_species
        self.numbers_per_row = n_species  # what the published mean is taken over
        self.flow = AffineFlow(config, n_condition, n_species)

    def divergence(self, condition: Tensor, species: Tensor, noise: Tensor | None) -> Tensor:
        """Return (n_rows,) the negative log-density of the noisy types, nats; without noise its mean over the noise.

        Args:
            condition: (n_rows, n_condition).
            species: (n_rows,).
            noise: (n_rows, n_species) uniform numbers.
        """
        gaussian = self.flow(condition)
        plain = functional.one_hot(species, self.n_draws).to(gaussian.mean)
        if noise is not None:
            return -gaussian.log_density(plain + self.noise * noise.to(plain)).sum(1)
        square = (plain + self.noise / 2 - gaussian.mean).square() + self.noise**2 / 12
        return (0.5 * square * (-2 * gaussian.log_std).exp() + gaussian.log_std + HALF_LOG_TURN).sum(1)

    def log_probs(self, condition: Tensor) -> Tensor:
        """Return (n_rows, n_species) log-probabilities that each type is the one drawn."""
        gaussian = self.flow(condition)
        return argmax_log_probs(gaussian).to(gaussian.mean)

    def draw(self, condition: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        """Return (n_rows,) types, by uniforms (n_rows, n_draws); the temperature is the latent standard deviation."""
        return self.flow(condition).draw(uniforms, temperature).argmax(1)


class SoftmaxType(nn.Module):
    """Condition -> type, by logits."""

    n_draws = 1
    numbers_per_row = 1

    def __init__(self, config: SoftmaxConfig, n_condition: int, n_species: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(n_condition, config.width), nn.SiLU(), nn.Linear(config.width, n_species)
        )

    def divergence(self, condition: Tensor, species: Tensor, noise: Tensor | None) -> Tensor:
        """Return (n_rows,) cross entropies, nats; there is no noise."""
        return -self.log_probs(condition).gather(1, species[:, None])[:, 0]

    def log_probs(self, condition: Tensor) -> Tensor:
        """Return (n_rows, n_species) log-probabilities."""
        return at_least_float32(self.network(condition)).log_softmax(1)

    def draw(self, condition: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        """Return (n_rows,) types, by uniforms (n_rows, 1); the temperature divides the logits."""
        return draw_index((self.log_probs(condition) / temperature).softmax(1), uniforms[:, 0])


def argmax_log_probs(gaussian: Gaussian) -> Tensor:
    """Return (n_rows, n_dimensions) log-probabilities, float64, that each dimension is the largest."""
    mean, std = gaussian.mean.double(), gaussian.log_std.double().exp()
    spreads = mean.new_tensor([*(-x for x in SPREADS[:0:-1]), *SPREADS])
    ends = (mean[:, :, None] + std[:, :, None] * spreads).flatten(1).sort(1).values
    at, log_weights = _nodes(mean.device)
    length = ends.diff(dim=1)
    x = (ends[:, :-1, None] + length[:, :, None] * at).flatten(1)
    # Panels of no length count for nothing.
    weights = (length.clamp(min=1e-300).log()[:, :, None] + log_weights).flatten(1)
    z = (x[:, :, None] - mean[:, None]) / std[:, None]
    below = torch.special.log_ndtr(z)
    others = below.sum(2, keepdim=True) - below
    here = -0.5 * z.square() - std.log()[:, None] - 0.5 * math.log(2 * math.pi)
    return (here + others + weights[:, :, None]).logsumexp(1)


@lru_cache(maxsize=4)
def _nodes(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (NODES,) nodes in (0, 1) and logarithms of their weights, which sum to 1."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    return torch.from_numpy((1 + x) / 2).to(device), torch.from_numpy(w / 2).log().to(device)
