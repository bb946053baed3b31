"""The convolution: its written-out gradient, and the compiled kernel against the streamed torch code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atomweave.geometry.edges import Reception, pairs_within, prefix_rows, reception
from atomweave.geometry.rotations import edge_rotations
from atomweave.kernels.convolution import CompiledConvolution, compiled
from atomweave.kernels.library import library
from atomweave.models.embedders.convolution import StreamedConvolution, convolution_paths

ROUNDING = 1e-5


def _inputs(
    lmax_in: int, lmax_out: int, channels: int, dtype: torch.dtype, everywhere: bool
) -> tuple[Tensor, Tensor, Tensor, Reception]:
    rng = torch.Generator().manual_seed(0)
    positions = torch.rand(3, 7, 3, generator=rng, dtype=dtype) * 4
    pairs = pairs_within(positions, torch.tensor([7, 5, 1]), 3.0)
    rows = prefix_rows(torch.tensor([[7, 3, 4], [2, 5, 0], [1, 0, 0]]), 7)
    chosen = (rows.molecule, rows.decision, rows.atom)
    if not everywhere:  # one atom in two fragments, one alone, one whose fragment is whole
        chosen = torch.tensor([0, 0, 2, 1]), torch.tensor([0, 2, 0, 1]), torch.tensor([2, 2, 0, 3])
    read = reception(rows, pairs, *chosen)
    n_weights = len(convolution_paths(lmax_in, lmax_out))
    features = torch.randn((lmax_in + 1) ** 2, len(rows.molecule), channels, generator=rng, dtype=dtype)
    weights = torch.randn(len(read.links), n_weights, channels, generator=rng, dtype=dtype)
    matrices = edge_rotations(pairs.vectors, max(lmax_in, lmax_out) + 1)  # one degree more than is needed
    rotations = torch.cat([matrix.flatten(1) for matrix in matrices], dim=1)
    return features.requires_grad_(), weights.requires_grad_(), rotations, read


@pytest.mark.parametrize(("lmax_in", "lmax_out"), [(0, 2), (2, 1)])
def test_the_written_gradient_is_the_gradient(lmax_in: int, lmax_out: int) -> None:
    features, weights, rotations, read = _inputs(lmax_in, lmax_out, 2, torch.float64, everywhere=False)
    assert torch.autograd.gradcheck(
        lambda x, w: StreamedConvolution.apply(x, w, rotations, read, lmax_out), (features, weights)
    )


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize(("lmax_in", "lmax_out", "channels"), [(5, 5, 64), (1, 4, 48), (2, 6, 16), (0, 3, 32)])
def test_the_compiled_kernel_agrees(lmax_in: int, lmax_out: int, channels: int, everywhere: bool) -> None:
    features, weights, rotations, read = _inputs(lmax_in, lmax_out, channels, torch.float32, everywhere)
    streamed = StreamedConvolution.apply(features, weights, rotations, read, lmax_out)
    assert compiled(features, lmax_out) == (library() is not None)
    if library() is None:
        return
    direct = CompiledConvolution.apply(features, weights, rotations, read, lmax_out)
    grad = torch.randn(direct.shape, generator=torch.Generator().manual_seed(1))
    expected = (streamed, *torch.autograd.grad(streamed, (features, weights), grad))
    found = (direct, *torch.autograd.grad(direct, (features, weights), grad))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= ROUNDING * b.abs().max()


def test_what_the_kernel_is_not_made_for_runs_in_torch() -> None:
    assert not compiled(torch.zeros(4, 3, 24), 1)
    assert not compiled(torch.zeros(4, 3, 32, dtype=torch.float64), 1)
    assert not compiled(torch.zeros(4, 3, 32), 7)
