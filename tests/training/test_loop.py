from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy

from atomweave.errors import IncompleteError, InputError, UsageError
from atomweave.files import held
from atomweave.models.weights import load_model
from atomweave.training import loop
from atomweave.training.checkpoint import Best, checkpoints
from atomweave.training.config import RunConfig
from atomweave.training.optimizer import AveragedWeights


def changed(config: RunConfig, **training) -> RunConfig:
    return RunConfig.model_validate(
        {"model": config.model.model_dump(), "training": {**config.training.model_dump(), **training}}
    )


def sampler(model, n_molecules, seed):
    """A validity that goes up and down, as a function of the weights alone."""
    return {"valid": float(model.out.bias.detach().double().sum().sin().abs())}


def signal_at_loss(monkeypatch, number: int, call: int) -> None:
    """Send a signal to this process during the given call of `Toy.loss` that teaches."""
    whole, calls = Toy.loss, []

    def loss(self, trajectories, rng):
        if rng is not None:
            calls.append(1)
            if len(calls) == call:
                os.kill(os.getpid(), number)
        return whole(self, trajectories, rng)

    monkeypatch.setattr(Toy, "loss", loss)


def files(out: Path) -> dict[str, bytes]:
    """Return the content of every file of a run but the timings and the older of the two checkpoints."""
    paths = {path for path in out.rglob("*") if path.is_file() and path.name != "timing.jsonl"}
    paths -= set(checkpoints(out / "checkpoints")[1:])
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def uninterrupted(config, store, tmp_path):
    out = tmp_path / "whole" / "run"
    outcome = loop.train(config, store, out, sampler=sampler)
    assert outcome.finished
    return out


@pytest.mark.parametrize("step", [1, 4, 7, 8, 10, 15, 19])
def test_resumed_run_equals_the_uninterrupted_one_byte_for_byte(
    step, config, store, tmp_path, uninterrupted, monkeypatch
):
    out = tmp_path / "parts" / "run"
    with monkeypatch.context() as patch:
        signal_at_loss(patch, signal.SIGTERM, step)
        first = loop.train(config, store, out, sampler=sampler)
    assert (first.finished, first.step, first.reason) == (False, step, "interrupted")
    second = loop.train(config, store, out, sampler=sampler)
    assert second.finished
    assert files(out) == files(uninterrupted)


def test_run_killed_without_warning_resumes_from_its_last_checkpoint(
    config, store, tmp_path, uninterrupted, monkeypatch
):
    out = tmp_path / "parts" / "run"
    with monkeypatch.context() as patch:
        update = AveragedWeights.update

        def dying_update(self, step):
            if step == 15:
                raise RuntimeError("killed")
            update(self, step)

        patch.setattr(AveragedWeights, "update", dying_update)
        with pytest.raises(RuntimeError, match="killed"):
            loop.train(config, store, out, sampler=sampler)
    assert records(out)[-1]["step"] > 12, "the log is ahead of the checkpoint at step 12"
    assert loop.train(config, store, out, sampler=sampler).finished
    assert files(out) == files(uninterrupted)


def test_signal_while_growing_samples_stops_at_once_and_they_are_grown_again(config, store, tmp_path, uninterrupted):
    out = tmp_path / "parts" / "run"

    def interrupted_sampler(model, n_molecules, seed):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    outcome = loop.train(config, store, out, sampler=interrupted_sampler)
    assert (outcome.finished, outcome.step, outcome.reason) == (False, 8, "interrupted")
    assert loop.train(config, store, out, sampler=sampler).finished
    assert files(out) == files(uninterrupted)


def test_finished_run_is_left_as_it_is(config, store, uninterrupted):
    before = files(uninterrupted)
    assert loop.train(config, store, uninterrupted, sampler=sampler).finished
    assert files(uninterrupted) == before


def test_longer_run_begins_with_the_shorter_one(config, store, tmp_path, uninterrupted):
    longer = changed(config, n_steps=24)
    assert loop.train(longer, store, uninterrupted, sampler=sampler).step == 24
    at_once = tmp_path / "longer" / "run"
    loop.train(longer, store, at_once, sampler=sampler)
    assert load_model(uninterrupted / "last.safetensors").out.weight.equal(
        load_model(at_once / "last.safetensors").out.weight
    )


def test_time_limit_finishes_a_step_and_writes_a_checkpoint(config, store, tmp_path):
    out = tmp_path / "run"
    outcome = loop.train(config, store, out, max_minutes=0)
    assert (outcome.finished, outcome.step, outcome.reason) == (False, 0, "the time is up")
    assert loop.train(config, store, out, max_minutes=10).finished


def test_teaching_lowers_the_loss(config, store, tmp_path):
    loop.train(changed(config, n_steps=200, validation_every=50, ema_decay=0.9), store, tmp_path / "run")
    losses = [record["loss"] for record in records(tmp_path / "run") if record["kind"] == "validation"]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)


def test_log_record_is_the_mean_over_its_steps(config, store, tmp_path):
    loop.train(changed(config, log_every=1), store, tmp_path / "each")
    loop.train(changed(config, log_every=5), store, tmp_path / "fives")
    each = [record["loss"] for record in records(tmp_path / "each") if record["kind"] == "train"]
    fives = [record["loss"] for record in records(tmp_path / "fives") if record["kind"] == "train"]
    np.testing.assert_allclose(np.mean(np.reshape(each, (-1, 5)), 1), fives, rtol=1e-6)


