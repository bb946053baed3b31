"""The installed command, with a Symphony so small that a step takes milliseconds."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.models.weights import read_card, shipped_names
from atomweave.molecule import Molecule

COMMAND = Path(sys.executable).with_name("atomweave")

TINY = """
model:
  kind: symphony
  focus_embedder: {kind: e3schnet, channels: 4, lmax: 1, n_layers: 1}
  position_embedder: {kind: nequip, channels: 4, lmax: 1, n_layers: 1}
  focus_head: {width: 8, n_hidden: 1}
  position_head:
    radius: bins
    n_radii: 8
    angular: {n_polar_drawing: 45, n_azimuth_drawing: 91}
training:
  n_steps: 6
  molecules_per_batch: 4
  validation_every: 3
  validation_molecules: 4
  samples_every: null
  log_every: 1
  checkpoint_every: 3
  device: cpu
  threads: 1
"""

METHANE = Molecule(
    ["C", "H", "H", "H", "H"],
    1.09 / np.sqrt(3) * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with a store and a configuration, the working directory of the test."""
    store = MoleculeStore.from_molecules([METHANE] * 12)
    MoleculeStore(
        store.numbers,
        store.positions,
        store.offsets,
        splits={"edm/train": np.arange(8), "edm/valid": np.arange(8, 12)},
    ).write(tmp_path / "methane.safetensors")
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAIN = ["train", "tiny.yaml", "--data", "methane.safetensors"]


def error_of(capsys, arguments: list[str], status: int) -> str:
    """Run a command that must fail with `status`, and return its one sentence."""
    assert run(arguments) == status
    shown = capsys.readouterr()
    (sentence,) = [line for line in shown.err.splitlines() if line.startswith("error:")]
    return sentence


