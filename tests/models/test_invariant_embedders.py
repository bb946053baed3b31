"""The invariant embedders: the published mathematics, symmetries, and independence of whatever else is in the batch."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from atomweave.kernels import swish
from atomweave.models.embedders import invariant_embedder
from atomweave.models.embedders.dimenetpp import DimeNetPPConfig
from atomweave.models.embedders.invariant import InvariantEmbedder, build_invariant_embedder
from atomweave.models.embedders.schnet import SchNetConfig
from atomweave.models.embedders.spherenet import SphereNet, SphereNetConfig
from laws.fixed import DTYPES, SHIFT, assert_close, moves, trajectories
from reference.spherenet import embed_graph

CONFIGS = {"spherenet": SphereNetConfig(), "dimenetpp": DimeNetPPConfig(), "schnet": SchNetConfig()}
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Of the comparison with the literal evaluation, as a share of the largest value."""


def build(kind: str, dtype: torch.dtype = torch.float64) -> InvariantEmbedder:
    torch.manual_seed(0)
    embedder = build_invariant_embedder(CONFIGS[kind], 5)
    # Biases start at zero, where nobody would miss them.
    with torch.no_grad():
        for name, parameter in embedder.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5)
    return embedder.to(dtype)


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return four molecules and all their prefixes, in no order."""
    t = trajectories(dtype)
    molecule = torch.repeat_interleave(torch.arange(len(t.n_atoms)), t.n_atoms)
    size = torch.cat([torch.arange(1, int(n) + 1) for n in t.n_atoms])
    order = torch.randperm(len(size), generator=torch.Generator().manual_seed(2))
    noise = torch.randn(t.positions.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    positions = t.positions + 0.05 * noise.to(dtype)
    positions[0, 4] += 1.5  # some of the others see it
    positions[0, 5] -= 9.0  # nobody does
    positions[3, 6:] += 9.0
    return t.species, positions, t.n_atoms, molecule[order], size[order]


def test_the_batch_holds_what_the_quirks_are_about() -> None:
    positions = batch()[1]
    distance = torch.cdist(positions[3], positions[3])
    assert (distance[6:, :6] > 5).all(), "two atoms that see only each other"
    assert distance[6, 7] < 5, "two atoms that see only each other"
    assert (torch.cdist(positions[0], positions[0])[5, :5] > 5).all(), "an atom alone"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["spherenet", "dimenetpp"])
def test_values_and_gradients_are_those_of_the_literal_evaluation(kind: str, dtype: torch.dtype) -> None:
    graphs, expected, weights, gradients = literal(kind)
    embedder = build(kind, dtype)
    features = embedder(*few(dtype), *graphs)
    assert (features - expected).abs().max() <= TOLERANCES[dtype] * expected.abs().max()
    (features * weights.to(dtype)).sum().backward()
    for name, parameter in embedder.named_parameters():
        assert parameter.grad is not None
        largest = gradients[name].abs().max()
        assert largest > 0, name
        assert (parameter.grad - gradients[name]).abs().max() <= TOLERANCES[dtype] * largest, name


def few(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return the molecules of `batch`."""
    return batch(dtype)[:3]


@functools.cache
def literal(kind: str) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, dict[str, Tensor]]:
    """Return graphs, their features, weights of a sum of these, and the sum's gradients, evaluated literally."""
    network = build(kind)
    assert isinstance(network, SphereNet)
    species, positions, _ = few(torch.float64)
    molecule, size = torch.tensor([3, 0, 3, 1, 2, 0, 3]), torch.tensor([2, 6, 1, 3, 3, 5, 8])
    expected = torch.zeros(len(size), int(size.max()), network.width, dtype=torch.float64)
    for g, (m, n) in enumerate(zip(molecule.tolist(), size.tolist(), strict=True)):
        expected[g, :n] = embed_graph(network, species[m, :n], positions[m, :n])
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected * weights).sum().backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return (molecule, size), expected.detach(), weights, gradients


