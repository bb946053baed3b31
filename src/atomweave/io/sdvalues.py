"""Values of SD data items as text.

Numbers, flags and plain words stand as they are; anything that would be read back as something else (text that looks
like a number, has line breaks, or is no text at all) stands as JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from .frames import plain
from .jsonvalues import parse_json

_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)", re.ASCII)
_FLAGS = {"True": True, "False": False}


def format_value(value: Any) -> str:
    """Return the text of a value; `parse_value` is its inverse for numbers, flags, text and arrays of numbers."""
    value = plain(value)
    if isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    printable = isinstance(value, str) and value.isprintable() and value.strip() == value != "" and value[0] != ">"
    if printable and not value.startswith("$$$$") and parse_value(value) == value:
        return value
    return json.dumps(value, default=str)


def parse_value(text: str) -> Any:
    """Return the value that a data item's text stands for."""
    if text in _FLAGS:
        return _FLAGS[text]
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if text[:1] in ('"', "[", "{"):
        try:
            value = parse_json(text)
        except ValueError:
            return text
        return _array(value) if isinstance(value, list) else value
    return text


def _array(value: list[Any]) -> Any:
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        return value
    return array if array.dtype.kind in "biuf" and array.size else value
