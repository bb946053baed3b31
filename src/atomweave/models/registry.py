"""The models there are, by the `kind` that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny
from pydantic_core import PydanticCustomError

from ..config import Config
from ..errors import UsageError, did_you_mean
from .base import Model

Builder = Callable[[Any], Model]
"""A model class: takes its configuration."""


def _symphony() -> tuple[type[Config], Builder]:
    from .symphony import Symphony, SymphonyConfig

    return SymphonyConfig, Symphony


def _gspherenet() -> tuple[type[Config], Builder]:
    from .gspherenet import GSphereNet, GSphereNetConfig

    return GSphereNetConfig, GSphereNet


def _weaver() -> tuple[type[Config], Builder]:
    from .weaver import Weaver, WeaverConfig

    return WeaverConfig, Weaver


MODELS: dict[str, Callable[[], tuple[type[Config], Builder]]] = {
    "symphony": _symphony,
    "gspherenet": _gspherenet,
    "weaver": _weaver,
}
"""kind -> builder of (configuration class, model class); a builder, so that only the chosen model is imported."""


def model_classes(kind: str) -> tuple[type[Config], Builder]:
    """Return the configuration and model class of a kind.

    Raises:
        UsageError: if there is no such kind; the message names the nearest.
    """
    if kind not in MODELS:
        raise UsageError(f"model.kind: there is no model {kind!r}; {did_you_mean(str(kind), MODELS)}")
    return MODELS[kind]()


def _parse(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "kind" not in value:
        raise PydanticCustomError("no_kind", "kind: is missing")
    kind = str(value["kind"])
    if kind not in MODELS:
        # The message of `model_classes` as an error that pydantic can place in the tree.
        hint = did_you_mean(kind, MODELS)
        raise PydanticCustomError("model_kind", "kind: there is no model {kind}; {hint}", {"kind": kind, "hint": hint})
    return model_classes(kind)[0].model_validate(value)


ModelConfig = Annotated[SerializeAsAny[Config], BeforeValidator(_parse)]
"""Configuration of any known model, told apart by `kind`."""


def build_model(config: Config) -> Model:
    """Return a freshly initialised model; the draw of the weights follows torch's global seed."""
    _, model_class = model_classes(getattr(config, "kind", "none"))
    return model_class(config)
