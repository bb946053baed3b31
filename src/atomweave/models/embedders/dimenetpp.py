"""DimeNet++ (Gasteiger et al. 2020) in G-SphereNet's ablation of the embedder: SphereNet's wiring without torsions.

SphereNet extends DimeNet++ by the torsion basis alone. The original's remaining differences (an envelope on the angular
basis, properties of molecules rather than features of atoms) are not taken up, so that the ablation asks one question.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import Config
from .spherenet import SphereNet, SphereNetConfig


class DimeNetPPConfig(Config):
    """Sizes of DimeNet++; the defaults are SphereNet's."""

    kind: Literal["dimenetpp"] = "dimenetpp"
    width: int = Field(128, ge=1, description="numbers a feature, of atoms and of edges")
    n_layers: int = Field(4, ge=1, le=1000, description="rounds of messages")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    triplet_width: int = Field(64, ge=1, description="channels of the sum over triplets")
    basis_width: int = Field(8, ge=1, description="numbers to which each basis is projected before it is expanded")
    readout_width: int = Field(256, ge=1, description="hidden width of the readout")
    n_spherical: int = Field(7, ge=1, le=7, description="degrees of the harmonics")
    n_radial: int = Field(6, ge=1, description="radial functions, and Bessel functions a degree")


class DimeNetPP(SphereNet):
    """Features of edges that hear of distances and angles, not of torsions: mirror images look alike."""

    def __init__(self, config: DimeNetPPConfig, n_species: int) -> None:
        sizes = config.model_dump(exclude={"kind"})
        super().__init__(SphereNetConfig(**sizes), n_species, with_torsions=False)