def test_best_weights_are_those_with_the_most_valid_samples(config, store, tmp_path):
    shares = iter([0.2, 0.7, 0.5])
    outcome = loop.train(config, store, tmp_path / "run", sampler=lambda model, n, seed: {"valid": next(shares)})
    assert outcome.best == Best(16, "valid", 0.7)
    card = load_model(tmp_path / "run" / "best.safetensors").card
    assert (card.steps, card.figures["valid"].value, card.figures["valid"].n) == (16, 0.7, 16)
    assert load_model(tmp_path / "run" / "last.safetensors").card.steps == 20


def test_without_samples_the_validation_loss_chooses(config, store, tmp_path):
    outcome = loop.train(changed(config, samples_every=None), store, tmp_path / "run", sampler=sampler)
    losses = {record["step"]: record["loss"] for record in records(tmp_path / "run") if record["kind"] == "validation"}
    assert outcome.best.step == min(losses, key=losses.get)


def test_micro_batches_change_nothing_but_rounding(config, store, tmp_path):
    loop.train(config, store, tmp_path / "whole")
    loop.train(changed(config, micro_batches=3), store, tmp_path / "parts")
    whole, parts = (load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("whole", "parts"))
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-5)


def test_bfloat16_and_micro_batches_go_together(config, store, tmp_path):
    outcome = loop.train(changed(config, micro_batches=2, autocast="bfloat16"), store, tmp_path / "run")
    assert outcome.finished


def test_start_from_weights_warms_up(config, store, tmp_path, uninterrupted):
    out = tmp_path / "next"
    slow = changed(config, init_warmup_steps=1000, n_steps=1, log_every=1, ema_decay=0.0)
    loop.train(slow, store, out, init_from=uninterrupted / "best.safetensors")
    before = load_model(uninterrupted / "best.safetensors").state_dict()
    after = load_model(out / "last.safetensors").state_dict()
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=2e-5)
    assert records(out)[0]["learning_rate"] == pytest.approx(0.01 / 1000)


def test_start_from_weights_resumes_too(config, store, tmp_path, uninterrupted, monkeypatch):
    weights = uninterrupted / "best.safetensors"
    loop.train(config, store, tmp_path / "whole" / "next", init_from=weights)
    parts = tmp_path / "parts" / "next"
    with monkeypatch.context() as patch:
        signal_at_loss(patch, signal.SIGTERM, 7)
        loop.train(config, store, parts, init_from=weights)
    loop.train(config, store, parts, init_from=weights)
    assert files(parts) == files(tmp_path / "whole" / "next")


def test_weights_of_another_model_are_refused(config, store, tmp_path, uninterrupted):
    wider = RunConfig.model_validate({"model": {"kind": "toy", "width": 5}, "training": config.training.model_dump()})
    with pytest.raises(UsageError, match=r"--init-from.*shape"):
        loop.train(wider, store, tmp_path / "next", init_from=uninterrupted / "best.safetensors")


def test_a_folder_in_which_another_process_is_at_work_is_left_alone(config, store, tmp_path):
    before = tmp_path / "run"
    with held(tmp_path), pytest.raises(UsageError, match="another process is at work in this folder"):
        loop.train(config, store, tmp_path)
    assert not list(tmp_path.iterdir())
    loop.train(config, store, before)
    with held(before):  # what was held is free again when the run ends
        pass


def test_run_of_another_configuration_is_not_continued(config, store, uninterrupted):
    with pytest.raises(UsageError, match=r"training\.learning_rate: 0\.01 there, 0\.02 here"):
        loop.train(changed(config, learning_rate=0.02), store, uninterrupted)


def test_run_on_another_store_is_not_continued(config, store, uninterrupted):
    other = replace(store, citation="another")
    with pytest.raises(UsageError, match="another store"):
        loop.train(config, other, uninterrupted)


def test_number_of_threads_may_change(config, store, tmp_path):
    loop.train(changed(config, n_steps=5), store, tmp_path / "run")
    threads = torch.get_num_threads()
    try:
        assert loop.train(changed(config, threads=1), store, tmp_path / "run").finished
    finally:
        torch.set_num_threads(threads)


def test_loss_that_is_no_number_ends_with_one_sentence_and_keeps_the_checkpoint(config, store, tmp_path):
    with pytest.raises(IncompleteError, match="loss is no longer finite"):
        loop.train(changed(config, learning_rate=1e30, clip_norm=None), store, tmp_path / "run")


def test_missing_split_is_named(config, store, tmp_path):
    with pytest.raises(InputError, match=r"training\.train_split: .*edm/trian.*did you mean 'edm/train'"):
        loop.train(changed(config, train_split="edm/trian"), store, tmp_path / "run")


def test_elements_that_the_model_lacks_are_named(config, store, tmp_path):
    model = {"kind": "toy", "elements": ["H", "C"]}
    few = RunConfig.model_validate({"model": model, "training": config.training.model_dump()})
    with pytest.raises(InputError, match="elements N O F are not among this model's: H C"):
        loop.train(few, store, tmp_path / "run")


def test_device_that_is_absent_is_refused(config, store, tmp_path):
    with pytest.raises(UsageError, match=r"training\.device: 'nonsense'"):
        loop.train(changed(config, device="nonsense"), store, tmp_path / "run")


def test_model_knows_the_start_of_its_training_data(config, store, tmp_path):
    loop.train(config, store, tmp_path / "run")
    model = load_model(tmp_path / "run" / "last.safetensors")
    train = store.splits["edm/train"]
    shares = np.zeros(len(model.species))
    for molecule in (store[i] for i in train):
        np.add.at(shares, model.species.indices(molecule.numbers), 1 / len(molecule) / len(train))
    np.testing.assert_allclose(model.start_log_probs.exp().numpy(), shares, atol=1e-6)
