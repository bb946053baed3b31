"""The molecule files of a folder, as generators leave them: one molecule each, or one file a run."""

# ruff: noqa: A002 - "format" as in `formats`

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, UsageError, printable
from .formats import FOLDER, SPECIAL, format_of, why_no_file

NUMBERED_TEXT = re.compile(r".*_[0-9]+\.txt", re.IGNORECASE | re.DOTALL)
"""EDM's own script writes plain XYZ under names such as molecule_000.txt."""

XYZ = ("xyz", "extxyz")


@dataclass(frozen=True)
class Listing:
    """What lies in a folder.

    Attributes:
        files: the molecule files in natural order (2 before 10); a link that leads nowhere is among them.
        format: of all of them.
        skipped: names of what is no molecule file, printable; hidden entries are not mentioned.
    """

    files: list[Path]
    format: str
    skipped: list[str]


def list_folder(folder: Path, format: str | None = None) -> Listing:
    """Return the molecule files of a folder, not of folders inside it.

    Args:
        folder: the folder.
        format: take files of this format only; needed where there are several, for the same molecules converted to a
            second format would be counted twice.

    Raises:
        InputError: if there are none, or of several formats.
        UsageError: if the format is unknown.
    """
    wanted = None if format is None else format_of(folder, format)
    shown = printable(str(folder))
    try:
        names = sorted((entry.name for entry in folder.iterdir() if not entry.name.startswith(".")), key=natural)
    except OSError as error:
        raise InputError(f"{shown}: the folder cannot be read ({error.strerror}).") from None
    formats = {name: _format(folder / name) for name in names}
    if not any(formats.values()) or wanted in XYZ:
        numbered = {name: "xyz" for name in names if NUMBERED_TEXT.fullmatch(name) and _may_be_file(folder / name)}
        formats |= numbered
    if wanted is not None:
        formats = {name: found if _fits(found, wanted) else None for name, found in formats.items()}
    files = [folder / name for name, found in formats.items() if found]
    skipped = [printable(name) for name, found in formats.items() if not found]
    counts = Counter(found for found in formats.values() if found)
    if not files:
        what = "molecule files" if wanted is None else f"{wanted} files"
        there = f"it holds {', '.join(skipped[:3])}{' ...' if len(skipped) > 3 else ''}" if skipped else "it is empty"
        raise InputError(f"{shown}: the folder has no {what} ({there}); folders inside it are not searched.")
    if len(counts) > 1 and wanted is None:
        found = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
        raise InputError(f"{shown}: the folder holds several formats ({found}): name the one to read with --format.")
    return Listing(files, wanted or next(iter(counts)), skipped)


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key by which numbers inside names count as numbers."""
    return [int(piece) if piece.isdigit() else piece for piece in re.split("([0-9]+)", name)], name


def _format(path: Path) -> str | None:
    try:
        return format_of(path) if _may_be_file(path) else None
    except UsageError:
        return None


def _may_be_file(path: Path) -> bool:
    # What cannot be reached may have been a molecule: it is read, refused and counted. A folder or a pipe never was.
    return why_no_file(path) not in (FOLDER, SPECIAL)


def _fits(found: str | None, wanted: str) -> bool:
    return found == wanted or (found in XYZ and wanted in XYZ)
