"""Tensors in safetensors files with metadata and a hash: how weights and checkpoints are written; see `arrayfile`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .arrayfile import Check, hash_of, read_checked, safetensors_metadata
from .files import write_atomic


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, metadata and their hash as one safetensors file, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_atomic(path) as temporary:
        save_file(tensors, temporary, safetensors_metadata(metadata, content_hash(tensors, metadata)))


def read_tensors(
    path: str | Path, wanted_format: str, version: int, check: Check | None = None
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a file that `write_tensors` wrote; `check` as in `arrayfile.read_checked`.

    Raises:
        RefusedFileError: if the file is a pickle whatever its suffix, truncated, damaged, of another format or of a
            version that is not known.
    """
    return read_checked(path, wanted_format, version, "pt", check)


def content_hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the hexadecimal sha256 of metadata and tensors, each in order of its name."""
    return hash_of(
        metadata,
        ((name, str(tensor.dtype), tuple(tensor.shape), [_bytes(tensor)]) for name, tensor in sorted(tensors.items())),
    )


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
