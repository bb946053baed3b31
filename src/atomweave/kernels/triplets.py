"""Sums over triplets in C (`triplets.c`): values and gradients of `models.embedders.triplets.triplet_sum`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from .library import library, run

_LANES, _BASIS, MAX_DEGREES = 16, 8, 7  # as in the C source


class _Arguments(ctypes.Structure):
    """`triplets` of the C source, field by field."""

    _SIZES = ("n_atoms", "channels", "n_degrees", "shared")
    _TENSORS = (
        *(
            "positions",
            "towards",
            "norms",
            "sender",
            "link",
            "first_pair",
            "graph_start",
            "first",
            "count",
            "nearest",
            "second",
        ),
        *("messages", "angle", "torsion", "expand_angle", "expand_torsion", "sums", "grad_sums", "grad_messages"),
        *("grad_angle", "grad_torsion", "grad_expand_angle", "grad_expand_torsion"),
    )
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(messages: Tensor, angle: Tensor) -> bool:
    """Say whether the kernel is there and made for messages (n, channels) and bases (n_links, n_degrees, n_basis)."""
    fits = messages.shape[1] % _LANES == 0 and angle.shape[1] <= MAX_DEGREES and angle.shape[2] == _BASIS
    return fits and messages.device.type == "cpu" and messages.dtype == torch.float32 and library() is not None


class CompiledTripletSum(torch.autograd.Function):
    """Streams over triplets: nothing is stored of one, and the backward pass forms its weights again."""

    @staticmethod
    def forward(
        ctx: Any,
        messages: Tensor,
        angle: Tensor,
        torsion: Tensor | None,
        expand_angle: Tensor,
        expand_torsion: Tensor | None,
        tables: dict[str, Tensor],
        n_edges: int,
        shared: bool,
    ) -> Tensor:
        """Return (n_edges, channels); arguments as of `triplet_sum`, with `tables` of the triplets."""
        learnt = {
            "messages": messages,
            "angle": angle,
            "torsion": torsion,
            "expand_angle": expand_angle,
            "expand_torsion": expand_torsion,
        }
        inputs = {name: x.contiguous() for name, x in learnt.items() if x is not None}
        ctx.tables, ctx.shared, ctx.names = tables, shared, tuple(inputs)
        ctx.save_for_backward(*inputs.values())
        return run_forward(inputs, tables, n_edges, shared)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of messages, bases and matrices."""
        inputs = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        gradients = run_backward(grad, inputs, ctx.tables, ctx.shared)
        names = ("messages", "angle", "torsion", "expand_angle", "expand_torsion")
        return *(gradients.get(name) for name in names), None, None, None


def run_forward(inputs: dict[str, Tensor], tables: dict[str, Tensor], n_edges: int, shared: bool) -> Tensor:
    """Return (n_edges, channels), without autograd; `inputs` are the contiguous arguments of `CompiledTripletSum`."""
    sums = inputs["messages"].new_zeros(n_edges, inputs["messages"].shape[1])
    _run("triplets_forward", shared, tables | inputs | {"sums": sums})
    return sums


def run_backward(grad: Tensor, inputs: dict[str, Tensor], tables: dict[str, Tensor], shared: bool) -> dict[str, Tensor]:
    """Return the gradients of the inputs, by name, given that of `run_forward`."""
    n_molecules, channels = len(tables["first_pair"]), grad.shape[1]
    gradients = {
        # A molecule's own, for threads share nothing.
        name: x.new_zeros(n_molecules, _BASIS, channels) if "expand" in name else torch.zeros_like(x)
        for name, x in inputs.items()
    }
    outputs = {f"grad_{name}": x for name, x in gradients.items()}
    _run("triplets_backward", shared, tables | inputs | outputs | {"grad_sums": grad.contiguous()})
    return {name: x.sum(0).T if "expand" in name else x for name, x in gradients.items()}


def _run(name: str, shared: bool, tensors: dict[str, Tensor]) -> None:
    n_molecules, n_atoms = tensors["first_pair"].shape
    arguments = _Arguments(
        n_atoms=n_atoms,
        channels=tensors["messages"].shape[1],
        n_degrees=tensors["angle"].shape[1],
        shared=shared,
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
    )
    run(name, arguments, n_molecules)
