from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from atomweave.errors import UsageError
from atomweave.models.base import Model
from atomweave.species import Species
from atomweave.training.config import AdamConfig, MuonConfig, TrainingConfig
from atomweave.training.muon import orthogonal
from atomweave.training.optimizer import (
    AveragedWeights,
    build_optimizer,
    learning_rate,
    optimizer_tensors,
    restore_optimizer,
)


def test_constant_schedule_warms_up_linearly():
    config = TrainingConfig(learning_rate=1.0, schedule={"kind": "constant", "warmup_steps": 4})
    assert [learning_rate(config, step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_schedule_ends_at_its_fraction():
    schedule = {"kind": "cosine", "warmup_steps": 10, "final_fraction": 0.1}
    config = TrainingConfig(n_steps=111, learning_rate=2.0, schedule=schedule)
    rates = [learning_rate(config, step) for step in range(111)]
    assert rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    assert rates[110] == pytest.approx(0.2)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))


def test_start_from_trained_weights_lengthens_a_short_warmup_only():
    config = TrainingConfig(learning_rate=1.0, init_warmup_steps=8)
    assert learning_rate(config, 0, from_trained=True) == 1 / 8
    assert learning_rate(config, 8, from_trained=True) == 1.0
    long = TrainingConfig(learning_rate=1.0, init_warmup_steps=8, schedule={"kind": "constant", "warmup_steps": 16})
    assert learning_rate(long, 0, from_trained=True) == 1 / 16


def test_average_follows_its_formula():
    model, other = nn.Linear(1, 1), nn.Linear(1, 1)
    average = AveragedWeights(model, other, decay=0.5)
    expected = model.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            model.weight += step
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.model.weight, expected)


class TwoLayers(Model):
    """A hidden matrix that Muon may move, and a readout that it may not."""

    def __init__(self) -> None:
        super().__init__(Species("HC"))
        self.hidden, self.readout = nn.Linear(4, 6), nn.Linear(6, 2)

    def hidden_matrices(self):
        return [self.hidden.weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(torch.tanh(self.hidden(x)))

    loss = log_prob = propose = None


@pytest.mark.parametrize("config", [AdamConfig(), MuonConfig(), MuonConfig(weight_decay=0.1)])
def test_restored_optimizer_takes_the_same_step(config):
    def teach(model, optimizer, n_steps):
        for step in range(n_steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.1
            optimizer.zero_grad()
            ((model(torch.ones(1, 4)) - step) ** 2).sum().backward()
            optimizer.step()

    model = two_layers()
    optimizer = build_optimizer(config, model)
    teach(model, optimizer, 3)
    twin = two_layers()
    twin.load_state_dict(model.state_dict())
    twin_optimizer = build_optimizer(config, twin)
    restore_optimizer(twin_optimizer, twin, {k: t.clone() for k, t in optimizer_tensors(optimizer, model).items()})
    before = model.hidden.weight.clone()
    teach(model, optimizer, 2)
    teach(twin, twin_optimizer, 2)
    assert not before.equal(model.hidden.weight)
    for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (8, 8)])
def test_orthogonal_keeps_the_singular_vectors_and_levels_the_values(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    for found, expected in zip(orthogonal(matrices), u @ vh, strict=True):
        values = torch.linalg.svdvals(found)
        assert float(values.min()) > 0.6
        assert float(values.max()) < 1.3
        assert float((found * expected).sum() / found.norm() / expected.norm()) > 0.95


def test_muon_moves_hidden_matrices_by_its_formula_and_the_rest_as_adam_does():
    muon_model, adam_model = two_layers(), two_layers()
    adam_model.load_state_dict(muon_model.state_dict())
    optimizers = build_optimizer(MuonConfig(momentum=0.9), muon_model), build_optimizer(AdamConfig(), adam_model)
    matrix, mean = muon_model.hidden.weight.detach().clone(), torch.zeros(6, 4)
    for step in range(3):
        gradients = torch.Generator().manual_seed(step)
        for ours, theirs in zip(muon_model.parameters(), adam_model.parameters(), strict=True):
            ours.grad = torch.randn(ours.shape, generator=gradients)
            theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            optimizer.step()
        gradient = muon_model.hidden.weight.grad
        mean = 0.9 * mean + 0.1 * gradient
        matrix -= 0.01 * 0.2 * 6**0.5 * orthogonal((0.1 * gradient + 0.9 * mean)[None])[0]
    torch.testing.assert_close(muon_model.hidden.weight.detach(), matrix)
    assert not muon_model.hidden.weight.equal(adam_model.hidden.weight)
    for name in ("hidden.bias", "readout.weight", "readout.bias"):
        torch.testing.assert_close(muon_model.get_parameter(name), adam_model.get_parameter(name))


def test_muon_without_hidden_matrices_is_refused():
    with pytest.raises(UsageError, match="wanted adam"):
        build_optimizer(MuonConfig(), nn.Linear(2, 2))


def two_layers() -> TwoLayers:
    torch.manual_seed(0)
    return TwoLayers()
