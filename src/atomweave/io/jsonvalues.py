"""JSON inside files of molecules: read without trust in its depth."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

DEEPEST = 32
"""Levels of lists and objects: whatever walks through a value, ours or others' code, may recurse."""


def parse_json(text: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the value of a JSON text.

    Args:
        text: of any origin.
        object_hook: makes something else of an object, as in `json.loads`.

    Raises:
        ValueError: if it is no JSON, or nested deeper than `DEEPEST`.
    """
    try:
        value = json.loads(text, object_hook=object_hook)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:  # Python's own sentence about long numbers is for programmers
        raise ValueError("a number of too many digits" if "digits" in str(error) else str(error)) from None
    level = [value]
    for _ in range(DEEPEST):
        lists = [entry for entry in level if isinstance(entry, list)]
        objects = [entry.values() for entry in level if isinstance(entry, dict)]
        level = [entry for entries in (*lists, *objects) for entry in entries]
        if not level:
            return value
    raise ValueError("nested too deeply")
