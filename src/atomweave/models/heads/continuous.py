"""Position head with a continuous radius: `p(r | focus) p(n | r, focus)`, both exact densities.

Bond lengths are no longer quantised, and the density on the sphere is needed at one radius only: 64 times less work
than 64 shells. The coefficients at radius r are a linear map of the focus features, multiplied by the species'
embedding and by a network of Bessel functions of r.
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
from ...geometry.radial import bessel_basis
from ...geometry.rotations import edge_rotations
from ...geometry.sphere import peak_target
from ..base import Temperatures
from ..embedders.equivariant import Features, Linear, Network, normal_embedding
from . import radial
from .angular import AngularConfig, channel_logits, draw_directions, log_density, log_partition
from .radial import RadialConfig


class ContinuousHeadConfig(Config):
    """A continuous radius and a direction given it: `radius: mixture` or `radius: spline`."""

    radius: Literal["mixture", "spline"] = "mixture"
    n_components: int = Field(24, ge=1, description="Gaussians of the mixture, or bins of the spline")
    minimum: float = Field(0.85, gt=0, description="Å; the density is zero below")
    maximum: float = Field(2.05, gt=0, description="Å; the density is zero above")
    smallest_width: float = Field(0.002, gt=0, description="Å; least standard deviation, or least bin width")
    width: int = Field(128, ge=1, description="width of the radial and angular networks' hidden layer")
    n_radial: int = Field(8, ge=1, description="Bessel functions of the radius that condition the direction")
    target_inverse_temperature: float | None = Field(
        None, gt=0, description="sharpness of the angular target; null teaches the direction itself, unsmoothed"
    )
    target_lmax: int = Field(5, ge=0, le=100, description="degree at which the angular target's Dirac peak is cut")
    angular: AngularConfig = AngularConfig()

    def radial_config(self) -> RadialConfig:
        """Return the configuration of the radial density."""
        return RadialConfig(
            kind=self.radius,
            n_components=self.n_components,
            minimum=self.minimum,
            maximum=self.maximum,
            smallest_width=self.smallest_width,
        )


class ContinuousHead(nn.Module):
    """Density of the position around the focus: bond length, then direction."""

    n_draws = 4

    def __init__(self, config: ContinuousHeadConfig, channels: int, lmax: int, n_species: int) -> None:
        super().__init__()
        self.config, self.lmax, self.channels = config, lmax, channels
        self.radial_config = config.radial_config()
        self.embedding = normal_embedding(n_species, channels * (lmax + 2))
        self.radial_network = Network([channels, config.width, config.width, self.radial_config.n_parameters], "silu")
        self.radius_network = Network([config.n_radial, config.width, channels * (lmax + 1)], "silu")
        self.linear = Linear([channels] * (lmax + 1), [config.angular.channels] * (lmax + 1))

    def radial_parameters(self, features: Features, species: Tensor) -> Tensor:
        """Return (n_rows, n_parameters) of the density of the bond length."""
        return self.radial_network(features[0][0] * functional.embedding(species, self.embedding)[:, : self.channels])

    def coefficients(self, features: Features, species: Tensor, distances: Tensor) -> Tensor:
        """Return (n_rows, channels, n_harmonics) at `distances` (n_rows,)."""
        conditions = functional.embedding(species, self.embedding)[:, self.channels :].split(self.channels, dim=-1)
        basis = bessel_basis(distances, self.config.n_radial, 1.5 * self.config.maximum)
        gates = self.radius_network(basis).split(self.channels, dim=-1)
        terms = [x * condition * gate for x, condition, gate in zip(features, conditions, gates, strict=True)]
        # Logits reach several tens: what follows stays in full precision under autocast.
        return torch.cat(self.linear(terms)).to(self.embedding.dtype).permute(1, 2, 0)

    def divergence(
        self, features: Features, species: Tensor, vectors: Tensor, rotation: Tensor | None
    ) -> dict[str, Tensor]:
        """Return "position" and its two terms "radius" and "direction", (n_rows,) nats each.

        "radius" is the negative log-density per Å; "direction" the KL divergence from the smoothed target, or the
        negative log-density on the sphere where the target is not smoothed. Arguments as in `ShellHead.divergence`.

        A peak between the points of the teaching grid is missed by log Z, and teaching would sharpen it without bound.
        So while the grid is turned at random, which is while teaching, the unsmoothed target is one more point of the
        quadrature, with the weight of a drawing cell: no direction is taught to a density above one in a cell. At the
        sharpness of the published target that adds 1.5 % to Z.
        """
        distances = torch.linalg.vector_norm(vectors, dim=1)
        length = -radial.log_density(self.radial_parameters(features, species), distances, self.radial_config)
        coefficients = self.coefficients(features, species, distances)
        with torch.autocast(vectors.device.type, enabled=False):
            log_z = log_partition(coefficients, self.config.angular, rotation)
            if self.config.target_inverse_temperature is None:
                harmonics = spherical_harmonics(vectors, self.lmax)
                here = log_density(coefficients, harmonics, self.config.angular)
                if rotation is not None:
                    log_z = torch.logaddexp(log_z, here + self._log_cell())
                direction = log_z - here
            else:
                direction = log_z - self._expected_logits(coefficients, vectors)
        return {"position": length + direction, "radius": length, "direction": direction}

    def _log_cell(self) -> float:
        angular = self.config.angular
        return math.log(4 * math.pi / (angular.n_polar_drawing * angular.n_azimuth_drawing))

    def _expected_logits(self, coefficients: Tensor, vectors: Tensor) -> Tensor:
        """Return (n_rows,) mean logits under the smoothed target, plus its entropy."""
        peak = peak_target(self.config.target_inverse_temperature, self.config.target_lmax)
        rotations = edge_rotations(vectors, self.lmax)
        blocks = coefficients.split([2 * degree + 1 for degree in range(self.lmax + 1)], dim=-1)
        turned = torch.cat([block @ matrix.mT for block, matrix in zip(blocks, rotations, strict=True)], dim=-1)
        around = spherical_harmonics(peak.points, self.lmax).to(coefficients).T
        logits = channel_logits(turned @ around, turned, self.config.angular).logsumexp(1)
        return logits @ peak.probabilities.to(logits) + peak.entropy

    def log_prob(self, features: Features, species: Tensor, vectors: Tensor) -> Tensor:
        """Return (n_rows,) log-density per Å^3 at `vectors` (n_rows, 3)."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        coefficients = self.coefficients(features, species, distances)
        return self._log_prob(self.radial_parameters(features, species), coefficients, distances, vectors)

    def _log_prob(self, parameters: Tensor, coefficients: Tensor, distances: Tensor, vectors: Tensor) -> Tensor:
        length = radial.log_density(parameters, distances, self.radial_config)
        direction = log_density(coefficients, spherical_harmonics(vectors, self.lmax), self.config.angular)
        return length + direction - log_partition(coefficients, self.config.angular) - 2 * distances.log()

    def draw(
        self, features: Features, species: Tensor, uniforms: Tensor, temperatures: Temperatures
    ) -> tuple[Tensor, Tensor]:
        """Draw vectors from the focus, by uniforms (n_rows, n_draws): length first, then direction.

        A temperature acts on each of the two densities.

        Returns:
            (n_rows, 3) vectors, Å, and (n_rows,) their `log_prob`, which knows no temperature.
        """
        temperature = temperatures.position
        parameters = self.radial_parameters(features, species)
        distances = radial.draw(parameters, uniforms[:, 0], self.radial_config, temperature).to(parameters)
        coefficients = self.coefficients(features, species, distances)
        directions = draw_directions(
            coefficients, self.config.angular, temperature, temperatures.tempering, uniforms[:, 1:4]
        )
        vectors = directions * distances[:, None]
        return vectors, self._log_prob(parameters, coefficients, distances, vectors)
