"""Where the new atom stands: distance, angle and torsion from the focus f and its references c and e, one by one.

    d given [h_f | all],  theta given [h_f h_c | all],  phi given [h_f h_c h_e | all]

(Luo and Ji, ICLR 2022, equation 11), where "all" is what an attention over the fragment's atoms answers to the local
features. The published densities are Gaussians on the whole line: a draw may have d < 0 or theta beyond [0, pi], and is
placed as the formula says, on the other side. So a position is reached in several ways, and its density per Å^3 is the
sum over all of them, divided by d^2 sin(theta): with N_d the density of the distance, and W those of theta and phi,
wrapped around the circle,

    p = [N_d(d) A(theta, phi) + N_d(-d) A(pi - theta, phi + pi)] / (d^2 sin theta)
    A(theta, phi) = W(theta) W(phi) + W(-theta) W(phi + pi)

Without e, or where e, c and f are collinear, the azimuth is free, 1 / (2 pi); without c the direction is, 1 / (4 pi).
Paper and published code count neither the other ways nor the volume: see `Placement.log_density_as_published`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import torch
from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator
from torch import Tensor, nn

from ...config import Config
from ..base import Temperatures
from ..kinds import Kinds
from .affine_flow import AffineFlow, AffineFlowConfig, Gaussian
from .attention import FragmentAttention
from .circle import TURN
from .mixtures import CircleHead, IntervalHead, MixtureConfig, OnCircle, SplineConfig

ON_LINE: Kinds[nn.Module] = Kinds(
    (AffineFlowConfig, lambda config, n_condition, *_: AffineFlow(config, n_condition)),
    (MixtureConfig, IntervalHead),
    (SplineConfig, IntervalHead),
)
"""Densities of a distance or an angle; built from a configuration, the width of the condition and the interval."""

OnLineConfig = Annotated[SerializeAsAny[Config], BeforeValidator(ON_LINE.parse)]
OnCircleConfig = Annotated[AffineFlowConfig | MixtureConfig, Field(discriminator="kind")]

Features = Literal["both", "local", "global"]

LEAST_ANGLE = 1e-5
"""Radian from 0 and pi within which an angle counts as that: float32 knows no better, and sin(theta) divides."""


class SphericalConfig(Config):
    """The densities of the three coordinates."""

    distance: OnLineConfig = AffineFlowConfig()
    angle: OnLineConfig = AffineFlowConfig()
    torsion: OnCircleConfig = AffineFlowConfig()
    shortest: float = Field(0.5, gt=0, description="Å; a mixture or spline of distances is zero below")
    longest: float = Field(2.6, gt=0, description="Å; it is zero above")

    @model_validator(mode="after")
    def _ordered(self) -> SphericalConfig:
        if self.longest <= self.shortest:
            raise ValueError(f"longest {self.longest} must exceed shortest {self.shortest}")
        return self


@dataclass(frozen=True)
class Around:
    """What is known around the foci when an atom is placed."""

    features: Tensor  # (n_rows, n_atoms, width), of all atoms of the fragments
    placed: Tensor  # (n_rows, n_atoms) bool
    focus: Tensor  # (n_rows,) growth index
    second: Tensor  # (n_rows,) growth index, -1 where there is none
    third: Tensor  # (n_rows,) growth index, -1 where there is none
    azimuth: Tensor  # (n_rows,) bool, whether the three fix an azimuth


class OnLine(Protocol):
    """Densities of a distance or an angle, one a row: what the modules of `ON_LINE` return of a condition."""

    def log_density(self, x: Tensor) -> Tensor:
        """Return the log-density at x (n_rows,), per Å or radian; distances may be asked for below zero."""

    def log_density_on_circle(self, x: Tensor) -> Tensor:
        """Return the log-density of an angle (n_rows,), whatever its turn."""

    def draw(self, uniforms: Tensor, temperature: float) -> Tensor:
        """Return (n_rows,) draws, float64, by one uniform number each."""


@dataclass(frozen=True)
class Placement:
    """The densities of an atom's coordinates, one a row; angle and torsion in the rows that have such."""

    distance: OnLine
    angle: OnLine
    torsion: Gaussian | OnCircle
    angle_rows: Tensor  # (n_with_angle,) int64
    torsion_rows: Tensor  # (n_with_torsion,) int64

    def terms(self, distance: Tensor, angle: Tensor, torsion: Tensor) -> dict[str, Tensor]:
        """Return the log-densities that are taught, of coordinates (n_rows,), each in the rows that have it.

        The log-density of a coordinate outside of its interval is -inf.
        """
        return {
            "distance": self.distance.log_density(distance),
            "angle": self.angle.log_density(angle[self.angle_rows]),
            "torsion": self.torsion.log_density(torsion[self.torsion_rows]),
        }

    def log_density_as_published(self, distance: Tensor, angle: Tensor, torsion: Tensor) -> Tensor:
        """Return (n_rows,) what equation 12 sums, with the Jacobian the right way round.

        A density in Å and radian, of one preimage, that says nothing of what is free.
        """
        terms = self.terms(distance, angle, torsion)
        total = terms["distance"].index_add(0, self.angle_rows, terms["angle"])
        return total.index_add(0, self.torsion_rows, terms["torsion"])

    def log_density(self, distance: Tensor, angle: Tensor, torsion: Tensor) -> Tensor:
        """Return (n_rows,) log-densities per Å^3: all preimages, everything that is free; see the module's docstring.

        Args:
            distance: (n_rows,) Å, positive.
            angle: (n_rows,) radian, in [0, pi].
            torsion: (n_rows,) radian.
        """
        angle = angle.clamp(LEAST_ANGLE, math.pi - LEAST_ANGLE)
        ahead = self.distance.log_density(distance) + self._direction(angle, torsion)
        back = self.distance.log_density(-distance) + self._direction(math.pi - angle, torsion + math.pi)
        return torch.logaddexp(ahead, back) - 2 * distance.log() - angle.sin().log()

    def _direction(self, angle: Tensor, torsion: Tensor) -> Tensor:
        """Return log A (n_rows,), per radian^2."""
        here = self._azimuth(torsion)[self.angle_rows]
        opposite = self._azimuth(torsion + math.pi)[self.angle_rows]
        theta = angle[self.angle_rows]
        both = torch.logaddexp(
            self.angle.log_density_on_circle(theta) + here, self.angle.log_density_on_circle(-theta) + opposite
        )
        free = angle.sin().log() - math.log(4 * math.pi)
        return free.index_copy(0, self.angle_rows, both)

    def _azimuth(self, torsion: Tensor) -> Tensor:
        free = torch.full_like(torsion, -math.log(TURN))
        known = self.torsion.log_density_on_circle(torsion[self.torsion_rows])
        return free.index_copy(0, self.torsion_rows, known)

    def draw(self, uniforms: Tensor, temperatures: Temperatures) -> tuple[Tensor, Tensor, Tensor]:
        """Draw coordinates (n_rows,), float64, by uniforms (n_rows, 3); nothing is clamped.

        Temperatures leave alone what is free.
        """
        t = temperatures
        uniforms = uniforms.double()
        distance = self.distance.draw(uniforms[:, 0], t.distance or t.position)
        angle = torch.acos(1 - 2 * uniforms[:, 1])
        drawn = self.angle.draw(uniforms[self.angle_rows, 1], t.angle or t.position)
        torsion = TURN * uniforms[:, 2]
        turned = self.torsion.draw(uniforms[self.torsion_rows, 2], t.torsion or t.position)
        return distance, angle.index_copy(0, self.angle_rows, drawn), torsion.index_copy(0, self.torsion_rows, turned)


