"""What every configuration is: a frozen pydantic model that refuses unknown fields and says which was meant."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from .errors import did_you_mean


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_field(cls, data: Any) -> Any:
        # pydantic's own refusal does not say which field may have been meant.
        for name in data if isinstance(data, dict) else ():
            if name not in cls.model_fields:
                hint = did_you_mean(str(name), cls.model_fields)
                raise PydanticCustomError(
                    "unknown_field", "unknown field {name!r}; {hint}", {"name": name, "hint": hint}
                )
            _refuse_what_only_looks_like_a_number(cls.model_fields[name], name, data[name])
        return data


def _refuse_what_only_looks_like_a_number(field: FieldInfo, name: str, value: Any) -> None:
    # pydantic takes true for 1 and "7" for 7; who wrote that meant another field.
    # Its strict mode would not take 1e5 steps.
    kinds = set(_kinds(field.annotation))
    if isinstance(value, bool | str) and kinds & {int, float} and type(value) not in kinds:
        raise PydanticCustomError("no_number", "{name}: wanted a number", {"name": name, "value": value})
    if isinstance(value, int | float | str) and not isinstance(value, bool) and kinds == {bool}:
        raise PydanticCustomError("no_flag", "{name}: wanted a flag", {"name": name, "value": value})


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the plain types that an annotation admits, through unions and `Annotated`."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _kinds(inner[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in inner:
            yield from _kinds(one)
    elif get_origin(annotation) is Literal:
        yield from (type(one) for one in inner)
    else:
        yield annotation
