"""Sums over triplets in C: values and gradients are torch's, for any threads and any order of the graphs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from atomweave.kernels.library import library
from atomweave.models.embedders import triplets as module
from atomweave.models.embedders.prefix_graphs import prefix_graphs
from atomweave.models.embedders.triplets import Triplets, find_triplets, triplet_sum
from laws.fixed import trajectories


@pytest.fixture(params=[1, 2])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def graphs_and_inputs(with_torsions: bool, shared: bool, dtype: torch.dtype) -> tuple[Triplets, list[Tensor | None]]:
    t = trajectories()
    molecule = torch.repeat_interleave(torch.arange(len(t.n_atoms)), t.n_atoms)
    size = torch.cat([torch.arange(int(n), 0, -1) for n in t.n_atoms])  # the largest first, and one of them twice
    molecule, size = torch.cat([molecule, molecule[-3:-2]]), torch.cat([size, size[-3:-2]])
    positions = t.positions + 0.1 * torch.randn(t.positions.shape, generator=torch.Generator().manual_seed(0)).double()
    positions[3, 5] += 2.5  # beyond the cutoff of some
    triplets = find_triplets(prefix_graphs(t.species, positions.to(dtype), molecule, size, 3.0), with_torsions)
    n_links, n_messages = len(triplets.graphs.links[0]), len(triplets.edges.row)
    if shared:
        n_messages = len(triplets.graphs.pairs.sender)
    shapes = [(n_messages, 32), (n_links, 7, 8), (n_links, 49, 8), (32, 8), (32, 8)]
    rng = torch.Generator().manual_seed(1)
    inputs: list[Tensor | None] = [torch.randn(shape, generator=rng).to(dtype).requires_grad_() for shape in shapes]
    if not with_torsions:
        inputs[2] = inputs[4] = None
    return triplets, inputs


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("with_torsions", [False, True])
def test_values_and_gradients_are_those_of_torch(with_torsions: bool, shared: bool) -> None:
    results = []
    for dtype in (torch.float32, torch.float64):  # the kernel takes single precision only
        triplets, inputs = graphs_and_inputs(with_torsions, shared, dtype)
        assert inputs[0] is not None
        assert inputs[1] is not None
        assert module.compiled(inputs[0], inputs[1]) == (library() is not None and dtype == torch.float32)
        sums = triplet_sum(*inputs, triplets, shared)  # type: ignore[arg-type]
        weights = torch.randn(sums.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
        present = [x for x in inputs if x is not None]
        results.append([sums.detach(), *torch.autograd.grad((sums * weights).sum(), present)])
    for fast, exact in zip(*results, strict=True):
        assert exact.abs().max() > 0
        assert (fast - exact).abs().max() <= 1e-5 * exact.abs().max()
