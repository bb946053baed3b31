"""The activation, compiled or not: torch's values and gradients, of any shape and stride."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from atomweave.models.activation import silu


@pytest.mark.parametrize("shape", [(0, 16), (5, 32), (3, 4, 64), (3, 7)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.02)]
)
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    rng = torch.Generator().manual_seed(0)
    x = (4 * torch.randn(*shape, generator=rng)).to(dtype).mT.contiguous().mT  # the last dimension is not the densest
    weights = torch.randn(*shape, generator=rng).to(dtype)
    results = []
    for function, given in ((silu, x), (functional.silu, x.double())):
        inputs = given.detach().requires_grad_()
        value = function(inputs)
        assert value.dtype == inputs.dtype
        assert value.shape == inputs.shape
        results.append((value.detach(), torch.autograd.grad((value * weights).sum(), inputs)[0]))
    for fast, exact in zip(*results, strict=True):
        assert torch.allclose(fast.double(), exact, rtol=tolerance, atol=tolerance)
