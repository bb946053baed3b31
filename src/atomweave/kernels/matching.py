"""Maximum matchings of many small graphs in C (`matching.c`)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from .library import library, run


class _Arguments(ctypes.Structure):
    """`matching_task` of the C source, field by field."""

    _TENSORS = ("molecule", "lacks", "bonded", "wanting", "n_free")
    _fields_ = (("n_atoms", ctypes.c_int64), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled() -> bool:
    """Say whether the kernel is there."""
    return library() is not None


def find_unmatched(lacks: Tensor, bonded: Tensor, molecule: Tensor) -> tuple[Tensor, Tensor]:
    """Return which atoms want a partner, and how many partners are wanting; see `chemistry.unmatched`.

    Args:
        lacks: (n_rows, n_atoms) integers, on the CPU.
        bonded: (n_molecules, n_atoms, n_atoms) bool, on the CPU.
        molecule: (n_rows,) int64, whose bonds a row has.
    """
    tensors = {
        "molecule": molecule.contiguous(),
        "lacks": lacks.to(torch.int8).contiguous(),
        "bonded": bonded.contiguous(),
        "wanting": torch.zeros(lacks.shape, dtype=torch.bool),
        "n_free": torch.zeros(len(lacks), dtype=torch.int64),
    }
    pointers = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    arguments = _Arguments(n_atoms=lacks.shape[1], **pointers)
    run("find_unmatched", arguments, len(lacks))
    return tensors["wanting"], tensors["n_free"]
