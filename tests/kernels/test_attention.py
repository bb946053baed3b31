"""Attention in C: values and gradients are those of torch in double precision, for any threads and any extents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from atomweave.kernels.attention import compiled
from atomweave.kernels.library import library
from atomweave.models.embedders.causal import Sight, _attention, _compiled_attention
from atomweave.models.embedders.memory import KeptKeysValues

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler here, and nobody calls the kernel without one")
TOLERANCES = {torch.float32: 2e-6, torch.bfloat16: 3 * 2**-8}
"""Relative to the largest entry; bfloat16 keeps eight bits, of sums that are formed in float32."""

N_HEADS, N_LAYERS = 8, 2


@pytest.fixture(params=[1, 2])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def results(inputs: list[Tensor], sight: Sight, fast: bool) -> list[Tensor]:
    """Return what two layers attend to, and the gradients of queries, keys and values, pairs and biases."""
    queries, keys_values, pairs, bias = (x.detach().clone().requires_grad_() for x in inputs)
    sight = Sight(pairs, sight.extent, sight.frame, None if sight.states is None else sight.states.to(pairs))
    attention = (_compiled_attention if fast else _attention)(sight, bias, (N_LAYERS, N_HEADS))
    first, second = (attend(queries, keys_values) for attend in attention)
    weights = torch.randn(first.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(pairs)
    gradients = torch.autograd.grad(
        (first * weights).sum() + (second * weights).square().sum(), (queries, keys_values, pairs, bias)
    )
    return [x.detach().double() for x in (first, second, *gradients)]


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("n_rows", "n_frames", "n_atoms", "width", "n_pair", "n_states"),
    [
        pytest.param(7, 7, 7, 128, 32, 0, id="an encoder"),
        pytest.param(9, 6, 7, 256, 48, 3, id="a decoder, several rows a frame"),
        pytest.param(1, 1, 12, 128, 32, 3, id="one decision of a growing fragment"),
        pytest.param(2, 2, 1, 128, 48, 0, id="atoms that see one atom"),
    ],
)
def test_values_and_gradients_are_those_of_torch(
    dtype: torch.dtype, n_rows: int, n_frames: int, n_atoms: int, width: int, n_pair: int, n_states: int
) -> None:
    rng = torch.Generator().manual_seed(0)
    n_molecules, wide = 5, n_pair + n_states
    shapes = [(n_rows, width), (n_atoms, 2 * width), (n_frames, n_atoms, n_pair)]
    inputs = [torch.randn(n_molecules, *shape, generator=rng) for shape in shapes]
    inputs.append(0.3 * torch.randn(N_LAYERS * N_HEADS, wide, generator=rng))
    extent = torch.randint(1, n_atoms + 1, (n_molecules, n_rows), generator=rng)
    frame = states = None
    if n_states:
        frame = torch.randint(0, n_frames, (n_molecules, n_rows), generator=rng)
        states = 0.5 * torch.randint(0, 4, (n_molecules, n_rows, n_atoms, n_states), generator=rng)
    inputs = [x.to(dtype) for x in inputs]
    sight = Sight(inputs[2], extent, frame, states)
    assert compiled(inputs[2], width, N_HEADS, n_states)
    fast = results(inputs, sight, fast=True)
    exact = results([x.double() for x in inputs], sight, fast=False)
    for got, wanted in zip(fast, exact, strict=True):
        assert wanted.abs().max() > 0 or n_atoms == 1
        assert (got - wanted).abs().max() <= TOLERANCES[dtype] * wanted.abs().max().clamp(min=1e-3)


def test_what_lies_beyond_the_extent_is_never_read() -> None:
    inputs = [torch.randn(3, 4, 128), torch.randn(3, 6, 256), torch.randn(3, 4, 6, 32), torch.randn(16, 32)]
    inputs[1][:, 4:], inputs[2][:, :, 4:] = torch.nan, torch.nan
    for x in results(inputs, Sight(inputs[2], torch.arange(1, 5).expand(3, 4)), fast=True)[:3]:
        assert x.isfinite().all()


def test_other_sizes_are_left_to_torch() -> None:
    pairs = torch.zeros(1, 1, 1, 32)
    assert compiled(pairs, 128, N_HEADS, 3)
    assert not compiled(pairs.double(), 128, N_HEADS, 3)
    assert not compiled(pairs[..., :24], 128, N_HEADS, 3)
    assert not compiled(pairs, 192, N_HEADS, 3)
    assert not compiled(pairs, 128, 4, 3)


@pytest.mark.usefixtures("_threads")
def test_kept_keys_and_values_are_read_where_they_are() -> None:
    rng = torch.Generator().manual_seed(0)
    n_kept, room, n_atoms, width = 6, 9, 7, 128
    kept = torch.randn(n_kept, room, 2 * width, generator=rng)
    rows = torch.tensor([4, 0, 5])
    queries = torch.randn(3, 1, width, generator=rng)
    pairs = torch.randn(3, 1, n_atoms, 32, generator=rng)
    bias = 0.3 * torch.randn(N_LAYERS * N_HEADS, 32, generator=rng)
    sight = Sight(pairs, torch.tensor([[7], [1], [4]]))
    for attention in (_attention, _compiled_attention):
        for attend in attention(sight, bias, (N_LAYERS, N_HEADS)):
            copied = attend(queries, kept[rows, :n_atoms])
            assert attend(queries, KeptKeysValues(kept, rows)).equal(copied)
