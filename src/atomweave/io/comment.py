"""The comment line of extended XYZ: `key=value` pairs, and `Properties=`, which names the columns of the atom lines.

Numbers and flags (T, F) stand bare, text stands in double quotes; a quoted row of numbers is an array, as ASE writes
it. Whatever would come back as something else, and nested values, are written as ASE does: `_JSON` and a JSON value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .frames import plain, shown, whole_number
from .jsonvalues import parse_json

RESERVED = ("Properties", "Lattice", "pbc")
"""Keys that describe the frame, not the molecule: read over, never written as properties."""

_PAIR = re.compile(
    r"""\s*(?:"(?P<quoted_key>(?:[^"\\]|\\.)*)"|(?P<key>[^\s="]+))"""
    r"""(?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]*)))?(?:\s+|$)"""
)
_INTEGER = re.compile(r"[-+]?\d{1,4000}", re.ASCII)  # Python itself reads no more than 4300 digits
_NUMBER = re.compile(
    r"[-+]?(?:\d+(?:\.\d*)?(?:[eEdD][-+]?\d+)?|\.\d+(?:[eEdD][-+]?\d+)?|nan|inf)", re.IGNORECASE | re.ASCII
)
_FLAGS = {"T": True, "True": True, "F": False, "False": False}


@dataclass(frozen=True)
class Columns:
    """Where the atom lines hold what."""

    species: int  # column of the symbol or atomic number
    position: int  # first of three columns, Å
    width: int  # number of columns


def default_columns() -> Columns:
    """Return the columns of plain XYZ; more may follow."""
    return Columns(0, 1, 4)


def parse_columns(comment: str) -> Columns:
    """Read `Properties=name:type:width:...`.

    Raises:
        ValueError: if it is broken, or names no species or no positions.
    """
    text = str(next((value for key, value in _pairs(comment) if key == "Properties"), ""))
    fields = text.split(":")
    found, place = {}, 0
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        n_columns = whole_number(width)
        if n_columns is None:
            break
        found[name] = (place, kind, n_columns)
        place += n_columns
    species = found.get("species") or found.get("Z") or found.get("numbers")
    position = found.get("pos") or found.get("positions")
    if len(fields) != 3 * len(found) or species is None or position is None or position[2] != 3:
        raise ValueError(f"comment line: got Properties={shown(text)}, wanted columns such as species:S:1:pos:R:3")
    return Columns(species[0], position[0], place)


def parse_comment(comment: str) -> dict[str, Any]:
    """Return the properties in a comment line; a word without a value is a flag that is set.

    Raises:
        ValueError: if the line is not made of `key=value` pairs.
    """
    return {key: value for key, value in _pairs(comment) if key not in RESERVED}


def format_comment(properties: Mapping[str, Any]) -> str:
    """Return the comment line for atom lines of symbol and position.

    Raises:
        InputError: if a property has the name of a reserved key.
    """
    taken = [name for name in properties if name in RESERVED or not name]
    if taken:
        raise InputError(f"property {taken[0]!r} has a name that extended XYZ needs itself: rename it.")
    pairs = [f"{_format_key(name)}={_format_value(plain(value))}" for name, value in properties.items()]
    return " ".join(["Properties=species:S:1:pos:R:3", *pairs])


def _pairs(comment: str) -> Iterator[tuple[str, Any]]:
    place, end = 0, len(comment.rstrip())
    while place < end:
        found = _PAIR.match(comment, place)
        if found is None or found.end() == place:
            raise ValueError(f"comment line: got {shown(comment[place:])} where key=value was wanted")
        place = found.end()
        key = found["key"] if found["key"] is not None else _unescape(found["quoted_key"])
        if found["quoted"] is not None:
            yield key, _quoted_value(_unescape(found["quoted"]))
        else:
            yield key, True if found["bare"] is None else _bare_value(found["bare"])


def _bare_value(text: str) -> Any:
    if text in _FLAGS:
        return _FLAGS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return _number(text)
    return text


def _quoted_value(text: str) -> Any:
    if text.startswith("_JSON "):
        try:
            value = parse_json(text[6:])
        except ValueError:
            raise ValueError(f"comment line: {shown(text)} is not JSON") from None
        return np.array(value) if isinstance(value, list) and _is_numeric(value) else value
    words = text.split()
    if len(words) > 1 and all(_NUMBER.fullmatch(word) for word in words):
        whole = all(_INTEGER.fullmatch(word) for word in words)
        return np.array([int(word) if whole else _number(word) for word in words])
    return text


def _is_numeric(value: list[Any]) -> bool:
    try:
        return np.array(value).dtype.kind in "biuf"
    except ValueError:
        return False


def _number(text: str) -> float:
    return float(text.lower().replace("d", "e"))


def _format_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][\w.+/-]*", name) else _quote(name)


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "if" and len(value) > 1:
        return _quote(" ".join(repr(entry) for entry in value.tolist()))
    if isinstance(value, str) and isinstance(_quoted_value_or_none(value), str):
        return _quote(value)
    return _quote("_JSON " + json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, default=str))


def _quoted_value_or_none(text: str) -> Any:
    return None if text.startswith("_JSON ") else _quoted_value(text)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text)
