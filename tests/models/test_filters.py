"""The continuous-filter convolution: the compiled kernel against one operator a pair, values and gradients."""

from __future__ import annotations

import pytest
import torch

from atomweave.geometry.edges import pairs_within, prefix_rows, reception
from atomweave.geometry.harmonics import spherical_harmonics
from atomweave.kernels.filters import compiled
from atomweave.kernels.library import library
from atomweave.models.embedders.filters import FilterPath, convolve

ROUNDING = 1e-5


@pytest.mark.parametrize(("lmax_in", "lmax_out", "filters"), [(2, 2, 16), (0, 2, 32), (2, 0, 16), (1, 4, 48)])
def test_the_compiled_kernel_agrees(lmax_in: int, lmax_out: int, filters: int) -> None:
    rng = torch.Generator().manual_seed(0)
    pairs = pairs_within(torch.rand(3, 7, 3, generator=rng) * 4, torch.tensor([7, 5, 1]), 3.0)
    rows = prefix_rows(torch.tensor([[7, 3, 4], [2, 5, 0], [1, 0, 0]]), 7)
    read = reception(rows, pairs, rows.molecule, rows.decision, rows.atom)
    paths = tuple(
        path
        for a in range(lmax_in + 1)
        for b in range(3)
        for out in range(abs(a - b), min(a + b, lmax_out) + 1)
        if (path := FilterPath(a, b, out)).natural
    )
    sent = [torch.randn(2 * degree + 1, len(rows.molecule), filters, generator=rng) for degree in range(lmax_in + 1)]
    weights = torch.randn(len(read.links), len(paths), filters, generator=rng)
    assert compiled(torch.cat(sent), lmax_out) == (library() is not None)

    results = []
    for dtype in (torch.float32, torch.float64):  # the kernel is made for float32 alone
        inputs = [x.to(dtype).requires_grad_() for x in (*sent, weights)]
        harmonics = spherical_harmonics(pairs.vectors.to(dtype), 2)
        received = convolve(inputs[:-1], inputs[-1], harmonics, read, rows, paths)
        assert len(received) == max(path.degree_out for path in paths) + 1
        coefficients = torch.Generator().manual_seed(1)
        total = sum((x * torch.randn(x.shape, generator=coefficients)).sum() for x in received)
        results.append([*received, *torch.autograd.grad(total, inputs)])
    for fast, exact in zip(*results, strict=True):
        assert (fast - exact).abs().max() <= ROUNDING * exact.abs().max()
