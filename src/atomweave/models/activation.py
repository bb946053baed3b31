"""The activation x sigmoid(x): compiled where it can be, for torch's passes over bfloat16 take twice as long."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..kernels.swish import compiled, swish, swish_gradient


class _CompiledSwish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        return swish(x.flatten(0, -2)).view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return swish_gradient(grad.contiguous().flatten(0, -2), x.flatten(0, -2))[0].view(x.shape)


def silu(x: Tensor) -> Tensor:
    """Return the activation of features (..., width)."""
    if compiled(x.shape[-1], x.dtype, x.device):
        result: Tensor = _CompiledSwish.apply(x)
        return result
    return functional.silu(x)
