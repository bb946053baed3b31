"""Safetensors files with metadata and a hash, read without trust; in numpy, since torch takes a second to import.

The metadata is one entry, `atomweave`, a JSON object: safetensors writes several entries in no fixed order. The hash
covers the metadata and every array's name, type, shape and bytes, so that one flipped bit is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .errors import RefusedFileError
from .files import write_atomic

_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


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
    return read_checked(path, wanted_format, version, "np", _content_hash)


def read_checked(
    path: str | Path,
    wanted_format: str,
    version: int,
    framework: Literal["np", "pt"],
    content_hash: Callable[[Mapping[str, Any], Mapping[str, str]], str],
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return metadata and arrays or tensors of a file whose hash is right; see `read_arrays`.

    Args:
        path: the file.
        wanted_format: as its metadata must name it.
        version: as its metadata must give it.
        framework: numpy's arrays or torch's tensors.
        content_hash: of these and the metadata.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(_PICKLES):
            raise RefusedFileError(
                f"{path}: is a pickle (torch.save), which could run any code and is never loaded; wanted safetensors."
            )
        with safe_open(path, framework=framework) as file:
            metadata = _metadata(path, file.metadata() or {})
            _check_format(path, metadata, wanted_format, version)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise RefusedFileError(f"{path}: is no whole safetensors file ({error}).") from None
    except (AttributeError, TypeError) as error:  # numpy has no such type: bfloat16, float8
        raise RefusedFileError(f"{path}: holds an array of a type that cannot be read ({error}).") from None
    told = metadata.pop("sha256", None)
    if told != content_hash(arrays, metadata):
        raise RefusedFileError(f"{path}: is damaged, its content does not match its sha256; fetch or make it again.")
    return metadata, arrays


def safetensors_metadata(metadata: Mapping[str, str], sha256: str) -> dict[str, str]:
    """Return the one entry that holds metadata and hash."""
    return {"atomweave": json.dumps({**metadata, "sha256": sha256}, sort_keys=True)}


def hash_of(metadata: Mapping[str, str], entries: Iterable[tuple[str, str, tuple[int, ...], np.ndarray]]) -> str:
    """Return the hexadecimal sha256 of metadata and of (name, type, shape, (n_bytes,) uint8) of arrays, both sorted."""
    digest = hashlib.sha256()
    for name, text in sorted(metadata.items()):
        digest.update(f"{name}\0{text}\0".encode())
    for name, dtype, shape, content in entries:
        digest.update(f"{name}\0{dtype}\0{shape}\0".encode())
        digest.update(content.data)
    return digest.hexdigest()


def _content_hash(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    # Types are called as torch calls them: one hash for a file, whoever reads it.
    return hash_of(
        metadata,
        (
            (name, f"torch.{array.dtype}", array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8))
            for name, array in sorted(arrays.items())
        ),
    )


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
        what = f"a file of format {found!r}" if found else "a safetensors file that Atomweave did not write"
        raise RefusedFileError(f"{path}: is {what}, wanted {wanted_format!r}.")
    if metadata.get("version") != str(version):
        raise RefusedFileError(
            f"{path}: has version {metadata.get('version')}, this Atomweave reads version {version}."
        )
