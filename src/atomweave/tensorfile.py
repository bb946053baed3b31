"""Safetensors files with metadata and a hash: how weights and checkpoints are written, and read without trust.

The metadata is one entry, `atomweave`, a JSON object: safetensors writes several entries in no fixed order. The hash
covers the metadata and every tensor's name, type, shape and bytes, so that one flipped bit is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import RefusedFileError
from .files import write_atomic

_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, metadata and their hash as one safetensors file, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {**metadata, "sha256": content_hash(tensors, metadata)}
    with write_atomic(path) as temporary:
        save_file(tensors, temporary, {"atomweave": json.dumps(metadata, sort_keys=True)})


def read_tensors(path: str | Path, wanted_format: str, version: int) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a file that `write_tensors` wrote.

    Raises:
        RefusedFileError: if the file is a pickle whatever its suffix, truncated, damaged, of another format or of a
            version that is not known.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(_PICKLES):
            raise RefusedFileError(
                f"{path}: is a pickle (torch.save), which could run any code and is never loaded; wanted safetensors."
            )
        with safe_open(path, framework="pt") as file:
            metadata = _metadata(path, file.metadata() or {})
            _check_format(path, metadata, wanted_format, version)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise RefusedFileError(f"{path}: is no whole safetensors file ({error}).") from None
    told = metadata.pop("sha256", None)
    if told != content_hash(tensors, metadata):
        raise RefusedFileError(f"{path}: is damaged, its content does not match its sha256; fetch or make it again.")
    return metadata, tensors


def content_hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the hexadecimal sha256 of metadata and tensors, each in order of its name."""
    digest = hashlib.sha256()
    for name, text in sorted(metadata.items()):
        digest.update(f"{name}\0{text}\0".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(path: Path, entries: Mapping[str, str]) -> dict[str, str]:
    try:
        metadata = json.loads(entries.get("atomweave", "{}"))
    except ValueError as error:
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
