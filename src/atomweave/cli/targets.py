"""Files that a command is going to write, checked before the work begins rather than after."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, UsageError

Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


def check_targets(*paths: Path | None, force: bool) -> None:
    """Refuse files that could not be written, or that exist; None is passed over.

    Raises:
        UsageError: if a file exists and `force` is not given, or two of them are the same.
        InputError: if a path is a folder, or its folder cannot be written to.
    """
    targets = [path for path in paths if path is not None]
    for path in targets:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, wanted the name of a file.")
        if path.exists() and not force:
            raise UsageError(f"{path}: exists; name another file, or add --force to replace it.")
        # Missing folders are made when the file is written; the nearest that exists decides.
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"{path}: cannot be written, since {folder} is not a folder that may be written to.")
    if len({path.absolute() for path in targets}) < len(targets):
        raise UsageError(f"two outputs have one name among {', '.join(map(str, targets))}: name each file once.")
