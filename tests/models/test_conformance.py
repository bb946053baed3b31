"""The fast Symphony against the published sizes and against the naive one, value by value."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atomweave.geometry.edges import pairs_within, prefix_rows
from atomweave.geometry.sphere import grid_harmonics, log_integral, sphere_grid
from atomweave.growth.policies import build_policy
from atomweave.growth.trajectories import Trajectories
from atomweave.models.embedders.e3schnet import E3SchNet, E3SchNetConfig
from atomweave.models.registry import build_model
from atomweave.models.symphony import Symphony
from atomweave.training.config import load_config
from reference.conventions import fragment_graph
from reference.molecules import qm9_molecules
from reference.nequip import NaiveNequip
from reference.schnet import PlainSchNet
from reference.symphony import NaiveSymphony, by_naive_name, lessons, naive_copy

RELATIVE = {torch.float32: 1e-4, torch.float64: 1e-10}
GRID_ERROR = 1e-4
"""How far, in nats, log Z on 45 x 90 and a cap of 160 points may lie from 180 x 359 for an untrained model."""


@pytest.fixture(scope="module")
def symphony() -> Symphony:
    torch.manual_seed(0)
    model = build_model(load_config("symphony", []).model)
    assert isinstance(model, Symphony)
    with torch.no_grad():  # biases start at zero, where a missing one would not show
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return model


def trajectories(model: Symphony, formulas: tuple[str, ...], dtype: torch.dtype) -> Trajectories:
    molecules = [qm9_molecules()[formula] for formula in formulas]
    grown, _ = build_policy(model.policy, model.species).grow_molecules(molecules, seed=1)
    assert len(grown.n_atoms) == len(molecules)
    return replace(grown, positions=grown.positions.to(dtype))


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def assert_close(fast: Tensor, naive: Tensor) -> None:
    assert (fast - naive).abs().max() <= RELATIVE[fast.dtype] * naive.abs().max()


def test_published_parameter_counts(symphony: Symphony) -> None:
    assert n_parameters(symphony.focus_embedder) == 85_632
    assert n_parameters(symphony.focus_head) == 25_216
    assert n_parameters(symphony.position_embedder) == 2_070_336
    assert n_parameters(symphony.position_head) == 51_072
    assert n_parameters(symphony) == n_parameters(NaiveSymphony()) == 2_232_256


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_the_naive_model(symphony: Symphony, dtype: torch.dtype) -> None:
    """Logits, coefficients and losses, decision by decision, with the noise of training."""
    fast = symphony.to(dtype)
    naive = naive_copy(fast)
    t = trajectories(fast, ("CH2O", "CH4O", "N4O"), dtype)
    noise = 0.05 * torch.randn(t.positions.shape, generator=torch.Generator().manual_seed(7)).to(dtype)
    with torch.no_grad():
        logits, place, features = fast._read(t, t.positions + noise)
        species, vectors = fast._targets(t, place, t.positions)
        coefficients = fast.position_head.coefficients(features, species)
        divergences = fast.position_head.divergence(features, species, vectors, None)["position"]
        placement = 0
        decisions = (t.kind >= 0).nonzero().tolist()
        for (molecule, decision), lesson in zip(decisions, lessons(t, len(fast.species), noise), strict=True):
            expected = naive.focus_logits(lesson.graph)
            assert_close(logits[molecule, decision, 1 : 1 + expected.numel()], expected.flatten())
            assert torch.isinf(logits[molecule, decision, 1 + expected.numel() :]).all()
            if not lesson.stop:
                expected = naive.coefficients(lesson.graph, lesson.focus, lesson.species)
                assert_close(coefficients[placement].transpose(0, 1), expected)
                assert abs(divergences[placement] - naive.losses(lesson)[1]) < GRID_ERROR
                placement += 1
        assert placement == len(species)


def test_losses_are_those_of_the_naive_model(symphony: Symphony) -> None:
    fast = symphony.double()
    naive = naive_copy(fast)
    t = trajectories(fast, ("CHN", "C2H2", "H2O"), torch.float64)
    with torch.no_grad():
        terms = fast.loss(t, None)
        expected = torch.tensor([[float(x) for x in naive.losses(lesson)] for lesson in lessons(t, len(fast.species))])
    focus, position = expected.double().mean(0).tolist()
    assert terms["focus"].item() == pytest.approx(focus, abs=1e-6)
    assert terms["position"].item() == pytest.approx(position, abs=GRID_ERROR)
    assert terms["loss"].item() == pytest.approx(focus + position, abs=GRID_ERROR)


def test_gradients_are_those_of_the_naive_model(symphony: Symphony) -> None:
    """The fast convolution writes out its own gradient; logits and coefficients are weighted at random and summed."""
    fast = symphony.double()
    naive = naive_copy(fast)
    fast.zero_grad()
    t = trajectories(fast, ("CH2O",), torch.float64)
    rng = torch.Generator().manual_seed(3)
    logits, place, features = fast._read(t, t.positions)
    species, _ = fast._targets(t, place, t.positions)
    coefficients = fast.position_head.coefficients(features, species).transpose(1, 2)
    total, placement = torch.zeros((), dtype=torch.float64), 0
    for decision, lesson in enumerate(lessons(t, len(fast.species))):
        expected = naive.focus_logits(lesson.graph).flatten()
        weights = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
        (weights * expected).sum().backward()
        total = total + (weights * logits[0, decision, 1 : 1 + len(expected)]).sum()
        if not lesson.stop:
            expected = naive.coefficients(lesson.graph, lesson.focus, lesson.species)
            weights = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
            (weights * expected).sum().backward()
            total = total + (weights * coefficients[placement]).sum()
            placement += 1
    total.backward()
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in fast.named_parameters()}
    for name, gradient in by_naive_name(gradients, naive).items():
        expected = naive.get_parameter(name).grad
        if expected is None:  # filters that lead nowhere
            assert gradient.abs().max() == 0, name
        else:
            assert (gradient - expected).norm() <= 1e-9 * expected.norm(), name


def test_gradient_of_log_integral() -> None:
    coefficients = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    harmonics, weights = grid_harmonics(12, 25, 3), sphere_grid(12, 25).weights
    torch.autograd.gradcheck(lambda c: log_integral(c, harmonics, weights), coefficients.requires_grad_())


def test_products_in_the_frame_of_the_edge_are_clebsch_gordan_products() -> None:
    molecule = qm9_molecules()["CH4O"]
    torch.manual_seed(0)
    naive = NaiveNequip(n_channels=4).double()
    species = torch.tensor([1, 0, 0, 0, 3, 0])
    graph = fragment_graph(species, torch.tensor(molecule.positions))
    with torch.no_grad():
        framed, coupled = naive(graph, "frame"), naive(graph, "coupled")
    for degree in range(6):
        assert_close(framed[degree], coupled[degree])


def test_e3schnet_at_lmax_0_is_schnet() -> None:
    config = E3SchNetConfig(channels=12, lmax=0, n_layers=2, n_filters=6, n_radial=7)
    torch.manual_seed(0)
    fast = E3SchNet(config, 5).double()
    plain = PlainSchNet(5, 12, n_filters=6, n_basis=7, n_layers=2, cutoff=5.0).double()
    with torch.no_grad():
        plain.embedding.weight.copy_(fast.linear_in([fast.embedding])[0])
        for index, layer in enumerate(fast.layers):
            layer.filter_hidden.bias.normal_()
            layer.filter_out.bias.normal_()
            plain.filters[index][0].load_state_dict(layer.filter_hidden.state_dict())
            plain.filters[index][1].load_state_dict(layer.filter_out.state_dict())
            plain.atomwise_in[index].weight.copy_(layer.linear_filter.weights[0].T / 12**0.5)
            plain.atomwise_mid[index].weight.copy_(layer.linear_mix.weights[0].T / 6**0.5)
            # E3SchNet divides ssp by its second moment; the layer after it takes that in.
            plain.atomwise_out[index].weight.copy_(layer.linear_out.weights[0].T / 12**0.5 / 0.53315)
    positions = torch.tensor(qm9_molecules()["C9H20"].positions)
    species = torch.tensor([0] * len(positions))
    species[:9] = 1
    n_atoms = torch.tensor([len(positions)])
    rows = prefix_rows(n_atoms[:, None], len(positions))
    with torch.no_grad():
        features = fast(pairs_within(positions[None], n_atoms, 5.0), species[None], rows)
        assert_close(features[0][0], plain(species, positions))
