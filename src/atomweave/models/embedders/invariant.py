"""Invariant embedders: prefixes of molecules -> features of their atoms; one file each, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .dimenetpp import DimeNetPP, DimeNetPPConfig
from .invariant_embedder import InvariantEmbedder
from .schnet import SchNet, SchNetConfig
from .spherenet import SphereNet, SphereNetConfig

InvariantEmbedderConfig = Annotated[SphereNetConfig | DimeNetPPConfig | SchNetConfig, Field(discriminator="kind")]


def build_invariant_embedder(
    config: SphereNetConfig | DimeNetPPConfig | SchNetConfig, n_species: int
) -> InvariantEmbedder:
    """Return the embedder that `config` describes, freshly initialised."""
    if isinstance(config, SchNetConfig):
        return SchNet(config, n_species)
    if isinstance(config, DimeNetPPConfig):
        return DimeNetPP(config, n_species)
    return SphereNet(config, n_species)


__all__ = ["InvariantEmbedder", "InvariantEmbedderConfig", "build_invariant_embedder"]