def test_parameters_are_as_many_as_published() -> None:
    n_parameters = {kind: sum(p.numel() for p in build(kind).parameters()) for kind in CONFIGS}
    readout = sum(p.numel() for p in build("spherenet").readout.parameters())
    assert readout == 197_504
    assert n_parameters["spherenet"] == 1_721_286 - 4 * readout
    assert n_parameters["dimenetpp"] == n_parameters["spherenet"] - 4 * (294 * 8 + 8 * 64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", CONFIGS)
def test_features_do_not_change_when_the_molecule_moves(kind: str, dtype: torch.dtype) -> None:
    embedder, (species, positions, n_atoms, molecule, size) = build(kind, dtype), batch(dtype)
    before = embedder(species, positions, n_atoms, molecule, size)
    for name, matrix in moves().items():
        moved = (positions.double() @ matrix.T + SHIFT).to(dtype)
        after = embedder(species, moved, n_atoms, molecule, size)
        if name == "reflection" and kind == "spherenet":
            # Torsions are signed.
            assert (after - before).abs().max() > 1e-3 * before.abs().max()
        else:
            assert_close(after, before)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_linear_molecule_has_the_same_features_wherever_it_lies(kind: str) -> None:
    embedder = build(kind)
    species = torch.tensor([[1, 2, 1, 0]])
    along = torch.tensor([0.0, 1.15, 2.4, 3.5], dtype=torch.float64)
    features = []
    for name in ("translation", "rotation"):
        positions = (along[:, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64) @ moves()[name].T)[None]
        features.append(embedder(species, positions, torch.tensor([4]), torch.tensor([0]), torch.tensor([4])))
    assert_close(*features)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_graph_is_the_same_alone_and_padding_changes_nothing(kind: str) -> None:
    embedder, (species, positions, n_atoms, molecule, size) = build(kind), batch()
    together = embedder(species, positions, n_atoms, molecule, size)
    assert together.shape == (len(size), int(size.max()), embedder.width)
    for g, (m, n) in enumerate(zip(molecule.tolist(), size.tolist(), strict=True)):
        alone = embedder(
            species[m : m + 1, :n], positions[m : m + 1, :n], torch.tensor([n]), torch.tensor([0]), torch.tensor([n])
        )
        assert_close(together[g, :n], alone[0])
        assert not together[g, n:].any()
    wider = (
        torch.nn.functional.pad(positions, (0, 0, 0, 3), value=0.1),
        torch.nn.functional.pad(species, (0, 3), value=4),
    )
    assert torch.equal(embedder(wider[1], wider[0], n_atoms, molecule, size), together)


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_atom_without_neighbours_is_its_types_embedding(kind: str) -> None:
    embedder, (species, positions, n_atoms, molecule, size) = build(kind), batch()
    features = embedder(species, positions, n_atoms, molecule, size)
    first = size == 1
    assert torch.equal(features[first, 0], embedder.atom(species[molecule[first], 0]))
    whole = (molecule == 0) & (size == 6)
    assert torch.equal(features[whole, 5], embedder.atom(species[:1, 5]))


@pytest.mark.parametrize("kind", CONFIGS)
def test_no_graphs_and_empty_graphs(kind: str) -> None:
    embedder, (species, positions, n_atoms, _, _) = build(kind), batch()
    none = torch.zeros(0, dtype=torch.int64)
    assert embedder(species, positions, n_atoms, none, none).shape == (0, 0, embedder.width)
    features = embedder(species, positions, n_atoms, torch.tensor([1, 1]), torch.tensor([0, 2]))
    assert not features[0].any()
    assert features[1].any(1).all()


@pytest.mark.parametrize("kind", CONFIGS)
def test_bfloat16_under_autocast_stays_near(kind: str) -> None:
    embedder, (species, positions, n_atoms, molecule, size) = build(kind, torch.float32), batch(torch.float32)
    exact = embedder(species, positions, n_atoms, molecule, size)
    with torch.autocast("cpu", torch.bfloat16):
        rough = embedder(species, positions, n_atoms, molecule, size)
    rough.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in embedder.parameters())
    assert (rough - exact).abs().max() <= 0.03 * exact.abs().max()


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for x in result if isinstance(result, tuple | list) else (result,):
            if isinstance(x, Tensor):
                self.numel = max(self.numel, x.numel())
        return result


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("at_a_time", [100, 10**9])
def test_no_tensor_grows_with_the_square_of_the_batch(
    kind: str, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(invariant_embedder.PAIRS_AT_A_TIME, "cpu", at_a_time)
    embedder, (species, positions, n_atoms, molecule, size) = build(kind, torch.float32), batch(torch.float32)
    largest = []
    for n in (4, 8):
        many = torch.cat([molecule + copy * len(species) for copy in range(n)])
        inputs = species.repeat(n, 1), positions.repeat(n, 1, 1), n_atoms.repeat(n), many, size.repeat(n)
        with Largest() as mode:
            embedder(*inputs).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2 * largest[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_compiled_layer_is_the_layer_in_torch(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, (species, positions, n_atoms, molecule, size) = build("spherenet", torch.float32), batch(torch.float32)
    results = []
    for in_torch in (False, True):
        if in_torch:
            monkeypatch.setattr(swish, "compiled", lambda *_: False)
        embedder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            features = embedder(species, positions, n_atoms, molecule, size)
        features.float().square().mean().backward()
        gradients = {name: p.grad.clone() for name, p in embedder.named_parameters() if p.grad is not None}
        results.append({"features": features.detach(), **gradients})
    tolerance = 1e-4 if dtype == torch.float32 else 0.05
    for name, value in results[0].items():
        assert (value - results[1][name]).norm() <= tolerance * results[1][name].norm(), name
