"""One property of every molecule of a store: a numpy array, or ragged UTF-8 text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .errors import InputError


class TextColumn(Sequence[str]):
    """Strings kept as one block of UTF-8 bytes, so that they can be memory-mapped like numbers.

    Args:
        utf8: (n_bytes,) uint8, all strings one after the other.
        offsets: (n + 1,) int64; string i is `utf8[offsets[i]:offsets[i + 1]]`.
    """

    def __init__(self, utf8: np.ndarray, offsets: np.ndarray) -> None:
        if utf8.ndim != 1 or utf8.dtype != np.uint8:
            raise InputError(f"text bytes are {utf8.dtype} of shape {utf8.shape}, wanted uint8 in one dimension.")
        check_offsets(offsets, len(utf8), "text offsets")
        self.utf8, self.offsets = utf8, offsets

    @classmethod
    def of(cls, strings: Iterable[str]) -> TextColumn:
        """Make a column of strings."""
        encoded = [string.encode(errors="replace") for string in strings]
        offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in encoded], dtype=np.int64)]).astype(np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> Any:
        """Return one string for an integer; a `TextColumn` for a slice or an integer array."""
        if isinstance(index, slice) or np.ndim(index) == 1:
            return TextColumn.of(self[int(i)] for i in np.arange(len(self))[index])
        index = range(len(self))[index]
        return self.utf8[self.offsets[index] : self.offsets[index + 1]].tobytes().decode(errors="replace")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


Column = np.ndarray | TextColumn


def check_offsets(offsets: np.ndarray, end: int, what: str) -> None:
    """Raise InputError unless `offsets` is int64, starts at 0, never falls and ends at `end`."""
    sound = offsets.ndim == 1 and offsets.dtype == np.int64 and len(offsets) > 0
    if not sound or offsets[0] != 0 or offsets[-1] != end or (offsets[1:] < offsets[:-1]).any():
        raise InputError(f"{what} do not rise from 0 to {end} as int64: the pieces cannot be told apart.")


def column_of(values: Sequence[Any]) -> Column:
    """Make a column of one property's values, None where a molecule lacks it.

    Numbers and flags of one shape become an array (NaN where missing, which turns integers and flags into floats),
    strings become text ("" where missing), anything else becomes text in JSON.
    """
    present = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in present):
        return TextColumn.of("" if value is None else value for value in values)
    arrays = [array for value in present if (array := _array(value)) is not None]
    if len(arrays) < len(present) or any(array.shape != arrays[0].shape for array in arrays):
        return TextColumn.of("" if v is None else v if isinstance(v, str) else _json(v) for v in values)
    kinds = {array.dtype.kind for array in arrays}
    dtype = np.bool_ if kinds == {"b"} else np.int64 if "f" not in kinds else np.float64
    if len(present) == len(values):
        return np.array(arrays).astype(dtype)
    missing = np.full(arrays[0].shape, np.nan)
    return np.array([missing if value is None else value for value in values], np.float64)


def is_missing(value: Any) -> bool:
    """Return whether a stored value stands for a property that the molecule lacks: NaN throughout, or no text."""
    if isinstance(value, str):
        return not value
    return bool(np.asarray(value).dtype.kind == "f" and np.isnan(value).all())


def _array(value: Any) -> np.ndarray | None:
    """Return flags and numbers as an array; None for whatever is neither, or no 64 bits hold."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        return None
    return array if array.dtype.kind in "biuf" else None


def _json(value: Any) -> str:
    return json.dumps(value, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other))
