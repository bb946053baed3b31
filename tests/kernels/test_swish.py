"""The activation in C: torch's values and gradients, in both precisions."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from atomweave.kernels.library import library
from atomweave.kernels.swish import compiled, scaled_swish, scaled_swish_gradient, swish, swish_gradient

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler here, and nobody calls the kernel without one")
TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 2**-8}
"""Relative; bfloat16 keeps eight bits."""


def numbers(dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    z = 5 * torch.randn(37, 48, generator=torch.Generator().manual_seed(seed))
    z[0, :8] = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 86.0, -86.0, 300.0, -300.0])
    return z.to(dtype)


def assert_near(value: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype) -> None:
    assert value.dtype == dtype
    assert torch.allclose(value.double(), exact, rtol=TOLERANCES[dtype], atol=1e-6 if dtype == torch.float32 else 1e-3)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_values_and_gradients(dtype: torch.dtype) -> None:
    z, added, grad = (numbers(dtype, seed) for seed in range(3))
    assert compiled(z.shape[1], dtype, z.device)
    exact = z.double().requires_grad_()
    value = functional.silu(exact)
    assert_near(swish(z), value.detach(), dtype)
    assert_near(swish(z, added), (value + added.double()).detach(), dtype)
    grad_z, again = swish_gradient(grad, z)
    assert_near(again, value.detach(), dtype)
    assert_near(grad_z, torch.autograd.grad(value, exact, grad.double())[0], dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_scaled_by_links_that_items_do_not_share(dtype: torch.dtype) -> None:
    z, grad = numbers(dtype), numbers(dtype, 1)
    item_start = torch.tensor([0, 10, 10, 37])
    link = torch.cat([torch.arange(10) % 3, 3 + torch.arange(27) % 4])
    scale = torch.randn(7, 48, generator=torch.Generator().manual_seed(3))
    exact_z, exact_scale = z.double().requires_grad_(), scale.double().requires_grad_()
    value = functional.silu(exact_z) * exact_scale[link]
    expected = torch.autograd.grad(value, (exact_z, exact_scale), grad.double())
    assert_near(scaled_swish(z, scale, link), value.detach(), dtype)
    grad_z, grad_scale, again = scaled_swish_gradient(grad, z, scale, link, item_start)
    assert_near(again, value.detach(), dtype)
    assert_near(grad_z, expected[0], dtype)
    assert torch.allclose(grad_scale.double(), expected[1], rtol=1e-5, atol=1e-4)


def test_what_is_no_number_stays_none() -> None:
    z = torch.full((1, 16), torch.nan)
    assert swish(z).isnan().all()
    assert swish_gradient(torch.ones(1, 16), z)[0].isnan().all()
