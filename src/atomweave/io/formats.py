"""The formats by name and suffix. A format is named or comes from the suffix, never guessed by content."""

# ruff: noqa: A002 - "format" is the word that users of ASE and of every reader like it look for

from __future__ import annotations

import itertools
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, UsageError, did_you_mean, printable
from ..molecule import Molecule
from .asedb import read_asedb, write_asedb
from .frames import Progress, Refusal
from .npz import read_npz, write_npz
from .sdf import read_sdf
from .sdfwriter import write_sdf
from .xyz import read_extxyz, read_xyz, write_extxyz, write_xyz


@dataclass(frozen=True)
class Format:
    """How one format is read and written."""

    read: Callable[[Path, Progress | None], Iterator[Molecule | Refusal]]
    write: Callable[[Path, Iterable[Molecule]], None]
    suffixes: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "xyz": Format(read_xyz, write_xyz, (".xyz",)),
    "extxyz": Format(read_extxyz, write_extxyz, (".extxyz",)),
    "sdf": Format(read_sdf, write_sdf, (".sdf", ".mol")),
    "asedb": Format(read_asedb, write_asedb, (".db",)),
    "npz": Format(read_npz, write_npz, (".npz",)),
}
"""Every format by its name; "db" is understood for "asedb"."""


FOLDER = "this is a folder"
SPECIAL = "this is no regular file but a pipe or a device"


def format_of(path: str | Path, format: str | None = None) -> str:
    """Return the name of a file's format.

    Raises:
        UsageError: if the name is unknown, or the suffix belongs to no format.
    """
    if format is not None:
        name = {"db": "asedb"}.get(format, format)
        if name not in FORMATS:
            raise UsageError(f"unknown format {format!r}: {did_you_mean(format, FORMATS)}")
        return name
    suffix = Path(path).suffix.lower()
    for name, entry in FORMATS.items():
        if suffix in entry.suffixes:
            return name
    known = " ".join(suffix for entry in FORMATS.values() for suffix in entry.suffixes)
    raise UsageError(f"{path}: unknown suffix {suffix!r} (known: {known}); name a format: {', '.join(FORMATS)}.")


def iterate(
    path: str | Path, format: str | None = None, progress: Progress | None = None
) -> Iterator[Molecule | Refusal]:
    """Yield every frame of a file: its molecule, or a `Refusal` that says why there is none.

    Args:
        path: the file.
        format: a name in `FORMATS`; by default the suffix decides.
        progress: called now and then with the share of the file that has been read.

    Raises:
        InputError: if there is no such file.
        UsageError: if the format is unknown.
    """
    path, reader = Path(path), FORMATS[format_of(path, format)].read
    trouble = why_no_file(path)
    if trouble:
        raise InputError(f"{printable(str(path))}: {trouble}, wanted a file.")
    return _frames(reader, path, progress)


def _frames(
    reader: Callable[[Path, Progress | None], Iterator[Molecule | Refusal]], path: Path, progress: Progress | None
) -> Iterator[Molecule | Refusal]:
    try:
        yield from reader(path, progress)
    except OSError as error:  # no permission, a disk that fails
        yield Refusal(str(path), None, f"the file cannot be read: {error.strerror or error}")


def why_no_file(path: Path) -> str:
    """Return why nothing can be read from a path, in a clause; empty for a regular file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:  # no permission, a loop of links, a name too long or with a NUL
        return f"the file cannot be reached ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISREG(mode):
        return ""
    return FOLDER if stat.S_ISDIR(mode) else SPECIAL


def read(path: str | Path, format: str | None = None) -> list[Molecule]:
    """Return all molecules of a file; `iterate` reads on past broken frames instead.

    Raises:
        InputError: at the first frame that holds no usable molecule, naming file and frame.
    """
    molecules = []
    for frame in iterate(path, format):
        if isinstance(frame, Refusal):
            raise InputError(frame.sentence)
        molecules.append(frame)
    return molecules


def write(path: str | Path, molecules: Molecule | Iterable[Molecule], format: str | None = None) -> None:
    """Write molecules to a file, whole or not at all; the same molecules give the same bytes.

    Positions keep 8 decimals in xyz and extxyz, 4 in sdf, all in db and npz. Plain xyz keeps no properties.

    Raises:
        InputError: if there are no molecules, or a property does not fit the format.
        UsageError: if the format is unknown.
    """
    writer = FORMATS[format_of(path, format)].write
    stream = iter([molecules] if isinstance(molecules, Molecule) else molecules)
    first = next(stream, None)
    if first is None:
        raise InputError(f"{path}: there are no molecules to write.")
    writer(Path(path), itertools.chain([first], stream))
