"""Embedders: fragments -> features of their atoms; each in a file of its own, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny

from ...config import Config
from ..kinds import Kinds
from .e3schnet import E3SchNet, E3SchNetConfig
from .equivariant_embedder import EquivariantEmbedder
from .nequip import NequIP, NequIPConfig

EMBEDDERS: Kinds[EquivariantEmbedder] = Kinds((E3SchNetConfig, E3SchNet), (NequIPConfig, NequIP))
"""All equivariant ones; built from a configuration and the number of species."""

EmbedderConfig = Annotated[SerializeAsAny[Config], BeforeValidator(EMBEDDERS.parse)]


def build_embedder(config: Config, n_species: int) -> EquivariantEmbedder:
    """Return the embedder that `config` describes, freshly initialised."""
    return EMBEDDERS.build(config, n_species)
