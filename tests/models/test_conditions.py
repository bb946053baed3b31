"""What a model is told: zero where nothing is, itself when measured, and what is still to come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from atomweave.data.store import MoleculeStore
from atomweave.errors import InputError
from atomweave.growth.loader import Batches
from atomweave.growth.trajectories import Fragments
from atomweave.models.base import Temperatures
from atomweave.models.embedders.conditions import ConditionEmbedding, ConditionsConfig
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, load_model, save_weights
from atomweave.species import Species
from atomweave.training.config import RunConfig, TrainingConfig
from atomweave.training.learner import Learner
from atomweave.training.microbatches import split
from atomweave.training.validation import Validation
from reference.molecules import qm9_molecules
from reference.weaver import SMALL, awake

SPECIES = Species(["H", "C", "N", "O", "F"])
NAMES = ("gap", "n_atoms", "composition")
MOLECULES = list(qm9_molecules().values())
STORE = replace(
    MoleculeStore.from_molecules(MOLECULES),
    properties={"gap": np.linspace(3.0, 9.0, len(MOLECULES)), "pair": np.zeros((len(MOLECULES), 2))},
)


def embedding(**changes) -> ConditionEmbedding:
    torch.manual_seed(0)
    return awake(ConditionEmbedding(ConditionsConfig.model_validate({"names": NAMES} | changes), SPECIES, 8))


def weaver(**changes) -> Weaver:
    torch.manual_seed(0)
    config = SMALL | {"conditions": {"names": NAMES}} | changes
    model = Weaver(WeaverConfig.model_validate(config))
    if model.condition_embedding is not None:
        model.condition_embedding.learn_range(batches(model).conditions_met)
    return model


def batches(model: Weaver, per_batch: int = 100) -> Batches:
    return Batches(STORE, np.arange(len(STORE)), model.species, model.policy, per_batch, conditions=model.conditions)


def test_nothing_told_is_exactly_zero_and_anything_told_is_not():
    layer = embedding()
    told = torch.full((3, 7), torch.nan)
    told[1, 0], told[2, 2:] = 4.0, torch.tensor([10.0, 7.0, 0.0, 2.0, 0.0])
    species, prefix = torch.tensor([[1, 1, 0]]).expand(3, -1), torch.tensor([[1, 3]]).expand(3, -1)
    for out in (layer(told), layer.of_decisions(told, species, prefix).flatten(1)):
        assert (out[0] == 0).all()
        assert (out[1:] != 0).any(1).all()


def test_an_untaught_embedding_changes_nothing():
    layer = ConditionEmbedding(ConditionsConfig(names=NAMES), SPECIES, 8)
    told = torch.tensor([[4.0, 18.0, 10.0, 6.0, 0.0, 2.0, 0.0]])
    assert (layer.of_decisions(told, torch.tensor([[1, 0]]), torch.tensor([[2]])) == 0).all()


def test_decisions_hear_what_is_still_to_come():
    """Two atoms placed of a composition sound like none of one without them, but for what molecules hear of both."""
    layer = embedding(names=("composition",))
    species = torch.tensor([[1, 0, 3]])

    def heard(counts: list[float], k: int) -> torch.Tensor:
        told = torch.tensor([counts])
        return layer.of_decisions(told, species, torch.tensor([[k]]))[:, 0] - layer(told)

    torch.testing.assert_close(heard([4.0, 3.0, 0, 1, 0], 3), heard([3.0, 3.0, 0, 0, 0], 1), atol=1e-5, rtol=0)
    assert (heard([4.0, 3.0, 0, 1, 0], 3) - heard([4.0, 3.0, 0, 1, 0], 2)).abs().max() > 1e-3


def test_what_training_tells():
    layer = embedding(told=0.5)
    rng = torch.Generator().manual_seed(0)
    numbers = torch.rand(20_000, 1, generator=rng), torch.rand(20_000, len(layer.conditions.names), generator=rng)
    told = layer.drop(torch.ones(20_000, 7), *numbers)
    known = ~told.isnan()
    assert (known[:, 2:].all(1) == known[:, 2:].any(1)).all()  # a composition is told as a whole
    rates = known[:, [0, 1, 2]].float().mean(0)
    torch.testing.assert_close(rates, torch.full((3,), 0.25), atol=0.015, rtol=0)
    both = (known[:, 0] & known[:, 1]).float().mean()
    torch.testing.assert_close(both, torch.tensor(0.125), atol=0.01, rtol=0)
    assert embedding(told=0.0).drop(told, *numbers).isnan().all()


def test_statistics_leave_out_what_is_missing():
    layer = embedding(names=("gap", "n_atoms"))
    layer.learn_range(torch.tensor([[1.0, 5.0], [torch.nan, 5.0], [3.0, 5.0]]))
    assert layer.mean.tolist() == [2.0, 5.0]
    assert layer.deviation[0] == 1.0
    assert (layer.low.tolist(), layer.high.tolist()) == ([1.0, 5.0], [3.0, 5.0])
    assert layer(torch.tensor([[torch.nan, 5.0]])).isfinite().all()  # a number that never varied divides by nothing


def test_a_rare_large_count_keeps_apart_from_a_smaller_one():
    layer = embedding(names=("composition",))
    fluorine = torch.zeros(1000, 5)
    fluorine[:20, 4] = 1.0
    layer.learn_range(fluorine)
    three, four = (layer(torch.tensor([[9.0, 7.0, 0.0, 1.0, count]])) for count in (3.0, 4.0))
    assert (three - four).abs().max() > 0.05


def test_batches_tell_what_their_molecules_are():
    model = weaver()
    t = batches(model).batch(0)
    n_columns = len(model.conditions.columns)
    assert t.conditions.shape == (len(t.n_atoms), n_columns)
    assert t.conditions.dtype == torch.float32
    assert torch.equal(t.conditions[:, 1], t.n_atoms.float())
    for row, n in enumerate(t.n_atoms.tolist()):
        counts = torch.bincount(t.species[row, :n], minlength=len(model.species))
        assert torch.equal(t.conditions[row, 2:], counts.float())
    gaps = {len(m): [] for m in MOLECULES}
    for molecule, gap in zip(MOLECULES, STORE.properties["gap"], strict=True):
        gaps[len(molecule)].append(np.float32(gap))
    assert all(gap in gaps[n] for n, gap in zip(t.n_atoms.tolist(), t.conditions[:, 0].numpy(), strict=True))
    parts = split(t, 3)
    assert torch.equal(torch.cat([part.conditions for part in parts]), t.conditions)


def test_a_store_that_lacks_a_condition_is_refused():
    model = weaver()
    for name, hint in (("gaap", "did you mean 'gap'"), ("pair", "no such number")):
        layer = ConditionEmbedding(ConditionsConfig(names=(name,)), SPECIES, 8)
        with pytest.raises(InputError, match=hint):
            Batches(STORE, np.arange(3), SPECIES, model.policy, 3, conditions=layer.conditions)


def test_a_condition_named_twice_is_refused():
    with pytest.raises(ValidationError, match="named once"):
        ConditionsConfig(names=("gap", "gap"))


def test_untold_weaver_is_the_weaver_without_conditions():
    model = awake(weaver())
    t = batches(model).batch(0)
    nothing = replace(t, conditions=torch.full_like(t.conditions, torch.nan))
    with torch.no_grad():
        assert torch.equal(model.log_prob(nothing), model.log_prob(replace(t, conditions=None)))
        assert (model.log_prob(t) - model.log_prob(nothing)).abs().max() > 1e-2


def test_growing_and_teaching_hear_the_same():
    """Placed alone, remembered or in a batch, a decision under conditions is that of the trajectory."""
    model = awake(weaver()).double()
    t = batches(model).batch(0)
    t = replace(t, positions=t.positions.double())
    memory = model.remember(len(t.n_atoms), t.species.shape[1])
    uniforms = torch.rand(len(t.n_atoms), model.n_draws, generator=torch.Generator().manual_seed(0)).double()
    rows = torch.arange(len(t.n_atoms)).flip(0)
    with torch.no_grad():
        for k in (1, 2, 3):
            awaits = torch.full((len(rows), k), 2, dtype=torch.int8)
            of = (t.species[rows, :k], t.positions[rows, :k], torch.full((len(rows),), k), awaits, t.policy)
            fragments = Fragments(*of, t.degree[rows, :k], memory.of(rows), t.conditions[rows])
            recalled = model._recall(fragments, torch.zeros_like(rows)).decisions[:, 0]
            read = model._read(
                replace(
                    t, kind=torch.ones_like(rows)[:, None], focus=torch.zeros_like(rows)[:, None],
                    prefix=torch.full_like(rows, k)[:, None],
                ),
                t.positions, t.degree, torch.full((len(rows), 1, t.species.shape[1]), 2, dtype=torch.int8),
            ).decisions[rows, 0]  # fmt: skip
            torch.testing.assert_close(recalled, read, atol=1e-9, rtol=1e-9)
            unasked = model.propose(replace(fragments, conditions=None, memory=None), uniforms, Temperatures())
            asked = model.propose(fragments, uniforms, Temperatures())
            assert (unasked.log_prob - asked.log_prob).abs().max() > 1e-3


def test_validation_measures_told_and_untold():
    model = awake(weaver())
    config = TrainingConfig(valid_split="all", molecules_per_batch=8)
    found = Validation(config, STORE, model).measure(model.loss, torch.device("cpu"))
    deaf = weaver(conditions={"names": ()})
    deaf.load_state_dict({n: x for n, x in model.state_dict().items() if not n.startswith("condition_embedding.")})
    unasked = Validation(config, STORE, deaf).measure(deaf.loss, torch.device("cpu"))
    assert {name: found[name] for name in unasked} == unasked
    assert "loss_told" not in unasked
    assert abs(found["loss_told"] - found["loss"]) > 1e-2


def test_shipped_in_half_precision_what_was_measured_is_kept(tmp_path):
    model = weaver()
    model.condition_embedding.learn_range(batches(model).conditions_met - 11_000.3)
    save_weights(tmp_path / "half.safetensors", model, model.config, Card(), torch.float16)
    loaded = load_model(tmp_path / "half.safetensors")
    for name, buffer in model.named_buffers():
        assert torch.equal(dict(loaded.named_buffers())[name], buffer), name


def test_weights_that_never_heard_of_conditions_go_on(tmp_path):
    torch.manual_seed(1)
    deaf = awake(Weaver(WeaverConfig.model_validate(SMALL)))
    save_weights(tmp_path / "deaf.safetensors", deaf, deaf.config, Card())
    config = {"model": SMALL | {"conditions": {"names": NAMES}}, "training": {"device": "cpu"}}
    learner = Learner(RunConfig.model_validate(config), torch.device("cpu"))
    met = batches(learner.model)
    learner.begin(met.start_probabilities, met.conditions_met, tmp_path / "deaf.safetensors")
    deaf.set_start(met.start_probabilities)
    t = met.batch(0)
    with torch.no_grad():
        assert torch.equal(learner.model.loss(t, None)["loss"], deaf.loss(t, None)["loss"])
    assert torch.equal(learner.model.condition_embedding.mean[1], t.n_atoms.float().mean())
