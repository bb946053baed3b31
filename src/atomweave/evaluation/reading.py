"""Reading anybody's samples as attempts: every frame counts, also one that cannot be read.

Only elements and positions are used. Bonds that a file holds are not looked at: they are perceived anew, the same way
for every model. Molecules that Atomweave wrote carry `finished` and `reason`: what the model did not end stays an
attempt that failed.
"""

# ruff: noqa: A002 - "format" as in `io`

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, UsageError, printable
from ..files import sha256_of
from ..io import FORMATS, Refusal, format_of, iterate
from ..io.folder import list_folder
from ..io.formats import FOLDER, why_no_file
from ..molecule import Molecule
from .attempts import CUT_OFF, EMPTY, FILE, NOT_A_FRAME, OTHER, UNREADABLE, Attempts, attempts_of

__all__ = ["Attempts", "attempts_of", "read_attempts"]

STORE = "store"
STORE_SUFFIX = ".safetensors"
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".mol_dict", ".npy")


def read_attempts(path: str | Path, format: str | None = None, n: int | None = None) -> Attempts:
    """Read samples.

    Args:
        path: a file of any format in `io.FORMATS`, a `MoleculeStore` (.safetensors), or a folder of molecule files
            (xyz, or EDM's molecule_000.txt, or any other one format), taken in natural order of their names.
        format: name of the format, "store" for a store; by default the suffix decides.
        n: read the first n attempts only.

    Raises:
        InputError: if nothing can be read: no such file, no molecule file, another kind of file.
        UsageError: if the format is unknown, or n is not at least 1.
    """
    path = Path(path)
    if n is not None and n < 1:
        raise UsageError(f"n is {n}, wanted at least one attempt.")
    if format not in (None, STORE):
        format_of(path, format)
    trouble = why_no_file(path)
    if trouble == FOLDER:
        attempts = _read_folder(path, format, n)
    elif trouble:
        raise InputError(f"{printable(str(path))}: {trouble}, wanted a file or a folder of molecules.")
    else:
        attempts = _read_file(path, format or _named(path), n)
    _refuse_nothing(attempts)
    return attempts


def _read_file(path: Path, format: str, n: int | None) -> Attempts:
    try:
        attempts = Attempts(source=str(path), sha256=sha256_of(path))
    except OSError as error:
        raise InputError(f"{printable(str(path))}: the file cannot be read ({error.strerror}).") from None
    frames = _rows(path) if format == STORE else iterate(path, format)
    for index, frame in zip(_up_to(n), frames, strict=False):
        attempts.add(frame, f"{path.name}, frame {index}")
    _note(attempts, format_of(path, format) if format != STORE else STORE)
    return attempts


def _read_folder(folder: Path, format: str | None, n: int | None) -> Attempts:
    if format == STORE:
        raise InputError(f"{printable(str(folder))}: this is a folder, wanted a store: one file.")
    listing = list_folder(folder, format)
    digest = hashlib.sha256()
    attempts = Attempts(source=str(folder))
    for path in listing.files:
        if n is not None and len(attempts) >= n:
            break
        frames: Iterable[Molecule | Refusal] = _frames(path, listing.format)
        for index, frame in zip(_up_to(n and n - len(attempts)), frames, strict=False):
            attempts.add(frame, path.name if index == 0 else f"{path.name}, frame {index}")
        digest.update(f"{printable(path.name)}\0{_hash(path)}\n".encode())
    if listing.skipped:
        names = ", ".join(listing.skipped[:3]) + (" ..." if len(listing.skipped) > 3 else "")
        count = len(listing.skipped)
        attempts.notes.append(
            f"left out of the folder, since they are no {listing.format} files: {names} ({count} in all)"
        )
    _note(attempts, listing.format)
    return replace(attempts, sha256=digest.hexdigest())


def _frames(path: Path, format: str) -> Iterable[Molecule | Refusal]:
    trouble = why_no_file(path)
    return [Refusal(str(path), None, trouble)] if trouble else iterate(path, format)


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return "-"


def _rows(path: Path) -> Iterator[Molecule | Refusal]:
    from ..data.store import MoleculeStore

    store = MoleculeStore.open(path)
    for index in range(len(store)):
        try:
            yield store[index]
        except InputError as error:
            yield Refusal(str(path), index, str(error).rstrip("."))


def _up_to(n: int | None) -> Iterator[int]:
    index = 0
    while n is None or index < n:
        yield index
        index += 1


def _named(path: Path) -> str:
    """Return the format that a file's suffix names, or say what to do instead."""
    shown, suffix = printable(str(path)), path.suffix.lower()
    if suffix == STORE_SUFFIX:
        return STORE
    try:
        return format_of(path)
    except UsageError:
        if suffix in PICKLES:
            raise InputError(
                f"{shown}: pickles and bare arrays are not opened, for a pickle can run anything; write the molecules "
                "to .xyz, .sdf or .npz first."
            ) from None
        known = " ".join([*(suffix for entry in FORMATS.values() for suffix in entry.suffixes), STORE_SUFFIX])
        raise InputError(
            f"{shown}: unknown suffix {printable(suffix)!r}, known are {known} and folders; name another file's format "
            f"with --format ({', '.join(FORMATS)})."
        ) from None


def _note(attempts: Attempts, format: str) -> None:
    """Add what a reader of the figures must know about these files."""
    notes, refused = attempts.notes, [detail for detail in attempts.details if detail]
    if refused:
        count = f"{len(refused)} of {len(attempts)} frames cannot be read and count as invalid"
        notes.append(f"{count}; the first: {refused[0].rstrip('.')}")
    if attempts.reasons and attempts.reasons[-1] == f"{UNREADABLE}: {CUT_OFF}":
        notes.append("the last frame is cut off: what came after it, if anything, is not among the attempts")
    if format == "sdf":
        notes.append("bonds and charges in the SDF are not used: bonds are perceived anew from the positions")
    molecules = [molecule for molecule in attempts.molecules if molecule is not None]
    if molecules and not any((molecule.numbers == 1).any() for molecule in molecules):
        notes.append("no molecule has a hydrogen atom: the valences are judged as if none were missing")
    unended = sum("_no_stop" in label for label in attempts.labels)
    if unended:
        notes.append(
            f"{unended} files are named _no_stop, as Symphony names what it did not end: judged like the others"
        )


def _refuse_nothing(attempts: Attempts) -> None:
    """Raise if these are no samples at all: no molecule, and no frame that failed for what a model put into it."""
    hopeless = {f"{UNREADABLE}: {kind}" for kind in (EMPTY, FILE, CUT_OFF, NOT_A_FRAME, OTHER)}
    read = any(molecule is not None for molecule in attempts.molecules)
    if read or not set(attempts.reasons) <= hopeless:
        return
    first = next((detail for detail in attempts.details if detail), f"{printable(attempts.source)}: it is empty.")
    raise InputError(first if len(attempts) < 2 else f"none of {len(attempts)} frames can be read; the first: {first}")