def test_command_trains_and_its_weights_grow_molecules(folder):
    done = subprocess.run([COMMAND, *TRAIN, "--out", "run"], capture_output=True, text=True, check=True)
    assert "Step 6 of 6: all steps are done." in done.stderr
    assert done.stdout == ""
    records = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if record["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "focus", "position", "fragments", "learning_rate"} <= records[0].keys()
    from atomweave.models.weights import load_model

    model = load_model(folder / "run/best.safetensors")
    assert model.card.data == "methane.safetensors edm/train"
    assert len(model.sample(2, seed=0, max_atoms=4)) == 2


def test_samples_choose_the_best_weights(folder):
    assert run([*TRAIN, "--out", "run", "training.samples_every=3", "training.n_samples=8"]) == 0
    records = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
    samples = [record for record in records if record["kind"] == "samples"]
    assert [record["step"] for record in samples] == [3, 6]
    assert all(0 <= record["valid"] <= record["finished"] <= 1 for record in samples)
    assert all(record["valid_low"] <= record["valid"] <= record["valid_high"] for record in samples)


SIGNALLED = """
import os, signal
from atomweave.cli.main import main
from atomweave.training.journal import Journal

record = Journal.record

def record_and_signal(self, **values):
    Journal.record = record
    record(self, **values)
    os.kill(os.getpid(), signal.SIGTERM)

Journal.record = record_and_signal
main()
"""
"""The command, signalling itself at its first record: one from outside may come too late on a busy machine."""


def test_signal_writes_a_checkpoint_and_the_same_command_ends_as_if_nothing_had_been(folder):
    arguments = [*TRAIN, "training.n_steps=40", "--out"]
    assert run([*arguments, "whole/run"]) == 0
    arguments.append("parts/run")
    signalled = subprocess.run(
        [sys.executable, "-c", SIGNALLED, *arguments], check=False, stderr=subprocess.PIPE, text=True
    )
    assert "interrupted" in signalled.stderr
    assert signalled.returncode == 5
    assert "Run the same command again to go on." in signalled.stderr
    assert "Traceback" not in signalled.stderr
    assert (folder / "parts/run/checkpoints/step-000000001.safetensors").exists()
    assert subprocess.run([COMMAND, *arguments], check=False, capture_output=True).returncode == 0
    for name in ("log.jsonl", "last.safetensors", "best.safetensors", "checkpoints/step-000000040.safetensors"):
        assert (folder / "parts/run" / name).read_bytes() == (folder / "whole/run" / name).read_bytes()


def test_what_is_left_out_of_teaching_is_counted_with_the_reason(folder, capsys):
    apart = Molecule(["C", "C", "H"], [[0, 0, 0], [0, 0, 1.5], [0, 0, 9.0]])
    store = MoleculeStore.from_molecules([METHANE] * 6 + [apart] * 2)
    splits = {"edm/train": np.arange(2, 8), "edm/valid": np.arange(2)}
    MoleculeStore(store.numbers, store.positions, store.offsets, splits=splits).write(folder / "methane.safetensors")
    assert run([*TRAIN, "--out", "run"]) == 0
    reason = "in pieces by the policy's rule for neighbours: 2"
    assert f"2 of 6 molecules looked at are left out of teaching ({reason})" in capsys.readouterr().err
    assert run([*TRAIN, "--out", "run"]) == 0
    assert "left out" not in capsys.readouterr().err  # once a run


def test_distances_beyond_the_models_reach_are_told_with_the_fields_to_change(folder, capsys):
    assert run([*TRAIN, "--out", "run", "model.position_head.radius=mixture", "model.position_head.maximum=1.05"]) == 5
    told = (
        "8 of 8 molecules looked at place an atom outside of 0.85 to 1.05 Å, where the model has no density (here: 1.09"
    )
    assert told in (said := capsys.readouterr().err)
    assert "change model.position_head.minimum or model.position_head.maximum" in said


def test_another_architecture_in_the_same_folder_is_refused_with_what_differs(folder, capsys):
    assert run([*TRAIN, "--out", "run"]) == 0
    capsys.readouterr()
    sentence = error_of(capsys, [*TRAIN, "--out", "run", "model.position_head.n_radii=9"], 2)
    assert "holds a run of another configuration (model.position_head.n_radii: 8 there, 9 here)" in sentence


def test_time_limit_ends_with_status_5_and_the_next_call_with_0(folder):
    assert run([*TRAIN, "--out", "run", "--max-minutes", "0"]) == 5
    assert run([*TRAIN, "--out", "run", "--max-minutes", "10"]) == 0


def test_next_run_starts_from_the_weights_of_the_one_before(folder):
    assert run([*TRAIN, "--out", "first"]) == 0
    assert run([*TRAIN, "--out", "second", "--init-from", "first/best.safetensors"]) == 0
    rates = [
        json.loads(line)["learning_rate"]
        for line in (folder / "second/log.jsonl").read_text().splitlines()
        if '"train"' in line
    ]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_weights_of_another_configuration_give_what_fits(folder, capsys):
    assert run([*TRAIN, "--out", "first"]) == 0
    other = [*TRAIN, "--out", "second", "model.position_head.n_radii=9", "training.n_steps=1"]
    sentence = error_of(capsys, [*other, "--init-from", "first/best.safetensors"], 2)
    assert "another `model:` section" in sentence
    assert "--transfer-from takes what fits of them" in sentence
    shutil.rmtree("second", ignore_errors=True)
    both = [*other, "--init-from", "first/best.safetensors", "--transfer-from", "first/best.safetensors"]
    assert "with the weights of one of them" in error_of(capsys, both, 2)
    transferred = [*other, "--transfer-from", "first/best.safetensors"]
    assert run(transferred) == 0
    assert "begins untaught, in full or in part: " in capsys.readouterr().err
    assert run([*transferred, "--max-minutes", "1"]) == 0  # all steps are done
    elements = [*TRAIN, "--out", "third", "model.species=[H,C,S]", "--transfer-from", "first/best.safetensors"]
    assert "takes weights of its own elements only" in error_of(capsys, elements, 2)
    assert not Path("third").exists()


def test_printed_configuration_is_a_configuration(folder, capsys):
    assert run(["train", "tiny.yaml", "training.seed=5", "--print-config"]) == 0
    printed = capsys.readouterr().out
    (folder / "printed.yaml").write_text(printed)
    assert run(["train", "printed.yaml", "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert "  seed: 5  #" in printed


def test_misspelt_field_is_a_usage_error(folder, capsys):
    sentence = error_of(capsys, [*TRAIN, "--out", "run", "training.learning_rat=1"], 2)
    assert "training.learning_rat: there is no such field; did you mean 'learning_rate'?" in sentence
    assert not (folder / "run").exists()


@pytest.mark.parametrize("missing", ["--data", "--out"])
def test_missing_option_is_a_usage_error(folder, capsys, missing):
    arguments = [
        "train",
        "tiny.yaml",
        *(["--out", "run"] if missing == "--data" else ["--data", "methane.safetensors"]),
    ]
    assert f"{missing} is missing" in error_of(capsys, arguments, 2)


def test_missing_split_is_bad_input(folder, capsys):
    sentence = error_of(capsys, [*TRAIN, "--out", "run", "training.train_split=edm/trian"], 3)
    assert "training.train_split" in sentence
    assert "did you mean 'edm/train'?" in sentence


def test_element_that_the_model_lacks_is_bad_input(folder, capsys):
    assert "elements H are not" in error_of(capsys, [*TRAIN, "--out", "run", "model.species=[C,N]"], 3)


def test_store_that_is_none_is_refused(folder, capsys):
    sentence = error_of(capsys, ["train", "tiny.yaml", "--data", "tiny.yaml", "--out", "run"], 4)
    assert "tiny.yaml" in sentence


def test_weights_that_are_a_pickle_are_refused(folder, capsys):
    (folder / "weights.safetensors").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    sentence = error_of(capsys, [*TRAIN, "--out", "run", "--init-from", "weights.safetensors"], 4)
    assert "is a pickle" in sentence


def test_changed_configuration_does_not_continue_a_run(folder, capsys):
    assert run([*TRAIN, "--out", "run"]) == 0
    capsys.readouterr()
    sentence = error_of(capsys, [*TRAIN, "--out", "run", "training.learning_rate=1"], 2)
    assert "training.learning_rate: 0.0005 there, 1.0 here" in sentence


def test_first_step_comes_soon(folder):
    def seconds() -> float:  # of work: the wall clock also counts what else the machine does
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    began = seconds()
    subprocess.run([COMMAND, *TRAIN, "--out", "run", "training.n_steps=1"], capture_output=True, check=True)
    assert seconds() - began < 10


def test_weights_are_listed_shown_and_shipped(folder, capsys):
    assert run([*TRAIN, "--out", "run"]) == 0
    (folder / "card.yaml").write_text(
        "summary: Methane only.\nfigures: {valid: {value: 0.5, low: 0.4, high: 0.6, n: 100}}\n"
    )
    assert run(["models", "ship", "run/last.safetensors", "-o", "methane-tiny.safetensors", "--card", "card.yaml"]) == 0
    capsys.readouterr()
    sentence = error_of(capsys, ["models", "ship", "run/best.safetensors", "-o", "methane-tiny.safetensors"], 2)
    assert "methane-tiny.safetensors: exists; name another file, or add --force" in sentence
    assert run(["models", "show", "methane-tiny.safetensors"]) == 0
    shown = capsys.readouterr().out
    for line in ("name: methane-tiny", "summary: Methane only.", "steps: 6", "valid: 0.5 (0.4 to 0.6), n = 100"):
        assert line in shown
    assert "  kind: symphony" in shown


def test_what_ships_is_listed_in_lines_that_fit_each_by_the_name_of_its_file(capsys):
    assert run(["models"]) == 0
    listed = capsys.readouterr().out
    assert max(len(line) for line in listed.splitlines()) <= 120
    for name in shipped_names():
        assert f"{name}: " in listed
        assert read_card(name)[0].name == name
    assert "Presets to train: gspherenet," in listed


def test_weights_asked_for_as_a_command_are_pointed_to_their_card(capsys):
    assert "did you mean `atomweave models show weaver-qm9`?" in error_of(capsys, ["models", "weaver-qm9"], 2)
    assert "did you mean 'show'?" in error_of(capsys, ["models", "sho", "weaver-qm9"], 2)


def test_shipping_in_an_unknown_type_is_a_usage_error(folder, capsys):
    assert run([*TRAIN, "--out", "run"]) == 0
    capsys.readouterr()
    arguments = ["models", "ship", "run/last.safetensors", "-o", "x.safetensors", "--dtype", "float61"]
    assert "did you mean 'float16'?" in error_of(capsys, arguments, 2)
