"""Growth policies by name: each turns a molecule into an order in which it could have grown."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...species import Species
from .base import Fate, Policy
from .breadth_first import BreadthFirstConfig, BreadthFirstPolicy
from .nearest import NearestConfig, NearestPolicy
from .prim import PrimConfig, PrimPolicy

PolicyConfig = Annotated[NearestConfig | BreadthFirstConfig | PrimConfig, Field(discriminator="kind")]


def build_policy(config: PolicyConfig, species: Species) -> Policy:
    """Return the policy that `config` describes, for molecules of these elements."""
    if isinstance(config, BreadthFirstConfig):
        return BreadthFirstPolicy(config, species)
    if isinstance(config, PrimConfig):
        return PrimPolicy(config, species)
    return NearestPolicy(config, species)


def whole_molecules(config: PolicyConfig) -> PolicyConfig:
    """Return the policy without its share of given fragments: every molecule grows from one atom, with a log q."""
    if isinstance(config, BreadthFirstConfig):
        return config.model_copy(update={"fragment_share": 0.0})
    return config


__all__ = [
    "BreadthFirstConfig",
    "BreadthFirstPolicy",
    "Fate",
    "NearestConfig",
    "NearestPolicy",
    "Policy",
    "PolicyConfig",
    "PrimConfig",
    "PrimPolicy",
    "build_policy",
    "whole_molecules",
]
