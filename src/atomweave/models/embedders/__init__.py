"""Embedders: fragments -> features of their atoms; each in a file of its own, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from .e3schnet import E3SchNet, E3SchNetConfig
from .nequip import NequIP, NequIPConfig

EmbedderConfig = Annotated[E3SchNetConfig | NequIPConfig, Field(discriminator="kind")]


def build_embedder(config: E3SchNetConfig | NequIPConfig, n_species: int) -> nn.Module:
    """Return the embedder that `config` describes, freshly initialised."""
    classes = {"e3schnet": E3SchNet, "nequip": NequIP}
    return classes[config.kind](config, n_species)
