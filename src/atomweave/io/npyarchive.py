"""Arrays of an npz archive, read without trust: no pickle, no header that lies, nothing that unpacks without end."""

from __future__ import annotations

import ast
import math
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
"""Bytes; numpy's own bound for what it parses without trust."""

UNPACKED = 64_000_000
"""Bytes that any archive may unpack to; larger ones `RATIO` times their own size."""

RATIO = 100
"""Padded arrays of molecules shrink to a tenth or so, zeros alone to a thousandth."""


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of flags, numbers and text by their name; others are left out.

    Raises:
        ValueError: if it is no archive of arrays, or one that must not be loaded.
        zipfile.BadZipFile, zlib.error, ...: if the archive is damaged.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            raise ValueError("a single array, wanted an archive of named arrays")
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > max(UNPACKED, RATIO * path.stat().st_size):
            raise ValueError(f"it unpacks to {unpacked / 1e6:,.0f} MB, more than arrays of molecules ever would")
        arrays = {}
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            with archive.open(entry) as file:
                array = _array(name, file, entry.file_size)
            if array is not None:
                arrays[name] = array
        return arrays


def _array(name: str, file: IO[bytes], size: int) -> np.ndarray | None:
    what = f"array {name[:40]!r}"
    start = file.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or not start.startswith(MAGIC):
        raise ValueError(f"{what} is none")
    width = 2 if start[-2] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"the header of {what} is {length} bytes long")
    dtype, fortran_order, shape = _header(what, file.read(length))
    if dtype.hasobject:
        raise ValueError(f"{what} holds pickles: Object arrays cannot be loaded")
    if dtype.kind not in "biufU":
        return None
    n_bytes, left = math.prod(shape) * dtype.itemsize, size - len(start) - width - length
    if n_bytes != left:
        raise ValueError(f"the header of {what} announces {n_bytes} bytes, {left} follow")
    content = file.read(left)
    if dtype.kind == "U" and (np.frombuffer(content, dtype.byteorder.replace("|", "=") + "u4") > 0x10FFFF).any():
        raise ValueError(f"{what} holds text of characters that do not exist")
    if n_bytes == 0:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran_order else "C")


def _header(what: str, text: bytes) -> tuple[np.dtype, bool, tuple[int, ...]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler at strange escapes, of NumPy at outdated names of types
            header: Any = ast.literal_eval(text.decode("latin-1").strip())
            dtype = np.dtype(header["descr"])
        fortran_order, shape = header["fortran_order"], header["shape"]
        sound = isinstance(shape, tuple) and len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape)
        if not sound or type(fortran_order) is not bool or len(header) != 3:
            raise ValueError
    except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError, OverflowError):
        raise ValueError(f"the header of {what} cannot be read") from None
    return dtype, fortran_order, shape
