"""Invariant embedders: prefixes of molecules -> features of their atoms; one file each, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny

from ...config import Config
from ..kinds import Kinds
from .dimenetpp import DimeNetPP, DimeNetPPConfig
from .invariant_embedder import InvariantEmbedder
from .schnet import SchNet, SchNetConfig
from .spherenet import SphereNet, SphereNetConfig

INVARIANT_EMBEDDERS: Kinds[InvariantEmbedder] = Kinds(
    (SphereNetConfig, SphereNet), (DimeNetPPConfig, DimeNetPP), (SchNetConfig, SchNet)
)
"""All there are; built from a configuration and the number of species."""

InvariantEmbedderConfig = Annotated[SerializeAsAny[Config], BeforeValidator(INVARIANT_EMBEDDERS.parse)]


def build_invariant_embedder(config: Config, n_species: int) -> InvariantEmbedder:
    """Return the embedder that `config` describes, freshly initialised."""
    return INVARIANT_EMBEDDERS.build(config, n_species)


__all__ = ["INVARIANT_EMBEDDERS", "InvariantEmbedder", "InvariantEmbedderConfig", "build_invariant_embedder"]
