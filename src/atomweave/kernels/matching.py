"""Maximum matchings of many small graphs in C (`matching.c`)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from .library import library, run


class _Arguments(ctypes.Structure):
    """`matching_task` of the C source, field by field."""

    _fields_ = (
        ("n_atoms", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("molecule", "lacks", "bonded", "beside", "awaiting")),
        ("n_lacks", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("wanting", "n_free", "n_short", "n_stuck")),
    )


def compiled() -> bool:
    """Say whether the kernel is there."""
    return library() is not None


def find_unmatched(
    lacks: Tensor, bonded: Tensor, molecule: Tensor, beside: Tensor, awaiting: Tensor, n_lacks: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what is left over now and with an atom more; see `chemistry.unmatched`.

    Args:
        lacks: (n_rows, n_atoms) integers, on the CPU.
        bonded: (n_molecules, n_atoms, n_atoms) bool, on the CPU.
        molecule: (n_rows,) int64, whose bonds a row has.
        beside: (n_rows, n_atoms) bool.
        awaiting: (n_rows, n_atoms) bool.
        n_lacks: numbers of bonds that the further atom may lack, from 0.
    """
    n_rows = len(lacks)
    tensors = {
        "molecule": molecule.contiguous(),
        "lacks": lacks.to(torch.int8).contiguous(),
        "bonded": bonded.contiguous(),
        "beside": beside.contiguous(),
        "awaiting": awaiting.contiguous(),
        "wanting": torch.zeros(lacks.shape, dtype=torch.bool),
        "n_free": torch.zeros(n_rows, n_lacks, dtype=torch.int64),
        "n_short": torch.zeros(n_rows, n_lacks, dtype=torch.int64),
        "n_stuck": torch.zeros(n_rows, n_lacks, 2, dtype=torch.int64),
    }
    pointers = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    arguments = _Arguments(n_atoms=lacks.shape[1], n_lacks=n_lacks, **pointers)
    run("find_unmatched", arguments, n_rows)
    return tensors["wanting"], tensors["n_free"], tensors["n_short"], tensors["n_stuck"]
