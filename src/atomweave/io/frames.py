"""What a reader yields for each frame of a file: a molecule, or why there is none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, printable
from ..molecule import Molecule
from ..species import NUMBERS, SYMBOLS

Progress = Callable[[float], None]
"""Called now and then with the share of the file that has been read, 0 to 1."""


_PARTICULARS = re.compile(r"""'(?:[^'\\]|\\.)*'|"[^"]*"|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|\([A-Z][a-z]?\)""")


@dataclass(frozen=True)
class Refusal:
    """A frame that holds no usable molecule; the frames after it are still read."""

    file: str
    frame: int | None  # counted from 0; None where the file as a whole cannot be read
    reason: str  # a clause with the place (line, atom), what was found and what was wanted

    @property
    def sentence(self) -> str:
        """The refusal as users read it: file, frame and reason."""
        file = printable(self.file)  # a folder that somebody sent may hold file names with escape sequences
        place = file if self.frame is None else f"{file}, frame {self.frame}"
        return f"{place}: {printable(self.reason)}."

    @property
    def kind(self) -> str:
        """The reason without its numbers and quotations, by which refusals are counted."""
        return _PARTICULARS.sub("…", self.reason)


_ISOTOPES = {"D": 1, "T": 1}


def checked(path: Path, frame: int, numbers: Any, positions: Any, properties: Mapping[str, Any]) -> Molecule | Refusal:
    """Return the molecule, or a refusal with what `Molecule` says against it."""
    try:
        return Molecule(numbers, positions, {_text(name): _text(value) for name, value in properties.items()})
    except InputError as error:
        return Refusal(str(path), frame, str(error).rstrip("."))


def _text(value: Any) -> Any:
    """Return text without halves of surrogate pairs, which JSON may hold and no file can; anything else as it is."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def atomic_number(label: str) -> int:
    """Return the atomic number of a symbol in any case ("CL"), or of digits ("17"); D and T are hydrogen.

    Raises:
        ValueError: if there is no such element.
    """
    number = NUMBERS.get(label) or NUMBERS.get(label.capitalize()) or _ISOTOPES.get(label)
    number = number or whole_number(label)
    if number is None or not 0 < number < len(SYMBOLS):
        raise ValueError(f"unknown element {shown(label)}, wanted a symbol such as C, or a number from 1 to 118")
    return number


def whole_number(text: str, longest: int = 18) -> int | None:
    """Return the number that plain digits, at most `longest`, stand for; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= longest else None


def coordinates(fields: Sequence[str]) -> list[float]:
    """Return three numbers, written as usual, by Fortran (1.0D-3) or by Mathematica (1.0*^-3, in QM9's own files).

    Raises:
        ValueError: if these are not three numbers.
    """
    if len(fields) == 3 and "_" not in "".join(fields):  # Python would read 1_0 as ten
        try:
            return [float(entry) for entry in fields]
        except ValueError:
            with contextlib.suppress(ValueError):
                return [float(re.sub(r"\*\^|[dD](?=[-+]?\d)", "e", entry)) for entry in fields]
    raise ValueError(f"got {shown(' '.join(fields))} where three coordinates were wanted")


def shown(text: str) -> str:
    """Return what was found in a file in quotes, printable and short enough for a sentence."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def brief(error: Exception) -> str:
    """Return what another library says, without its last stop and short enough for a sentence."""
    said = " ".join(str(error).split()).rstrip(".")
    return said if len(said) <= 200 else said[:197] + "..."


def plain(value: Any) -> Any:
    """Return numpy scalars and arrays of one number as Python's own numbers, anything else as it is."""
    if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
        return value.item()
    return value
