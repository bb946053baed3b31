"""Maximum matchings of many small graphs in C (`matching.c`)."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from .library import in_parallel, library


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
    in_parallel(functools.partial(_function(), ctypes.byref(arguments)), len(lacks))
    return tensors["wanting"], tensors["n_free"]


@functools.cache
def _function() -> Any:
    loaded = library()
    assert loaded is not None, "`compiled` was asked first"
    function = loaded.find_unmatched
    function.argtypes, function.restype = [ctypes.POINTER(_Arguments), ctypes.c_int64, ctypes.c_int64], ctypes.c_int
    return function
