"""DimeNet++ (Gasteiger et al. 2020) in G-SphereNet's ablation of the embedder: SphereNet's wiring without torsions.

SphereNet extends DimeNet++ by the torsion basis alone. The original's remaining differences (an envelope on the angular
basis, properties of molecules rather than features of atoms) are not taken up, so that the ablation asks one question.
"""

from __future__ import annotations

from typing import Literal

from .spherenet import DirectionalConfig, SphereNet


class DimeNetPPConfig(DirectionalConfig):
    """DimeNet++'s sizes; the defaults are SphereNet's."""

    kind: Literal["dimenetpp"] = "dimenetpp"


class DimeNetPP(SphereNet):
    """Features of edges that hear of distances and angles, not of torsions: mirror images look alike."""

    def __init__(self, config: DimeNetPPConfig, n_species: int) -> None:
        super().__init__(config, n_species, with_torsions=False)
