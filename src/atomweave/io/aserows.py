"""Cells of a row of an ASE database: arrays as bytes in the order of small machines, dictionaries as JSON or as bytes.

ASE writes a dictionary with arrays in two ways: as JSON, where {"__ndarray__": [shape, type, numbers]} stands for an
array, or as bytes, where the third entry says at which byte the array begins, and JSON follows the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .jsonvalues import parse_json

NOTHING = (None, b"", "", "null", "{}")


def numbers_and_positions(numbers: object, positions: object) -> tuple[np.ndarray, np.ndarray]:
    """Return atomic numbers (n_atoms,) and positions (n_atoms, 3) of a row's cells.

    Raises:
        ValueError: if they are no such arrays.
    """
    if not isinstance(numbers, bytes) or len(numbers) % 4:
        raise ValueError("its numbers are no array of 32-bit numbers")
    if not isinstance(positions, bytes) or len(positions) != 6 * len(numbers):
        raise ValueError(f"its positions are not three 64-bit numbers for each of {len(numbers) // 4} atoms")
    return np.frombuffer(numbers, "<i4"), np.frombuffer(positions, "<f8").reshape(-1, 3)


def decoded(cell: object, column: str) -> dict[str, Any]:
    """Return the dictionary that a cell holds.

    Args:
        cell: of the table.
        column: its name, for the sentence.

    Raises:
        ValueError: if it holds none.
    """
    if cell in NOTHING:
        return {}
    try:
        value = _of_text(cell) if isinstance(cell, str) else _of_bytes(cell) if isinstance(cell, bytes) else cell
        if not isinstance(value, dict):
            raise ValueError("no dictionary")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"its {column} cannot be read ({error})") from None
    return {str(name): entry for name, entry in value.items()}


def _of_text(cell: str) -> Any:
    value = parse_json(cell, object_hook=lambda entry: _array_of_list(entry) if _is_array(entry) else entry)
    return {name: _array_or(entry) for name, entry in value.items()} if isinstance(value, dict) else value


def _of_bytes(cell: bytes) -> Any:
    start = int.from_bytes(cell[:8], "little")
    if not 8 <= start < len(cell):
        raise ValueError("no JSON where its first eight bytes say")
    return parse_json(
        cell[start:].decode(), object_hook=lambda entry: _array_of_bytes(entry, cell) if _is_array(entry) else entry
    )


def _is_array(entry: Mapping[str, Any]) -> bool:
    return "__ndarray__" in entry


def _shape_and_type(shape: Any, name: Any) -> tuple[tuple[int, ...], np.dtype]:
    dtype = np.dtype(str(name))
    if dtype.kind not in "biuf" or not isinstance(shape, list) or len(shape) > 8:
        raise ValueError("an array of another kind than numbers")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array whose shape is none")
    return tuple(shape), dtype


def _array_of_list(entry: Mapping[str, Any]) -> np.ndarray:
    shape, name, numbers = entry["__ndarray__"]
    shape, dtype = _shape_and_type(shape, name)
    array = np.array(numbers, dtype)
    if array.size != math.prod(shape):  # ASE would repeat what there is, up to any size
        raise ValueError(f"an array of {array.size} numbers that says it has {math.prod(shape)}")
    return array.reshape(shape)


def _array_of_bytes(entry: Mapping[str, Any], cell: bytes) -> np.ndarray:
    shape, name, start = entry["__ndarray__"]
    shape, dtype = _shape_and_type(shape, name)
    end = start + dtype.itemsize * math.prod(shape)
    if not 0 <= start <= end <= len(cell):
        raise ValueError("an array beyond the end of its bytes")
    return np.frombuffer(cell[start:end], dtype.newbyteorder("<")).reshape(shape)


def _array_or(value: Any) -> Any:
    """Return a list of numbers as an array, as ASE does; anything else as it is."""
    if isinstance(value, list) and value:
        try:
            array = np.array(value)
        except ValueError:  # rows of different lengths
            return value
        return array if array.dtype.kind in "bif" else value
    return value
