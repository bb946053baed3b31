"""Safetensors files with metadata and a hash, read without trust; in numpy, since torch takes a second to import.

The metadata is one entry, `atomweave`, a JSON object: safetensors writes several entries in no fixed order. The hash
covers the metadata and every array's name, type, shape and bytes, so that one flipped bit is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .errors import RefusedFileError, printable
from .files import write_atomic

Check = Callable[[Mapping[str, str], Mapping[str, tuple[str, tuple[int, ...]]]], None]
"""Raises if a file of these metadata and these (type, shape) by name should not be read."""

LONGEST_HEADER = 2_000_000
"""Bytes; thousands of tensors. A header is parsed before anything is known of the file."""

_PIECE = 2**20
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_TYPES = {
    "BOOL": "bool", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
"""torch's names of safetensors' types."""


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays, metadata and their hash as one safetensors file, whole or not at all."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with write_atomic(path) as temporary:
        save_file(arrays, temporary, safetensors_metadata(metadata, _content_hash(arrays, metadata)))


def read_arrays(path: str | Path, wanted_format: str, version: int) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return metadata and arrays of a file that `write_arrays` wrote.

    Raises:
        RefusedFileError: if the file is a pickle whatever its suffix, truncated, damaged, of another format or of a
            version that is not known.
    """
    return read_checked(path, wanted_format, version, "np")


def read_checked(
    path: str | Path, wanted_format: str, version: int, framework: Literal["np", "pt"], check: Check | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return metadata and arrays or tensors of a file whose hash is right; see `read_arrays`.

    Nothing of the contents is in memory before the file has passed every check, whatever size it claims.

    Args:
        path: the file.
        wanted_format: as its metadata must name it.
        version: as its metadata must give it.
        framework: numpy's arrays or torch's tensors.
        check: is given the metadata and what the file holds, and raises if these should not be read.
    """
    path = Path(path)
    metadata = check_file(path, wanted_format, version, check)
    try:
        with safe_open(path, framework=framework) as file:
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise RefusedFileError(f"{path}: is no whole safetensors file ({error}).") from None
    except (AttributeError, TypeError) as error:  # numpy has no such type: bfloat16, float8
        raise RefusedFileError(f"{path}: holds an array of a type that cannot be read ({error}).") from None


def check_file(path: Path, wanted_format: str, version: int, check: Check | None = None) -> dict[str, str]:
    """Return the metadata of a file whose hash is right, in little memory; arguments and errors as `read_checked`."""
    try:
        with path.open("rb") as file:
            start, brace = file.read(8), file.read(1)
        # A header of 1,152 bytes, say, begins like a pickle; what follows its length is JSON.
        if start.startswith(_PICKLES) and brace != b"{":
            raise RefusedFileError(
                f"{path}: is a pickle (torch.save), which could run any code and is never loaded; wanted safetensors."
            )
        if (length := int.from_bytes(start, "little")) > LONGEST_HEADER:
            raise RefusedFileError(
                f"{path}: is no whole safetensors file, or its header of {length:,} bytes is too long."
            )
        with safe_open(path, framework="np") as opened:  # checks that the header fits the file, bounds included
            metadata = _metadata(path, opened.metadata() or {})
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise RefusedFileError(f"{path}: is no whole safetensors file ({_brief(error)}).") from None
    _check_format(path, metadata, wanted_format, version)
    told = metadata.pop("sha256", None)
    entries = _entries(path, 8 + length)
    if check is not None:
        check(metadata, {name: (dtype, shape) for name, dtype, shape, _ in entries})
    with path.open("rb") as file:
        found = hash_of(metadata, ((*entry[:3], _pieces(file, *entry[3])) for entry in entries))
    if told != found:
        raise RefusedFileError(f"{path}: is damaged, its content does not match its sha256; fetch or make it again.")
    return metadata


def safetensors_metadata(metadata: Mapping[str, str], sha256: str) -> dict[str, str]:
    """Return the one entry that holds metadata and hash."""
    return {"atomweave": json.dumps({**metadata, "sha256": sha256}, sort_keys=True)}


def hash_of(
    metadata: Mapping[str, str], entries: Iterable[tuple[str, str, tuple[int, ...], Iterable[bytes | memoryview]]]
) -> str:
    """Return the hexadecimal sha256 of metadata and of (name, type, shape, pieces of bytes) of arrays, both sorted."""
    digest = hashlib.sha256()
    for name, text in sorted(metadata.items()):
        digest.update(f"{name}\0{text}\0".encode())
    for name, dtype, shape, content in entries:
        digest.update(f"{name}\0{dtype}\0{shape}\0".encode())
        for piece in content:
            digest.update(piece)
    return digest.hexdigest()


def _content_hash(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    # Types are called as torch calls them: one hash for a file, whoever reads it.
    return hash_of(
        metadata,
        (
            (name, f"torch.{array.dtype}", array.shape, [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data])
            for name, array in sorted(arrays.items())
        ),
    )


def _entries(path: Path, start: int) -> list[tuple[str, str, tuple[int, ...], tuple[int, int]]]:
    """Return (name, type, shape, (first byte, last)) of every array of a file whose header safetensors has checked."""
    with path.open("rb") as file:
        header = json.loads(file.read(start)[8:])
    found = []
    for name, entry in sorted(header.items()):
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _TYPES:
            raise RefusedFileError(f"{path}: holds an array of a type that cannot be read ({entry['dtype']}).")
        first, last = (start + place for place in entry["data_offsets"])
        found.append((name, f"torch.{_TYPES[entry['dtype']]}", tuple(entry["shape"]), (first, last)))
    return found


def _pieces(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    file.seek(first)
    for place in range(first, last, _PIECE):
        yield file.read(min(_PIECE, last - place))


def _brief(error: Exception) -> str:
    said = printable(str(error))
    return said if len(said) <= 200 else said[:197] + "..."


def _metadata(path: Path, entries: Mapping[str, str]) -> dict[str, str]:
    try:
        metadata = json.loads(entries.get("atomweave", "{}"))
    except (ValueError, RecursionError) as error:
        raise RefusedFileError(f"{path}: its metadata cannot be read ({error}).") from None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise RefusedFileError(f"{path}: its metadata is no object of strings.")
    return metadata


def _check_format(path: Path, metadata: Mapping[str, str], wanted_format: str, version: int) -> None:
    found = metadata.get("format")
    if found != wanted_format:
        what = f"a file of format {found[:40]!r}" if found else "a safetensors file that Atomweave did not write"
        raise RefusedFileError(f"{path}: is {what}, wanted {wanted_format!r}.")
    if metadata.get("version") != str(version):
        raise RefusedFileError(
            f"{path}: has version {printable(str(metadata.get('version')))[:40]}, "
            f"this Atomweave reads version {version}."
        )
