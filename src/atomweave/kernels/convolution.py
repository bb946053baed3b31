"""The equivariant convolution in C: values and gradients of `models.embedders.convolution.convolve`."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .library import library, run

if TYPE_CHECKING:
    from ..geometry.edges import Reception

_LANES, _MAX_DEGREE = 16, 6  # as in the C source


class _Arguments(ctypes.Structure):
    """`convolution` of the C source, field by field."""

    _SIZES = ("channels", "lmax_in", "lmax_out", "n_atoms", "n_rows", "n_receivers", "rotation_size")
    _TENSORS = (
        *("features", "weights", "rotations", "pair", "link", "order", "molecule_start", "atom", "prefix", "first_row"),
        *("received", "grad_received", "grad_features", "grad_weights"),
    )
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(features: Tensor, lmax_out: int) -> bool:
    """Say whether the kernel is there and made for these features (components, n_rows, channels)."""
    fits = features.shape[2] % _LANES == 0 and len(features) <= (_MAX_DEGREE + 1) ** 2 and lmax_out <= _MAX_DEGREE
    return fits and features.device.type == "cpu" and features.dtype == torch.float32 and library() is not None


class CompiledConvolution(torch.autograd.Function):
    """Streams over fragments: nothing is stored per edge, and the backward pass turns the features again."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        rotations: Tensor,
        read: Reception,
        lmax_out: int,
    ) -> Tensor:
        """Return (components out, n_receivers, n_degrees_in * channels).

        Args:
            ctx: as autograd gives it.
            features: (components in, n_rows, channels).
            weights: (n_links_read, n_paths, channels).
            rotations: (n_pairs, sum of (2l + 1)^2), the matrices of all degrees one after the other.
            read: who receives what.
            lmax_out: highest degree of the result.
        """
        degrees_in = int(len(features) ** 0.5)
        n_receivers = len(read.atom)
        received = features.new_empty((lmax_out + 1) ** 2, n_receivers, degrees_in * features.shape[2])
        order, molecule_start = read.by_molecule
        inputs = {
            "features": features.contiguous(),
            "weights": weights.contiguous(),
            "rotations": rotations.contiguous(),
            "order": order,
            "molecule_start": molecule_start,
            **{name: getattr(read, name).contiguous() for name in ("pair", "link", "atom", "prefix", "first_row")},
        }
        ctx.lmax_out, ctx.names = lmax_out, tuple(inputs)
        ctx.save_for_backward(*inputs.values())
        _run("convolution_forward", lmax_out, n_receivers, inputs | {"received": received})
        return received

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of features and weights."""
        inputs = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        outputs = {
            "grad_features": torch.zeros_like(inputs["features"]),
            "grad_weights": torch.zeros_like(inputs["weights"]),
        }
        _run(
            "convolution_backward", ctx.lmax_out, grad.shape[1], inputs | outputs | {"grad_received": grad.contiguous()}
        )
        return outputs["grad_features"], outputs["grad_weights"], None, None, None


def _run(name: str, lmax_out: int, n_receivers: int, tensors: dict[str, Tensor]) -> None:
    n_components, n_rows, channels = tensors["features"].shape
    arguments = _Arguments(
        channels=channels,
        lmax_in=int(n_components**0.5) - 1,
        lmax_out=lmax_out,
        n_atoms=tensors["pair"].shape[1],
        n_rows=n_rows,
        n_receivers=n_receivers,
        rotation_size=tensors["rotations"].shape[1],
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
    )
    run(name, arguments, len(tensors["pair"]))
