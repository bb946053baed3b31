"""The density of a position around its focus: distance, then angle given distance, then torsion given both.

Each factor is constant within fine bins (`bins`), so that one evaluation gives the exact density per Å^3 and one draw
needs no iteration:

    log p(x) = log p_bin(d) - log(bin width) - 2 log d
             + log p_bin(theta | d) - log(cos(theta_low) - cos(theta_high))
             + log p_bin(phi | d, theta) - log(bin width)

Within a bin of theta the density is constant on the sphere, not in theta: the factor 1 / sin(theta) stands in the
difference of cosines, and atoms on the axis, as in alkynes, have a finite density. Where a fragment has no axis yet,
the direction is uniform (-log 4 pi); where it has no third atom, the torsion is (-log 2 pi); neither is taught then.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...config import Config
from ..precision import at_least_float32
from .bins import Bins, circle
from .torsion import Surroundings, TorsionSeries

N_RADIAL = 32
"""Gaussians on the distance that angle and torsion are conditioned on."""

N_HARMONICS = 8
"""Cosines and sines of the angle that the torsion is conditioned on."""


class InternalHeadConfig(Config):
    """Bins and networks of the density of a position."""

    minimum: float = Field(0.8, gt=0, description="Å; the density is zero below")
    maximum: float = Field(1.8, gt=0, description="Å; the density is zero above")
    n_distances: int = Field(125, ge=1, description="bins of the distance: 8 mÅ each by default")
    n_angles: int = Field(180, ge=1, description="bins of the polar angle, 0 to 180 degrees")
    n_torsions: int = Field(360, ge=1, description="bins of the torsion around the circle")
    smoothing: float = Field(0.7, ge=0, description="bins; targets are Gaussians of this width when teaching")
    width: int = Field(256, ge=1, description="hidden width of the three networks")
    n_harmonics: int = Field(16, ge=0, description="of the torsion's series around each placed atom; 0 goes without")
    series_width: int = Field(64, ge=1, description="hidden width of the network that makes these series")

    @model_validator(mode="after")
    def _ordered(self) -> InternalHeadConfig:
        if self.maximum <= self.minimum:
            raise ValueError(f"maximum {self.maximum} must exceed minimum {self.minimum}")
        return self


class InternalHead(nn.Module):
    """The three factors.

    Args:
        config: bins and widths.
        features: of a decision, on entry.
        pair_features: of a pair.
        n_labels: of atoms to place, their element with all that is said beside it.
        n_states: numbers that say in what state a placed atom is.
    """

    centres: Tensor

    def __init__(
        self, config: InternalHeadConfig, features: int, pair_features: int, n_labels: int, n_states: int
    ) -> None:
        super().__init__()
        self.config = config
        self.distances = Bins(config.minimum, config.maximum, config.n_distances)
        self.angles = Bins(0.0, math.pi, config.n_angles)
        self.torsions = circle(config.n_torsions)
        self.register_buffer("centres", torch.linspace(config.minimum, config.maximum, N_RADIAL), persistent=False)
        self.label = nn.Embedding(n_labels, features)
        self.trunk = nn.Sequential(nn.Linear(features, config.width), nn.SiLU(), nn.Linear(config.width, features))
        self.distance = _network(features, config.width, config.n_distances)
        self.angle = _network(features + N_RADIAL, config.width, config.n_angles)
        self.torsion = _network(features + N_RADIAL + 2 * N_HARMONICS, config.width, config.n_torsions)

        self.series = (
            TorsionSeries(features, pair_features, n_states, config.series_width, config.n_harmonics)
            if config.n_harmonics
            else None
        )

    def divergence(
        self,
        features: Tensor,
        label: Tensor,
        internal: tuple[Tensor, Tensor, Tensor],
        known: tuple[Tensor, Tensor],
        around: Surroundings | None,
    ) -> dict[str, Tensor]:
        """Return (n_rows,) cross entropies of the smoothed targets in nats, as negative log-densities per Å^3.

        Args:
            features: (n_rows, features) of the decisions.
            label: (n_rows,) of the atoms to place.
            internal: (n_rows,) distance in Å, cosine of the polar angle, torsion in radian.
            known: (n_rows,) bool, whether there is an axis, and a third atom.
            around: what the foci see; None where the head has no series.
        """
        d, theta, phi = _angles(internal)
        volumes = self._log_volumes(d, self.angles.index(theta))
        logits = self._logits(features, label, d, theta, around)
        distance, angle, torsion = (
            volumes[i] - (bins.targets(x, self.config.smoothing) * at_least_float32(logits[i]).log_softmax(-1)).sum(-1)
            for i, (bins, x) in enumerate(((self.distances, d), (self.angles, theta), (self.torsions, phi)))
        )
        return {
            "distance": distance,
            "angle": torch.where(known[0], angle, math.log(2)),
            "torsion": torch.where(known[1], torsion, math.log(2 * math.pi)),
        }

    def log_prob(
        self,
        features: Tensor,
        label: Tensor,
        internal: tuple[Tensor, Tensor, Tensor],
        known: tuple[Tensor, Tensor],
        around: Surroundings | None,
    ) -> Tensor:
        """Return (n_rows,) exact log-densities per Å^3; arguments as in `divergence`."""
        d, theta, phi = _angles(internal)
        logits = self._logits(features, label, d, theta, around)
        bins = self.distances.index(d), self.angles.index(theta), self.torsions.index(phi)
        return self._log_density(logits, bins, d, known).masked_fill(~self.distances.holds(d), -torch.inf)

    def draw(
        self,
        features: Tensor,
        label: Tensor,
        known: tuple[Tensor, Tensor],
        around: Surroundings | None,
        uniforms: Tensor,
        temperature: float,
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Draw one position a row; every factor's bins to the power 1 / temperature, given the factors before.

        Args:
            features: as in `divergence`.
            label: as in `divergence`.
            known: as in `divergence`.
            around: as in `divergence`.
            uniforms: (n_rows, 3) float64.
            temperature: 1 draws from the model's own density.

        Returns:
            Distance, cosine and torsion, (n_rows,) each; and (n_rows,) the log-density per Å^3 at temperature 1.
        """
        has_axis, has_third = known
        decisions = shared = self._shared(features, label)
        logits_d = self.distance(shared)
        bin_d, within = self.distances.draw(logits_d / temperature, uniforms[:, 0])
        d = (self.distances.low + (bin_d + within) * self.distances.width).to(features)

        shared = torch.cat([shared, self._radial(d)], -1)
        logits_theta = self.angle(shared)
        bin_theta, within = self.angles.draw(logits_theta / temperature, uniforms[:, 1])
        top, bottom = self._cosines(bin_theta)
        cosine = torch.where(has_axis, top + within * (bottom - top), 2 * uniforms[:, 1] - 1).clamp(-1, 1)
        theta = cosine.arccos().to(features)

        logits_phi = self._torsion_logits(decisions, shared, d, theta, around)
        bin_phi, within = self.torsions.draw(logits_phi / temperature, uniforms[:, 2])
        drawn = self.torsions.low + (bin_phi + within) * self.torsions.width
        phi = torch.where(has_third, drawn, (2 * uniforms[:, 2] - 1) * math.pi)
        log_p = self._log_density((logits_d, logits_theta, logits_phi), (bin_d, bin_theta, bin_phi), d, known)
        return (d, cosine.to(features), phi.to(features)), log_p

    def _log_density(
        self, logits: tuple[Tensor, ...], bins: tuple[Tensor, ...], d: Tensor, known: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return (n_rows,) log-densities per Å^3 of three bins each, at distance `d`."""
        volumes = self._log_volumes(d, bins[1])
        log_d, log_theta, log_phi = (
            logits[i].log_softmax(-1).gather(-1, bins[i][:, None])[:, 0] - volumes[i] for i in range(3)
        )
        log_theta = torch.where(known[0], log_theta, -math.log(2))
        return log_d + log_theta + torch.where(known[1], log_phi, -math.log(2 * math.pi))

    def _shared(self, features: Tensor, label: Tensor) -> Tensor:
        with_species = features + self.label(label)
        return with_species + self.trunk(with_species)

    def _logits(
        self, features: Tensor, label: Tensor, d: Tensor, theta: Tensor, around: Surroundings | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        shared = self._shared(features, label)
        with_d = torch.cat([shared, self._radial(d).to(shared.dtype)], -1)
        return self.distance(shared), self.angle(with_d), self._torsion_logits(shared, with_d, d, theta, around)

    def _torsion_logits(
        self, decisions: Tensor, with_d: Tensor, d: Tensor, theta: Tensor, around: Surroundings | None
    ) -> Tensor:
        logits = self.torsion(torch.cat([with_d, _harmonics(theta).to(with_d.dtype)], -1))
        if self.series is None or around is None:
            return logits
        edges = self.torsions.edges(d)
        return logits + self.series(decisions, around, d, theta, (edges[1:] + edges[:-1]) / 2)

    def _radial(self, d: Tensor) -> Tensor:
        spacing = (self.config.maximum - self.config.minimum) / (N_RADIAL - 1)
        return torch.exp(-0.5 * ((d[:, None] - self.centres) / spacing).square())

    def _log_volumes(self, d: Tensor, angle_bin: Tensor) -> tuple[Tensor, Tensor, float]:
        """Return the logarithms of what one bin holds of each coordinate; d in Å brings d^2."""
        top, bottom = self._cosines(angle_bin)
        return (
            2 * d.log() + math.log(self.distances.width),
            (top - bottom).log().to(d),
            math.log(self.torsions.width),
        )

    def _cosines(self, index: Tensor) -> tuple[Tensor, Tensor]:
        cosines = self.angles.edges(torch.empty(0, dtype=torch.float64, device=index.device)).cos()
        return cosines[index], cosines[index + 1]


def _network(features: int, width: int, out: int) -> nn.Sequential:
    last = nn.Linear(width, out)
    nn.init.zeros_(last.weight)  # an untrained density is uniform over the bins
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(features, width), nn.SiLU(), last)


def _angles(internal: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    d, cosine, phi = internal
    return d, cosine.arccos(), phi


def _harmonics(theta: Tensor) -> Tensor:
    orders = torch.arange(1, N_HARMONICS + 1, dtype=theta.dtype, device=theta.device)
    return torch.cat([(theta[:, None] * orders).cos(), (theta[:, None] * orders).sin()], -1)
