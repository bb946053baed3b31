"""Layers in C: values and gradients are torch's, for any threads; growing, which keeps nothing, has the same values."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from atomweave.kernels import fused, swish
from atomweave.kernels.library import library
from atomweave.models.embedders.spherenet import SphereNet, SphereNetConfig
from laws.fixed import trajectories

SIZES = [(32, 16), (48, 48)]
"""Widths of features and of messages; the second ends in half a block of columns."""


@pytest.fixture(params=[1, 2])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def _embedder(width: int, narrow: int) -> SphereNet:
    torch.manual_seed(0)
    embedder = SphereNet(SphereNetConfig(width=width, triplet_width=narrow, n_layers=2, readout_width=16), 5)
    with torch.no_grad():  # biases start at zero, where nobody would miss them
        for name, parameter in embedder.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5)
    return embedder


def _features(embedder: SphereNet) -> Tensor:
    t = trajectories(torch.float32)
    molecule = torch.repeat_interleave(torch.arange(len(t.n_atoms)), t.n_atoms)
    size = torch.cat([torch.arange(1, int(n) + 1) for n in t.n_atoms])
    features: Tensor = embedder(t.species, t.positions, t.n_atoms, molecule, size)
    return features


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients_are_those_of_torch(sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = _embedder(*sizes)
    assert fused.compiled(*sizes, torch.float32, torch.device("cpu")) == (library() is not None)
    results = []
    for in_torch in (False, True):
        if in_torch:
            monkeypatch.setattr(swish, "compiled", lambda *_: False)
        embedder.zero_grad()
        features = _features(embedder)
        features.square().mean().backward()
        gradients = {name: p.grad.clone() for name, p in embedder.named_parameters() if p.grad is not None}
        results.append({"features": features.detach(), **gradients})
    for name, value in results[0].items():
        assert (value - results[1][name]).norm() <= 1e-4 * results[1][name].norm(), name


@pytest.mark.usefixtures("_threads")
def test_without_gradients_values_stay() -> None:
    embedder = _embedder(*SIZES[0])
    with torch.inference_mode():
        grown = _features(embedder)
    assert torch.equal(grown, _features(embedder).detach())


@pytest.mark.parametrize("sizes", [(24, 16), (32, 8), (32, 48)])
def test_other_widths_are_left_to_torch(sizes: tuple[int, int]) -> None:
    assert not fused.compiled(*sizes, torch.float32, torch.device("cpu"))
