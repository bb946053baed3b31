"""The laws, of all parts of Symphony."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atomweave.models.base import Model
from atomweave.models.embedders.e3schnet import E3SchNet, E3SchNetConfig
from atomweave.models.embedders.nequip import NequIP, NequIPConfig
from atomweave.models.heads.angular import AngularConfig
from atomweave.models.heads.continuous import ContinuousHead, ContinuousHeadConfig
from atomweave.models.heads.focus import FocusHeadConfig
from atomweave.models.heads.shells import ShellHead, ShellHeadConfig
from atomweave.models.symphony import Symphony, SymphonyConfig
from laws.embedder import EmbedderLaws
from laws.model import ModelLaws
from laws.position_head import PositionHeadLaws


class TestE3SchNet(EmbedderLaws):
    def build(self) -> nn.Module:
        return E3SchNet(E3SchNetConfig(channels=8, n_filters=4), n_species=5)


class TestNequIP(EmbedderLaws):
    def build(self) -> nn.Module:
        return NequIP(NequIPConfig(channels=4), n_species=5)


class TestNequIPWithFewerDegreesOut(EmbedderLaws):
    def build(self) -> nn.Module:
        return NequIP(NequIPConfig(channels=4, lmax=1, lmax_out=3, n_layers=2), n_species=5)


class TestNequIPOfOneLayer(EmbedderLaws):
    def build(self) -> nn.Module:
        return NequIP(NequIPConfig(channels=4, lmax=2, n_layers=1), n_species=5)


DRAWING = {"n_polar_drawing": 30, "n_azimuth_drawing": 60}


class TestShells(PositionHeadLaws):
    jitter = False

    def build(self) -> nn.Module:
        config = ShellHeadConfig(n_radii=3, jitter=self.jitter, angular=AngularConfig(**DRAWING))
        return ShellHead(config, self.channels, self.lmax, self.n_species)

    def radial_edges(self, head: nn.Module) -> Tensor:
        return head.config.minimum + (torch.arange(head.config.n_radii + 1, dtype=torch.float64) - 0.5) * head.spacing


class TestShellsWithJitter(TestShells):
    jitter = True


class TestSquaredLogits(TestShells):
    quadrature_error = 1e-7

    def build(self) -> nn.Module:
        angular = AngularConfig(logits="squared", beta=2.0, channels=1, **DRAWING)
        return ShellHead(ShellHeadConfig(n_radii=2, angular=angular), self.channels, self.lmax, self.n_species)


class TestMixtureOfRadii(PositionHeadLaws):
    nodes_per_bin = 4

    def build(self) -> nn.Module:
        config = ContinuousHeadConfig(radius="mixture", n_components=4, angular=AngularConfig(channels=1, **DRAWING))
        return ContinuousHead(config, self.channels, self.lmax, self.n_species)

    def radial_edges(self, head: nn.Module) -> Tensor:
        return torch.linspace(head.config.minimum, head.config.maximum, 5, dtype=torch.float64)


class TestSplineOfRadii(TestMixtureOfRadii):
    lmax = 1
    nodes_per_cell = 5

    def build(self) -> nn.Module:
        # No narrow bins: quadrature would need as many more nodes.
        config = ContinuousHeadConfig(
            radius="spline", n_components=3, smallest_width=0.2, angular=AngularConfig(channels=1, **DRAWING)
        )
        return ContinuousHead(config, self.channels, self.lmax, self.n_species)

    def radial_edges(self, head: nn.Module) -> Tensor:
        return torch.linspace(head.config.minimum, head.config.maximum, 13, dtype=torch.float64)


SMALL = {
    "focus_embedder": E3SchNetConfig(channels=8, n_filters=4, n_layers=2),
    "position_embedder": NequIPConfig(channels=4, lmax=2, n_layers=3),
    "focus_head": FocusHeadConfig(width=8),
}


class TestSymphony(ModelLaws):
    def build(self) -> Model:
        return Symphony(SymphonyConfig(**SMALL, position_head=ShellHeadConfig(n_radii=8)))


class TestSymphonyWithMixtureOfRadii(ModelLaws):
    def build(self) -> Model:
        return Symphony(SymphonyConfig(**SMALL, position_head=ContinuousHeadConfig(n_components=6)))


class TestSymphonyWithOneEmbedder(ModelLaws):
    def build(self) -> Model:
        config = SMALL | {"position_embedder": None}
        return Symphony(SymphonyConfig(**config, position_head=ContinuousHeadConfig(radius="spline", n_components=6)))
