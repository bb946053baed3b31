"""Integrals over half of a symmetric grid, and the compiled kernel for them."""

from __future__ import annotations

import pytest
import torch

from atomweave.geometry.harmonics import spherical_harmonics
from atomweave.geometry.sphere import grid_harmonics, half_grid, log_integral, sphere_grid
from atomweave.kernels.library import library
from atomweave.kernels.sphere import compiled


@pytest.mark.parametrize("n_polar", [45, 20])
def test_half_of_the_grid_gives_the_whole_integral(n_polar: int) -> None:
    coefficients = torch.randn(7, 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points, weights = half_grid(n_polar, 30)
    half = log_integral(coefficients, spherical_harmonics(points, 4).T, weights, antipodal=True)
    whole = log_integral(coefficients, grid_harmonics(n_polar, 30, 4), sphere_grid(n_polar, 30).weights)
    assert torch.allclose(half, whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("lmax", [0, 1, 4, 5])
@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("level", [0.0, -300.0, 300.0])
def test_the_compiled_kernel_agrees(lmax: int, scale: float, level: float) -> None:
    # Rows and points that fill neither a tile nor a vector, and logits up to several hundreds, all on one side of zero.
    coefficients = torch.randn(11, (lmax + 1) ** 2, generator=torch.Generator().manual_seed(1)) * scale
    coefficients[:, 0] += level
    assert compiled(coefficients) == (library() is not None)
    points, weights = half_grid(45, 90)
    values, gradients = [], []
    for dtype in (torch.float32, torch.float64):
        here = coefficients.to(dtype).requires_grad_()
        values.append(
            log_integral(here, spherical_harmonics(points, lmax).T.to(dtype), weights.to(dtype), antipodal=True)
        )
        gradients.append(torch.autograd.grad(values[-1].sum(), here)[0])
    assert (values[0] - values[1]).abs().max() <= 1e-5 * (1 + values[1].abs().max())
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-4 * gradients[1].abs().max()
    with torch.no_grad():
        harmonics = spherical_harmonics(points, lmax).T.float()
        assert torch.equal(log_integral(coefficients, harmonics, weights.float(), antipodal=True), values[0])
