"""Parts of one sort by the `kind` that a configuration names; a part from elsewhere is added the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic_core import PydanticCustomError

from ..config import Config
from ..errors import UsageError, did_you_mean

P = TypeVar("P")


class Kinds(Generic[P]):
    """What there is to choose from, e.g. all embedders.

    `Annotated[SerializeAsAny[Config], BeforeValidator(kinds.parse)]` is the field of a configuration that names one.

    Attributes:
        parts: kind -> (configuration class, what builds the part from such a configuration and further arguments).
    """

    def __init__(self, *parts: tuple[type[Config], Callable[..., P]]) -> None:
        self.parts: dict[str, tuple[type[Config], Callable[..., P]]] = {}
        for config, builder in parts:
            self.add(config, builder)

    def add(self, config: type[Config], builder: Callable[..., P]) -> None:
        """Add a part; the default of its configuration's field `kind` is its name.

        Raises:
            UsageError: if it has no such field, or a part has this name already.
        """
        kind = config.model_fields["kind"].default if "kind" in config.model_fields else None
        if not isinstance(kind, str):
            raise UsageError(f"{config.__name__}: wanted a field such as `kind: Literal['mine'] = 'mine'`.")
        # A module that is executed again adds its parts anew.
        if kind in self.parts and self.parts[kind][0].__qualname__ != config.__qualname__:
            raise UsageError(f"{config.__name__}: {self.parts[kind][0].__name__} is of kind {kind!r} already.")
        self.parts[kind] = config, builder

    def parse(self, value: Any) -> Any:
        """Return the configuration that named fields stand for; what is a configuration already passes if it is known.

        Raises:
            PydanticCustomError: if there is no such kind, then the message names the nearest, or none is named.
        """
        if not isinstance(value, Config) and not (isinstance(value, dict) and "kind" in value):
            raise PydanticCustomError("no_kind", "kind: is missing")
        kind = str(value["kind"] if isinstance(value, dict) else getattr(value, "kind", ""))
        if kind not in self.parts:
            hint = did_you_mean(kind, self.parts)
            raise PydanticCustomError("kind", "kind: there is no {kind!r}; {hint}", {"kind": kind, "hint": hint})
        config, _ = self.parts[kind]
        return config.model_validate(value)

    def build(self, config: Config, *arguments: Any) -> P:
        """Return the part that a configuration describes, freshly initialised."""
        _, builder = self.parts[getattr(config, "kind", "")]
        return builder(config, *arguments)
