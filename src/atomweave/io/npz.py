"""The npz layouts of EDM (Hoogeboom et al., 2022).

Its data: padded arrays `num_atoms`, `charges` (atomic numbers), `positions`, and one value a molecule under any other
name; without `num_atoms` a charge of 0 ends a molecule. Its samples as they lie in memory: padded `one_hot`, `x` and
`node_mask`. Nothing is unpickled.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import TextColumn, column_of, is_missing
from ..files import write_atomic
from ..molecule import Molecule
from .frames import Progress, Refusal, brief, checked
from .npyarchive import load_arrays

REQUIRED = ("num_atoms", "charges", "positions")
DAMAGED = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, OSError, EOFError, MemoryError,
    struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What numpy and zipfile raise on files that are none of theirs, or no longer."""

SAMPLED = ("one_hot", "x", "node_mask")
VOCABULARIES = {
    4: (6, 7, 8, 9),
    5: (1, 6, 7, 8, 9),
    15: (5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 33, 35, 53, 80, 83),
    16: (1, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 33, 35, 53, 80, 83),
}
"""Atomic numbers by position in `one_hot`, by its width: EDM's `datasets_config.py` (QM9, GEOM)."""


def read_npz(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the molecules of an EDM file."""
    try:
        arrays = _load(path)
    except DAMAGED as error:
        yield Refusal(str(path), None, f"not an npz file of EDM's layout: {brief(error)}")
        return
    n_atoms, charges, positions = (arrays.pop(name) for name in REQUIRED)
    for frame, n in enumerate(n_atoms.tolist()):
        if not 0 <= n <= charges.shape[1]:
            yield Refusal(str(path), frame, f"num_atoms is {n}, wanted at most {charges.shape[1]}, the arrays' width")
        elif charges[frame, n:].any():
            yield Refusal(str(path), frame, f"truncated: num_atoms is {n}, but there are elements beyond")
        else:
            values = {name: array[frame] if array.ndim > 1 else array[frame].item() for name, array in arrays.items()}
            properties = {name: value for name, value in values.items() if not is_missing(value)}
            yield checked(path, frame, charges[frame, :n], positions[frame, :n], properties)
        if progress and frame % 1024 == 0:
            progress(frame / len(n_atoms))
    if len(n_atoms) == 0:
        yield Refusal(str(path), None, "the file holds no frames")


def write_npz(path: Path, molecules: Iterable[Molecule]) -> None:
    """Write EDM's layout; a property that some molecules lack is NaN or empty there."""
    molecules = list(molecules)
    n_atoms = np.array([len(molecule) for molecule in molecules], np.int64)
    charges = np.zeros((len(molecules), n_atoms.max()), np.int64)
    positions = np.zeros((*charges.shape, 3))
    for row, molecule in enumerate(molecules):
        charges[row, : len(molecule)] = molecule.numbers
        positions[row, : len(molecule)] = molecule.positions
    arrays: dict[str, Any] = {"num_atoms": n_atoms, "charges": charges, "positions": positions}
    for name in dict.fromkeys(name for molecule in molecules for name in molecule.properties):
        if name not in arrays:
            column = column_of([molecule.properties.get(name) for molecule in molecules])
            arrays[name] = np.array(list(column), np.str_) if isinstance(column, TextColumn) else column
    with write_atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    arrays = load_arrays(path)
    if not arrays.keys().isdisjoint(SAMPLED) and arrays.keys().isdisjoint(REQUIRED):
        arrays = _of_sampled(arrays)
    elif "num_atoms" not in arrays and getattr(arrays.get("charges"), "ndim", 0) == 2:
        arrays["num_atoms"] = (arrays["charges"] != 0).sum(1)
    absent = [name for name in REQUIRED if name not in arrays]
    if absent:
        raise ValueError(f"it holds no {' and no '.join(absent)}")
    n_atoms, charges, positions = (arrays[name] for name in REQUIRED)
    whole = n_atoms.dtype.kind in "iu" and charges.dtype.kind in "iu"
    if not whole or n_atoms.ndim != 1 or charges.ndim != 2 or len(charges) != len(n_atoms):
        raise ValueError("num_atoms and charges are not whole numbers of shape (n,) and (n, width)")
    if positions.shape != (*charges.shape, 3) or positions.dtype.kind != "f":
        raise ValueError(f"positions are {positions.dtype} {positions.shape}, wanted numbers {(*charges.shape, 3)}")
    return {name: a for name, a in arrays.items() if a.shape[:1] == n_atoms.shape and a.dtype.kind in "biufU"}


def _of_sampled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one_hot (n, width, n_elements), x (n, width, 3), node_mask (n, width) or (n, width, 1) as data."""
    absent = [name for name in SAMPLED if name not in arrays]
    if absent:
        raise ValueError(f"it holds no {' and no '.join(absent)}")
    one_hot, x, mask = (arrays[name] for name in SAMPLED)
    mask = mask[..., 0] if mask.ndim == 3 else mask
    if one_hot.ndim != 3 or mask.shape != one_hot.shape[:2] or one_hot.shape[2] not in VOCABULARIES:
        widths = ", ".join(map(str, VOCABULARIES))
        raise ValueError(f"one_hot is {one_hot.shape}, wanted (n, width, elements) with {widths} elements")
    present = mask > 0
    if (present[:, 1:] & ~present[:, :-1]).any():
        raise ValueError("node_mask has atoms after its padding")
    charges = np.array(VOCABULARIES[one_hot.shape[2]])[one_hot.argmax(2)] * present
    return {"num_atoms": present.sum(1), "charges": charges, "positions": x}
