"""The activation x sigmoid(x) with a residual or a scale, in C (`swish.c`); values and gradients without autograd."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import torch
from torch import Tensor

from .library import library, run

_LANES = 16  # as in the C source


class _Arguments(ctypes.Structure):
    """`swish` of the C source, field by field."""

    _TENSORS = ("item_start", "z", "added", "scale", "link", "grad", "out", "grad_z", "grad_scale")
    _fields_ = (
        ("width", ctypes.c_int64),
        ("bfloat16", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in _TENSORS),
    )


def compiled(width: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether the kernel is there and made for such features."""
    fits = width % _LANES == 0 and device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
    return fits and library() is not None


def swish(z: Tensor, added: Tensor | None = None) -> Tensor:
    """Return the activation of z (n_rows, width), plus what is added, (n_rows, width)."""
    out = torch.empty_like(z)
    _run("swish_forward", z, len(z), {"added": added, "out": out})
    return out


def swish_gradient(grad: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of z (n_rows, width) and the activation itself, given the latter's gradient."""
    grad_z, out = torch.empty_like(z), torch.empty_like(z)
    _run("swish_backward", z, len(z), {"grad": grad.contiguous(), "grad_z": grad_z, "out": out})
    return grad_z, out


def scaled_swish(z: Tensor, scale: Tensor, link: Tensor) -> Tensor:
    """Return the activation of z (n_rows, width) times `scale[link]`; scale (n_links, width) is float32."""
    out = torch.empty_like(z)
    _run("swish_forward", z, len(z), {"scale": scale, "link": link, "out": out})
    return out


def scaled_swish_gradient(
    grad: Tensor, z: Tensor, scale: Tensor, link: Tensor, item_start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of z and scale and the value itself, given the latter's gradient.

    Args:
        grad: (n_rows, width).
        z: (n_rows, width).
        scale: (n_links, width) float32.
        link: (n_rows,) int64.
        item_start: (n_items + 1,) int64, first row of each item; no two items share a link.
    """
    grad_z, out, grad_scale = torch.empty_like(z), torch.empty_like(z), torch.zeros_like(scale)
    tensors = {"grad": grad.contiguous(), "scale": scale, "link": link, "item_start": item_start}
    outputs = {"grad_z": grad_z, "out": out, "grad_scale": grad_scale}
    _run("swish_backward", z, len(item_start) - 1, tensors | outputs)
    return grad_z, grad_scale, out


def _run(name: str, z: Tensor, n_items: int, tensors: Mapping[str, Tensor | None]) -> None:
    arguments = _Arguments(
        width=z.shape[1],
        bfloat16=z.dtype == torch.bfloat16,
        z=z.data_ptr(),
        **{key: x.data_ptr() for key, x in tensors.items() if x is not None},
    )
    run(name, arguments, n_items)
