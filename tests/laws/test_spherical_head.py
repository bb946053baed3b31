"""The laws of position heads, of distance, angle and torsion measured from real references."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from atomweave.geometry.references import from_spherical, to_spherical
from atomweave.models.base import Temperatures
from atomweave.models.heads.affine_flow import AffineFlow
from atomweave.models.heads.spherical import Around, Placement, SphericalConfig, SphericalHead
from laws.position_head import PositionHeadLaws

REFERENCES = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.4, 0.0], [0.3, 1.9, 1.1]], dtype=torch.float64)
"""Focus, second and third atom, Å: the suite's polar axis is the second coordinate."""


class AroundOneFocus(nn.Module):
    """`SphericalHead` as the suite asks it: with vectors from a focus at the origin, beside two other atoms."""

    n_draws = 3

    def __init__(self, head: SphericalHead, n_references: int) -> None:
        super().__init__()
        self.head, self.n_references = head, n_references

    def placement(self, features: list[Tensor]) -> Placement:
        first = features[0][0]
        atoms = torch.stack([first, first.roll(1, 1), first.roll(2, 1)], 1)
        focus = torch.zeros(len(first), dtype=torch.int64)
        second, third = (focus + k if self.n_references >= k else focus - 1 for k in (1, 2))
        placed = torch.ones(atoms.shape[:2], dtype=torch.bool)
        return self.head(Around(atoms, placed, focus, second, third, third >= 0))

    def points(self, vectors: Tensor) -> list[Tensor]:
        # Missing references lie on the focus.
        known = REFERENCES * (torch.arange(3) <= self.n_references)[:, None]
        return [point.to(vectors).expand(len(vectors), 3) for point in known]

    def log_prob(self, features: list[Tensor], species: Tensor, vectors: Tensor) -> Tensor:
        del species
        return self.placement(features).log_density(*to_spherical(vectors, *self.points(vectors)))

    def draw(
        self, features: list[Tensor], species: Tensor, uniforms: Tensor, temperatures: Temperatures
    ) -> tuple[Tensor, Tensor]:
        internal = self.placement(features).draw(uniforms, temperatures)
        like = features[0].new_zeros(len(uniforms), 3)
        vectors = from_spherical(*(x.to(like) for x in internal), *self.points(like))
        return vectors, self.log_prob(features, species, vectors)


def lead_astray(flow: AffineFlow, mean: float, std: float) -> None:
    """Let a flow of one layer draw around `mean`, a little otherwise in every row."""
    with torch.no_grad():
        flow.weight.normal_(std=0.02, generator=torch.Generator().manual_seed(5))
        flow.bias.copy_(torch.tensor([[math.atanh(-math.log(std)), -mean]]))


class TestAffine(PositionHeadLaws):
    """Gaussians that often draw negative distances, angles beyond pi, and torsions of another turn."""

    nodes_per_bin = 5
    nodes_per_cell = 7
    draws_per_row = 500
    n_references = 2
    position: ClassVar[dict[str, Any]] = {
        name: {"kind": "affine", "n_layers": 1} for name in ("distance", "angle", "torsion")
    }
    # The density lives around references, not in features that turn.
    test_density_turns_with_the_features = None

    def build(self) -> nn.Module:
        head = SphericalHead(SphericalConfig.model_validate(self.position), self.channels, 2, "both")
        for name, mean, std in (("distance", 0.6, 0.5), ("angle", 2.6, 0.8), ("torsion", 6.0, 1.5)):
            flow = getattr(head, name)
            if isinstance(flow, AffineFlow):
                lead_astray(flow, mean, std)
        return AroundOneFocus(head, self.n_references)

    def radial_edges(self, head: nn.Module) -> Tensor:
        return torch.linspace(0, 5, 11, dtype=torch.float64)


class TestAffineWithoutThirdAtom(TestAffine):
    n_references = 1


class TestAffineWithoutAnyOther(TestAffine):
    n_references = 0


class TestMixtures(TestAffine):
    draws_per_row = 2500  # untaught mixtures are broad: fewer would leave less than 5 in every cell
    position: ClassVar[dict[str, Any]] = {
        name: {"kind": "mixture", "n_components": 3, "smallest_width": 0.2} for name in ("distance", "angle", "torsion")
    }

    def radial_edges(self, head: nn.Module) -> Tensor:
        return torch.linspace(0.5, 2.6, 7, dtype=torch.float64)
