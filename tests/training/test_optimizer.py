from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from atomweave.training.config import AdamConfig, TrainingConfig
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


def test_restored_optimizer_takes_the_same_step():
    def teach(model, optimizer, n_steps):
        for step in range(n_steps):
            optimizer.param_groups[0]["lr"] = 0.1
            optimizer.zero_grad()
            ((model(torch.ones(1, 2)) - step) ** 2).sum().backward()
            optimizer.step()

    model = nn.Linear(2, 2)
    optimizer = build_optimizer(AdamConfig(), model)
    teach(model, optimizer, 3)
    twin = nn.Linear(2, 2)
    twin.load_state_dict(model.state_dict())
    twin_optimizer = build_optimizer(AdamConfig(), twin)
    restore_optimizer(twin_optimizer, twin, {k: t.clone() for k, t in optimizer_tensors(optimizer, model).items()})
    teach(model, optimizer, 2)
    teach(twin, twin_optimizer, 2)
    assert twin.weight.equal(model.weight)
