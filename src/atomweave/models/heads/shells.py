"""The published position head: 64 shells, each with its own density on the sphere, under one softmax.

`f_k(n) = log sum_ch exp( sum_lm c_ch,k,lm Y_lm(n) )` over radii r_k, and `p(k, n) = exp f_k(n) / sum_k int exp f_k`,
with no r^2: a discrete measure over k times the solid angle. The target is two nearest shells times a peak around the
true direction.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ...geometry.harmonics import spherical_harmonics
from ...geometry.rotations import edge_rotations
from ...geometry.sphere import grid_harmonics, peak_target, sphere_grid
from ..base import Temperatures
from ..embedders.equivariant import Features, Linear, normal_embedding
from .angular import (
    AngularConfig,
    channel_logits,
    draw_directions,
    draw_index,
    log_density,
    log_partition,
    tempered_grid_logits,
)


class ShellHeadConfig(Config):
    """The published head of the position: `radius: bins`."""

    radius: Literal["bins"] = "bins"
    n_radii: int = Field(64, ge=2, description="shells")
    minimum: float = Field(0.9, gt=0, description="radius of the first shell, Å")
    maximum: float = Field(2.0, gt=0, description="radius of the last shell, Å")
    radius_variance: float = Field(1e-5, gt=0, description="variance of the radial target, Å^2")
    target_inverse_temperature: float = Field(20.0, gt=0, description="sharpness of the angular target")
    target_lmax: int = Field(5, ge=0, le=100, description="degree at which the angular target's Dirac peak is cut")
    jitter: bool = Field(
        False, description="draw radii uniformly within their shell, so that draws follow log_prob; false as published"
    )
    angular: AngularConfig = AngularConfig()


class ShellHead(nn.Module):
    """Density of the position around the focus over shells and directions."""

    n_draws = 5

    def __init__(self, config: ShellHeadConfig, channels: int, lmax: int, n_species: int) -> None:
        super().__init__()
        self.config, self.lmax, self.channels = config, lmax, channels
        self.embedding = normal_embedding(n_species, channels * (lmax + 1))
        n_signals = config.angular.channels * config.n_radii
        self.linear = Linear([channels] * (lmax + 1), [n_signals] * (lmax + 1))
        self.spacing = (config.maximum - config.minimum) / (config.n_radii - 1)

    def radii(self, like: Tensor) -> Tensor:
        """Return (n_radii,) radii in Å, with the dtype and device of `like`."""
        config = self.config
        return torch.linspace(config.minimum, config.maximum, config.n_radii, dtype=like.dtype, device=like.device)

    def coefficients(self, features: Features, species: Tensor) -> Tensor:
        """Return (n_rows, n_radii, channels, n_harmonics) of focus features and target species (n_rows,)."""
        conditions = functional.embedding(species, self.embedding).split(self.channels, dim=-1)
        series = self.linear([x * condition for x, condition in zip(features, conditions, strict=True)])
        # Logits reach several tens: what follows stays in full precision under autocast.
        stacked = torch.cat(series).to(self.embedding.dtype).permute(1, 2, 0)  # (n_rows, signals, n_harmonics)
        return stacked.unflatten(1, (self.config.angular.channels, self.config.n_radii)).transpose(1, 2)

    def divergence(
        self, features: Features, species: Tensor, vectors: Tensor, rotation: Tensor | None
    ) -> dict[str, Tensor]:
        """Return {"position": (n_rows,)}, the KL divergence from the smoothed target, in nats.

        Args:
            features: at the focus, for each degree (2l + 1, n_rows, channels).
            species: (n_rows,) of the atom placed.
            vectors: (n_rows, 3) from focus to target, Å.
            rotation: turns the grid of log Z.
        """
        coefficients = self.coefficients(features, species)
        with torch.autocast(vectors.device.type, enabled=False):
            return {"position": self._divergence(coefficients, vectors, rotation)}

    def _divergence(self, coefficients: Tensor, vectors: Tensor, rotation: Tensor | None) -> Tensor:
        weights, nearest = self.radial_target(vectors)
        peak = peak_target(self.config.target_inverse_temperature, self.config.target_lmax)
        # The target's direction becomes y, around which the points are fixed.
        rotations = edge_rotations(vectors, self.lmax)
        chosen = coefficients.gather(1, nearest[:, :, None, None].expand(-1, -1, *coefficients.shape[2:]))
        turned = torch.cat(
            [
                torch.einsum("nkci,nji->nkcj", block, matrix)
                for block, matrix in zip(
                    chosen.split([2 * degree + 1 for degree in range(self.lmax + 1)], dim=-1), rotations, strict=True
                )
            ],
            dim=-1,
        )
        around = spherical_harmonics(peak.points, self.lmax).to(coefficients).T
        logits = channel_logits(turned @ around, turned, self.config.angular).logsumexp(2)  # (n_rows, 2, n_points)
        cross = -(weights[:, :, None] * logits * peak.probabilities.to(logits)).sum((1, 2))
        entropy = peak.entropy - torch.xlogy(weights, weights).sum(1)
        return cross + self.log_partition(coefficients, rotation).logsumexp(1) - entropy

    def radial_target(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and indices, (n_rows, 2) each, of the two shells that carry the target's distance.

        The target's width of 3 mÅ is a fifth of the spacing: a third shell would carry less than exp(-30).
        """
        misfit = (self.radii(vectors) - torch.linalg.vector_norm(vectors, dim=1, keepdim=True)).square()
        nearest_misfit, nearest = misfit.topk(2, dim=1, largest=False)
        return (-nearest_misfit / (2 * self.config.radius_variance)).softmax(1), nearest

    def log_partition(self, coefficients: Tensor, rotation: Tensor | None = None) -> Tensor:
        """Return (n_rows, n_radii) `log int exp f_k` of each shell."""
        return log_partition(coefficients, self.config.angular, rotation)

    def log_prob(self, features: Features, species: Tensor, vectors: Tensor) -> Tensor:
        """Return (n_rows,) log-density per Å^3 at `vectors` (n_rows, 3); a shell is one spacing thick."""
        coefficients = self.coefficients(features, species)
        return self._log_prob(coefficients, self.log_partition(coefficients), vectors)

    def _log_prob(self, coefficients: Tensor, log_partition_of_shells: Tensor, vectors: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(vectors, dim=1)
        shell = ((distance - self.config.minimum) / self.spacing).round().long()
        inside = (shell >= 0) & (shell < self.config.n_radii)
        chosen = coefficients[torch.arange(len(shell), device=shell.device), shell.clamp(0, self.config.n_radii - 1)]
        here = log_density(chosen, spherical_harmonics(vectors, self.lmax), self.config.angular)
        log_p = here - log_partition_of_shells.logsumexp(1)
        return (log_p - math.log(self.spacing) - 2 * distance.log()).masked_fill(~inside, -torch.inf)

    def draw(
        self, features: Features, species: Tensor, uniforms: Tensor, temperatures: Temperatures
    ) -> tuple[Tensor, Tensor]:
        """Draw vectors from the focus, by uniforms (n_rows, n_draws): radius first, then direction.

        Returns:
            (n_rows, 3) vectors, Å, and (n_rows,) their `log_prob`, which knows no temperature.
        """
        angular, temperature = self.config.angular, temperatures.position
        coefficients = self.coefficients(features, species)
        partition = self.log_partition(coefficients)
        if temperature == 1.0:
            radial = partition
        elif temperatures.tempering == "coefficients":
            radial = self.log_partition(coefficients / temperature)
        else:
            coarse = grid_harmonics(angular.n_polar, angular.n_azimuth, self.lmax).to(coefficients)
            weights = sphere_grid(angular.n_polar, angular.n_azimuth).weights.to(coefficients)
            logits = tempered_grid_logits(coefficients, coarse, angular, temperature, temperatures.tempering)
            radial = (logits + weights.log()).logsumexp(-1)
        shell = draw_index(radial.softmax(1), uniforms[:, 0])
        chosen = coefficients[torch.arange(len(shell), device=shell.device), shell]
        directions = draw_directions(chosen, angular, temperature, temperatures.tempering, uniforms[:, 1:4])
        distance = self.radii(coefficients)[shell]
        if self.config.jitter:
            distance = distance + ((uniforms[:, 4] - 0.5) * self.spacing).to(distance)
        vectors = directions * distance[:, None]
        return vectors, self._log_prob(coefficients, partition, vectors)
