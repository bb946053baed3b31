"""Embedders: fragments -> features of their atoms; each in a file of its own, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .e3schnet import E3SchNet, E3SchNetConfig
from .nequip import NequIP, NequIPConfig

EmbedderConfig = Annotated[E3SchNetConfig | NequIPConfig, Field(discriminator="kind")]


def build_embedder(config: E3SchNetConfig | NequIPConfig, n_species: int) -> E3SchNet | NequIP:
    """Return the embedder that `config` describes, freshly initialised."""
    return E3SchNet(config, n_species) if isinstance(config, E3SchNetConfig) else NequIP(config, n_species)
