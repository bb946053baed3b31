"""What can be chosen about Weaver."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..config import Config
from ..growth.policies import BreadthFirstConfig
from ..species import Species
from .embedders.conditions import ConditionsConfig
from .heads.internal import InternalHeadConfig


class AugmentationConfig(Config):
    """What is done to molecules while they teach."""

    noise: float = Field(
        0.02, ge=0, description="Å; standard deviation on every coordinate read; what is to be placed stays exact"
    )
    mirror: bool = Field(True, description="every other molecule is reflected, at random")


class WeaverConfig(Config):
    """The parts of Weaver; a default is what weights mean that do not name the field, presets name all."""

    kind: Literal["weaver"] = "weaver"
    species: tuple[str, ...] = Field(("H", "C", "N", "O", "F"), min_length=1, description="elements, in index order")
    policy: BreadthFirstConfig = BreadthFirstConfig()
    width: int = Field(128, ge=1, description="features of an atom, and of a decision")
    n_heads: int = Field(8, ge=1, description="attention heads of every layer")
    n_encoder_layers: int = Field(4, ge=1, le=1000, description="layers over atoms")
    n_decoder_layers: int = Field(4, ge=1, le=1000, description="layers over decisions")
    expansion: int = Field(4, ge=1, description="hidden width of each layer's network, in multiples of `width`")
    pair_features: int = Field(32, ge=1, description="numbers that describe how one atom sees another")
    pair_width: int = Field(64, ge=1, description="hidden width of the network that makes them")
    closure_width: int = Field(32, ge=1, description="hidden width of the network that says which rings close")
    matching: bool = Field(
        False, description="whether decisions hear which atoms still want a partner for a multiple bond"
    )
    foresight: bool = Field(
        False, description="whether every choice of an atom hears what it would leave behind; needs `matching`"
    )
    position_head: InternalHeadConfig = InternalHeadConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    conditions: ConditionsConfig = ConditionsConfig()

    @field_validator("species")
    @classmethod
    def _known(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        Species(symbols)
        return symbols

    @model_validator(mode="after")
    def _divides(self) -> WeaverConfig:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} must be a multiple of n_heads {self.n_heads}")
        if self.foresight and not self.matching:
            raise ValueError("foresight needs matching: true; it hears what is left over by the same matchings")
        return self
