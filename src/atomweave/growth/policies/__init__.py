"""Growth policies by name: each turns a molecule into an order in which it could have grown."""

from __future__ import annotations

from ...species import Species
from .base import Fate, Policy
from .nearest import NearestConfig, NearestPolicy

PolicyConfig = NearestConfig  # a union discriminated by `kind` as soon as there are two


def build_policy(config: PolicyConfig, species: Species) -> Policy:
    """Return the policy that `config` describes, for molecules of these elements."""
    return NearestPolicy(config, species)


__all__ = ["Fate", "NearestConfig", "NearestPolicy", "Policy", "PolicyConfig", "build_policy"]
