"""Files of molecules."""

from __future__ import annotations

from pathlib import Path

from atomweave.errors import AtomweaveError
from atomweave.io import read

from .counts import Count, check

SUFFIXES = ("xyz", "extxyz", "sdf", "db", "npz")


@check(unit="files", small=5, large=5)
def empty_files(size: int, seed: int, folder: Path) -> Count:
    """An empty file of any format is refused in one sentence."""
    failures = []
    for suffix in SUFFIXES[:size]:
        path = folder / f"a.{suffix}"
        path.write_bytes(b"")
        try:
            read(path)
            failures.append(f"{suffix}: read as if it were sound")
        except AtomweaveError as error:
            if "\n" in str(error) or path.name not in str(error):
                failures.append(f"{suffix}: {error}")
    return Count(len(SUFFIXES[:size]), failures)