class Condition(nn.Module):
    """Local features of some atoms, beside what the whole fragment answers to them.

    Args:
        n_local: how many atoms the local features are of.
        width: of an atom's features.
        n_heads: of the attention.
        features: both, or one of the two alone (the paper's table 3a).
    """

    def __init__(self, n_local: int, width: int, n_heads: int, features: Features) -> None:
        super().__init__()
        self.features = features
        self.attention = None if features == "local" else FragmentAttention(n_local * width, width, n_heads)
        self.width = width * {"both": n_local + 1, "local": n_local, "global": 1}[features]

    def forward(self, features: Tensor, placed: Tensor, atoms: list[Tensor]) -> Tensor:
        """Return (n_rows, width).

        Args:
            features: (n_rows, n_atoms, width).
            placed: (n_rows, n_atoms) bool.
            atoms: growth indices (n_rows,), of the focus first.
        """
        row = torch.arange(len(features), device=features.device)
        local = torch.cat([features[row, atom] for atom in atoms], 1)
        if self.attention is None:
            return local
        seen = self.attention(local, features, placed)
        return seen if self.features == "global" else torch.cat([local, seen], 1)


class SphericalHead(nn.Module):
    """Features of the atoms around a focus -> density of the next position; see the module's docstring."""

    n_draws = 3

    def __init__(self, config: SphericalConfig, width: int, n_heads: int, features: Features) -> None:
        super().__init__()
        self.of_distance, self.of_angle, self.of_torsion = (
            Condition(n_local, width, n_heads, features) for n_local in (1, 2, 3)
        )
        self.distance = ON_LINE.build(config.distance, self.of_distance.width, config.shortest, config.longest)
        self.angle = ON_LINE.build(config.angle, self.of_angle.width, 0.0, math.pi)
        self.torsion: AffineFlow | CircleHead
        if isinstance(config.torsion, MixtureConfig):
            self.torsion = CircleHead(config.torsion, self.of_torsion.width)
        else:
            self.torsion = AffineFlow(config.torsion, self.of_torsion.width)

    def forward(self, around: Around) -> Placement:
        """Return the densities of all rows."""
        angle_rows = (around.second >= 0).nonzero()[:, 0]
        torsion_rows = around.azimuth.nonzero()[:, 0]

        def condition(part: Condition, rows: Tensor, atoms: list[Tensor]) -> Tensor:
            # Nearly always all rows: then nothing is copied.
            if len(rows) == len(around.features):
                return part(around.features, around.placed, atoms)
            return part(around.features[rows], around.placed[rows], [atom[rows] for atom in atoms])

        everywhere = torch.arange(len(around.features), device=around.focus.device)
        atoms = [around.focus, around.second, around.third]
        return Placement(
            distance=self.distance(condition(self.of_distance, everywhere, atoms[:1])),
            angle=self.angle(condition(self.of_angle, angle_rows, atoms[:2])),
            torsion=self.torsion(condition(self.of_torsion, torsion_rows, atoms)),
            angle_rows=angle_rows,
            torsion_rows=torsion_rows,
        )
