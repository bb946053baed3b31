"""SMILES files (.smi): one molecule a line, its SMILES and, after a blank, its name. Graphs only, without positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, printable
from .formats import why_no_file
from .lines import Lines, open_text


@dataclass(frozen=True)
class SmilesLine:
    """One molecule of a SMILES file."""

    smiles: str
    name: str  # empty where the line gives none


def read_smiles(path: str | Path) -> list[SmilesLine]:
    """Return the molecules of a SMILES file in order; blank lines and those that begin with # are skipped.

    Raises:
        InputError: if there is no such file, or it holds no molecule.
    """
    path = Path(path)
    shown = printable(str(path))
    trouble = why_no_file(path)
    if trouble:
        raise InputError(f"{shown}: {trouble}, wanted a file with one SMILES a line.")
    found = []
    with open_text(path) as file:
        lines = Lines(file)
        while (line := lines.take()) is not None:
            smiles, *rest = line.split(maxsplit=1) or [""]
            if smiles and not smiles.startswith("#"):
                found.append(SmilesLine(smiles, rest[0].strip() if rest else ""))
    if not found:
        raise InputError(f"{shown}: the file holds no SMILES, wanted one a line.")
    return found
