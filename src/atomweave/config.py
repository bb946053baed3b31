"""What every configuration is: a frozen pydantic model that refuses unknown fields and says which was meant."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from .errors import did_you_mean


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

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
        return data
