"""The density of a position around its focus: distance, then angle given distance, then torsion given both.

Each factor is constant within fine bins (`bins`), so that one evaluation gives the exact density per Å^3 and one draw
needs no iteration:

    log p(x) = log p_bin(d) - log(bin width) - 2 log d
             + log p_bin(theta | d) - log(cos(theta_low) - cos(theta_high))
             + log p_bin(phi | d, theta) - log(bin width)

Where a ring closes (`closure`), the distance to the second neighbour takes the place of the polar angle, which is then
measured from the axis towards that atom: d, the distance between focus and second neighbour and that distance make a
triangle. Its bins are those of the distance; what no triangle can reach has no density.

Within a bin of theta the density is constant on the sphere, not in theta: the factor 1 / sin(theta) stands in the
difference of cosines, and atoms on the axis, as in alkynes, have a finite density. Where a fragment has no axis yet,
the direction is uniform (-log 4 pi); where it has no third atom, the torsion is (-log 2 pi); neither is taught then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...config import Config
from ...geometry.radial import gaussian
from ..precision import at_least_float32
from .bins import Bins, circle
from .closure import Closure
from .torsion import OCCUPIED, Surroundings, TorsionSeries, occupied

N_RADIAL = 32
"""Gaussians on the distance that angle and torsion are conditioned on."""

SMALLEST = 1e-4
"""Å of slack that a triangle must have to be one."""

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


@dataclass(frozen=True)
class Triangle:
    """Focus, new atom and second neighbour, for all bins of the distance between the last two."""

    d: Tensor  # (n_rows,) Å, focus to new atom
    base: Tensor  # (n_rows,) Å, focus to second neighbour
    cosines: Tensor  # (n_rows, n + 1) of the angle at the focus, at the edges of the bins; falling
    possible: Tensor  # (n_rows, n) bool, whether a triangle has its third side in the bin
    log_volumes: Tensor  # (n_rows, n) of what is possible within a bin, in the cosine

    @classmethod
    def of(cls, d: Tensor, base: Tensor, bins: Bins) -> Triangle:
        """Return the triangles of distances (n_rows,), with the third side in `bins`."""
        d, base = d.double(), base.double()  # differences of squares, and edges that must meet
        squares = d.square() + base.square()
        cosines = (squares[:, None] - bins.edges(d).square()) / (2 * d * base)[:, None]
        cosines = cosines.clamp(-1, 1)
        volumes = cosines[:, :-1] - cosines[:, 1:]
        return cls(d, base, cosines, volumes > 0, volumes.clamp(min=1e-12).log())

    def opposite(self, cosine: Tensor) -> Tensor:
        """Return the third side (n_rows,), Å, where the angle at the focus has this cosine."""
        square = self.d.square() + self.base.square() - 2 * self.d * self.base * cosine.double()
        return square.clamp(min=0).sqrt()

    def log_density(self, logits: Tensor, found: Tensor) -> Tensor:
        """Return (n_rows,) log-densities in the cosine, of bins `found` of `logits` (n_rows, n)."""
        log_p = at_least_float32(logits).masked_fill(~self.possible, -torch.inf).log_softmax(-1)
        return _at(log_p, found) - _at(self.log_volumes, found)


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
        self.closing = _network(features + N_RADIAL, config.width, config.n_distances)
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
        closure: Closure | None = None,
    ) -> dict[str, Tensor]:
        """Return (n_rows,) cross entropies of the smoothed targets in nats, as negative log-densities per Å^3.

        Args:
            features: (n_rows, features) of the decisions.
            label: (n_rows,) of the atoms to place.
            internal: (n_rows,) distance in Å, cosine of the polar angle, torsion in radian; where a ring closes, in the
                frame whose polar axis points to the second neighbour.
            known: (n_rows,) bool, whether there is an axis, and a third atom.
            around: what the foci see, in these frames; None where the head has no series.
            closure: the second neighbours; None where no atom has one.
        """
        d, theta, phi = _angles(internal)
        shared, with_d = self._conditioned(features, label, closure, d)
        smoothing = self.config.smoothing
        distance = self._log_volume_of_distance(d) - _smoothed(self.distances, d, smoothing, self.distance(shared))
        angle = self._log_volumes(self.angles.index(theta)).to(d)
        angle = angle - _smoothed(self.angles, theta, smoothing, self.angle(with_d))
        if closure is not None:
            rows, triangle = self._triangles(closure, d)
            if len(rows):
                opposite = triangle.opposite(internal[1][rows])
                targets = self.distances.targets(opposite, smoothing) * triangle.possible
                targets = targets / targets.sum(-1, keepdim=True).clamp(min=1e-6)
                volume = _at(triangle.log_volumes, self.distances.index(opposite))
                closing = volume - _cross(targets, self.closing(with_d[rows]), triangle.possible)
                angle = angle.index_copy(0, rows, closing.to(angle))
        logits = self._torsion_logits(shared, with_d, d, theta, around)
        torsion = math.log(self.torsions.width) - _smoothed(self.torsions, phi, smoothing, logits)
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
        closure: Closure | None = None,
    ) -> Tensor:
        """Return (n_rows,) exact log-densities per Å^3; arguments as in `divergence`."""
        d, theta, phi = _angles(internal)
        shared, with_d = self._conditioned(features, label, closure, d)
        outside = ~self.distances.holds(d)
        log_p = _at(self.distance(shared).log_softmax(-1), self.distances.index(d)) - self._log_volume_of_distance(d)
        bin_theta = self.angles.index(theta)
        angle = _at(self.angle(with_d).log_softmax(-1), bin_theta) - self._log_volumes(bin_theta).to(d)
        if closure is not None:
            rows, triangle = self._triangles(closure, d)
            opposite = triangle.opposite(internal[1][rows])
            closing = triangle.log_density(self.closing(with_d[rows]), self.distances.index(opposite))
            angle = angle.index_copy(
                0, rows, closing.masked_fill(~self.distances.holds(opposite), -torch.inf).to(angle)
            )
        logits = self._torsion_logits(shared, with_d, d, theta, around)
        torsion = _at(logits.log_softmax(-1), self.torsions.index(phi)) - math.log(self.torsions.width)
        return (log_p + _angular(angle, torsion, known)).masked_fill(outside, -torch.inf)

    def draw(
        self,
        features: Tensor,
        label: Tensor,
        known: tuple[Tensor, Tensor],
        around: Surroundings | None,
        uniforms: Tensor,
        temperature: float,
        closure: Closure | None = None,
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Draw one position a row; every factor's bins to the power 1 / temperature, given the factors before.

        Args:
            features: as in `divergence`.
            label: as in `divergence`.
            known: as in `divergence`.
            around: as in `divergence`.
            uniforms: (n_rows, 3) float64.
            temperature: 1 draws from the model's own density.
            closure: as in `divergence`.

        Returns:
            Distance, cosine and torsion, (n_rows,) each; and (n_rows,) the log-density per Å^3 at temperature 1.
        """
        has_axis, has_third = known
        shared = self._shared(features, label, closure)
        logits = self.distance(shared)
        bin_d, within = self.distances.draw(logits / temperature, uniforms[:, 0])
        d = (self.distances.low + (bin_d + within) * self.distances.width).to(features)
        log_p = _at(logits.log_softmax(-1), bin_d) - self._log_volume_of_distance(d)

        with_d = torch.cat([shared, self._radial(d)], -1)
        logits = self.angle(with_d)
        bin_theta, within = self.angles.draw(logits / temperature, uniforms[:, 1])
        top, bottom = self._cosines(bin_theta)
        cosine = torch.where(has_axis, top + within * (bottom - top), 2 * uniforms[:, 1] - 1)
        angle = _at(logits.log_softmax(-1), bin_theta) - self._log_volumes(bin_theta).to(d)
        if closure is not None:
            rows, triangle = self._triangles(closure, d)
            if len(rows):
                logits = self.closing(with_d[rows])
                possible = at_least_float32(logits).masked_fill(~triangle.possible, -torch.inf)
                found, within = self.distances.draw(possible / temperature, uniforms[rows, 1])
                top, bottom = (_at(x, found) for x in (triangle.cosines[:, :-1], triangle.cosines[:, 1:]))
                cosine = cosine.index_copy(0, rows, (top + within * (bottom - top)).to(cosine))
                angle = angle.index_copy(0, rows, triangle.log_density(logits, found).to(angle))
        cosine = cosine.clamp(-1, 1)
        theta = cosine.arccos().to(features)

        logits = self._torsion_logits(shared, with_d, d, theta, around)
        bin_phi, within = self.torsions.draw(logits / temperature, uniforms[:, 2])
        drawn = self.torsions.low + (bin_phi + within) * self.torsions.width
        phi = torch.where(has_third, drawn, (2 * uniforms[:, 2] - 1) * math.pi)
        torsion = _at(logits.log_softmax(-1), bin_phi) - math.log(self.torsions.width)
        return (d, cosine.to(features), phi.to(features)), log_p + _angular(angle, torsion, known)

    def _shared(self, features: Tensor, label: Tensor, closure: Closure | None) -> Tensor:
        told = features + self.label(label)
        if closure is not None:
            told = told + closure.partner
        return told + self.trunk(told)

    def _conditioned(
        self, features: Tensor, label: Tensor, closure: Closure | None, d: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what the distance is made of, and what angle and torsion are made of."""
        shared = self._shared(features, label, closure)
        return shared, torch.cat([shared, self._radial(d).to(shared.dtype)], -1)

    def _triangles(self, closure: Closure, d: Tensor) -> tuple[Tensor, Triangle]:
        """Return the rows in which a ring closes, and their triangles.

        Where the second neighbour is out of reach, the ring stays open: its direction is drawn as any other.
        """
        reachable = (d - closure.distance).abs() < self.distances.high - SMALLEST
        reachable &= d + closure.distance > self.distances.low + SMALLEST
        rows = (closure.closes & reachable).nonzero()[:, 0]
        return rows, Triangle.of(d[rows], closure.distance[rows], self.distances)

    def _torsion_logits(
        self, decisions: Tensor, with_d: Tensor, d: Tensor, theta: Tensor, around: Surroundings | None
    ) -> Tensor:
        logits = self.torsion(torch.cat([with_d, _harmonics(theta).to(with_d.dtype)], -1))
        if self.series is None or around is None:
            return logits
        edges = self.torsions.edges(d)
        azimuths = (edges[1:] + edges[:-1]) / 2
        logits = logits + self.series(decisions, around, d, theta, azimuths)
        return logits + OCCUPIED * occupied(around, d, theta, azimuths)

    def _radial(self, d: Tensor) -> Tensor:
        spacing = (self.config.maximum - self.config.minimum) / (N_RADIAL - 1)
        return gaussian((d[:, None] - self.centres) / spacing)

    def _log_volume_of_distance(self, d: Tensor) -> Tensor:
        """Return the logarithm of what one bin of the distance holds; d in Å brings d^2."""
        return 2 * d.log() + math.log(self.distances.width)

    def _log_volumes(self, angle_bin: Tensor) -> Tensor:
        """Return the logarithm of what bins of the polar angle hold."""
        top, bottom = self._cosines(angle_bin)
        return (top - bottom).log()

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


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(-1, index[:, None])[:, 0]


def _smoothed(bins: Bins, x: Tensor, smoothing: float, logits: Tensor) -> Tensor:
    """Return the mean log-probability (n_rows,) of bins under the smoothed targets of x (n_rows,)."""
    index, share = bins.window(x, smoothing)
    return (share * at_least_float32(logits).log_softmax(-1).gather(-1, index)).sum(-1)


def _cross(targets: Tensor, logits: Tensor, possible: Tensor) -> Tensor:
    """Return the mean log-probability (n_rows,) of bins under `targets` (n_rows, n), among those that are possible."""
    log_p = at_least_float32(logits).masked_fill(~possible, -torch.inf).log_softmax(-1)
    return (targets * log_p.masked_fill(~possible, 0.0)).sum(-1)


def _angular(angle: Tensor, torsion: Tensor, known: tuple[Tensor, Tensor]) -> Tensor:
    """Return the log-density of the direction: uniform where there is no axis, or no third atom, to measure it from."""
    angle = torch.where(known[0], angle, -math.log(2))
    return angle + torch.where(known[1], torsion, -math.log(2 * math.pi))


def _harmonics(theta: Tensor) -> Tensor:
    orders = torch.arange(1, N_HARMONICS + 1, dtype=theta.dtype, device=theta.device)
    return torch.cat([(theta[:, None] * orders).cos(), (theta[:, None] * orders).sin()], -1)
