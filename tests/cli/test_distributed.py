"""`torchrun` and the command: several processes teach what one does, and end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.tensorfile import read_tensors
from atomweave.training.checkpoint import FORMAT, VERSION, checkpoints
from reference.molecules import qm9_molecules
from reference.tiny import G_SPHERENET, SYMPHONY, WEAVER

TORCHRUN = Path(sys.executable).with_name("torchrun")

TRAINING = {
    "molecules_per_batch": 3,
    "micro_batches": 2,
    "clip_norm": 1.0,
    "learning_rate": 1e-3,
    "validation_every": 4,
    "validation_molecules": 4,
    "samples_every": None,
    "log_every": 1,
    "checkpoint_every": 4,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture
def teach(tmp_path, monkeypatch):
    """Return the arguments of training a model, after `atomweave`, in a folder of the test's own."""
    molecules = [molecule for molecule in qm9_molecules().values() if len(molecule) < 13] * 3
    store = MoleculeStore.from_molecules(molecules)
    splits = {"edm/train": np.arange(4, len(store)), "edm/valid": np.arange(4)}
    MoleculeStore(store.numbers, store.positions, store.offsets, splits=splits).write(tmp_path / "few.safetensors")
    monkeypatch.chdir(tmp_path)

    def arguments(model: dict, out: str, n_steps: int, **training) -> list[str]:
        Path("tiny.yaml").write_text(json.dumps({"model": model, "training": TRAINING | training}))
        steps = f"training.n_steps={n_steps}"  # under a constant schedule a longer run begins with the shorter one
        return ["train", "tiny.yaml", "--data", "few.safetensors", "--out", out, steps]

    return arguments


def start(n_processes: int, arguments: list[str]) -> subprocess.Popen:
    command = [TORCHRUN, "--standalone", "--nproc-per-node", str(n_processes), "-m", "atomweave", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def finish(n_processes: int, arguments: list[str]) -> None:
    process = start(n_processes, arguments)
    shown, _ = process.communicate(timeout=280)
    assert process.returncode == 0, shown


def await_steps(process: subprocess.Popen, out: str, n_steps: int) -> None:
    """Wait until a run has logged some steps."""
    deadline = time.monotonic() + 200
    while len(losses(out)) < n_steps:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def worker(process: subprocess.Popen, rank: int) -> psutil.Process:
    [found] = [child for child in psutil.Process(process.pid).children() if child.environ().get("RANK") == str(rank)]
    return found


def losses(out: str) -> list[float]:
    """Return the losses of training and validation, as far as the log is written."""
    log = Path(out) / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line)["loss"] for line in lines if line.endswith("\n")]


def assert_alike(out: str, expected: str, rtol: float = 2e-4) -> None:
    """Check that two finished runs told the same and hold the same, up to rounding."""
    np.testing.assert_allclose(losses(out), losses(expected), rtol=rtol)
    for name in ("last.safetensors", "best.safetensors"):
        assert (Path(out) / name).exists()
    found, wanted = (
        read_tensors(checkpoints(Path(folder) / "checkpoints")[0], FORMAT, VERSION)[1] for folder in (out, expected)
    )
    assert found.keys() == wanted.keys()  # a parameter that no batch taught has no optimizer state
    for name, tensor in wanted.items():
        if name.startswith("average/"):
            np.testing.assert_allclose(found[name].numpy(), tensor.numpy(), rtol=0.01, atol=1e-4, err_msg=name)


def assert_one_sentence_told_of_the_loss(shown: str) -> None:
    [sentence] = [line for line in shown.splitlines() if line.startswith("error:")]
    assert "another process of this run has ended" in sentence
    assert "run the same command again to go on from the last checkpoint" in sentence


def killed(process: subprocess.Popen, rank: int) -> str:
    """Kill one worker and return what was shown until all had ended."""
    worker(process, rank).kill()
    began = time.monotonic()
    shown, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert time.monotonic() - began < 60
    return shown


def test_two_processes_teach_what_one_does_and_end_when_a_worker_is_killed(teach):
    process = start(2, teach(SYMPHONY, "parts", 100_000))
    await_steps(process, "parts", 10)
    assert_one_sentence_told_of_the_loss(killed(process, rank=1))
    # One process goes on from the last checkpoint to the end.
    n_steps = int(checkpoints(Path("parts/checkpoints"))[0].stem.removeprefix("step-")) + 4
    assert run(teach(SYMPHONY, "parts", n_steps)) == 0
    assert run(teach(SYMPHONY, "whole", n_steps)) == 0
    assert_alike("parts", "whole")


@pytest.mark.long
@pytest.mark.parametrize("model", [SYMPHONY, WEAVER, G_SPHERENET], ids=lambda model: model["kind"])
def test_a_run_goes_on_with_another_number_of_processes(model, teach):
    """Of four processes one has no molecule in any batch; conditions and fragments are drawn for Weaver as well."""
    finish(2, teach(model, "parts", 8))
    assert run(teach(model, "parts", 16)) == 0
    finish(4, teach(model, "parts", 24))
    for n_steps in (8, 16, 24):  # the last step of a leg is measured
        assert run(teach(model, "whole", n_steps)) == 0
    assert_alike("parts", "whole")


@pytest.mark.long
def test_hidden_matrices_moved_by_muon(teach):
    muon = {"optimizer": {"kind": "muon"}}
    finish(2, teach(WEAVER, "parts", 12, **muon))
    assert run(teach(WEAVER, "whole", 12, **muon)) == 0
    assert_alike("parts", "whole", rtol=1e-3)  # it rounds to bfloat16


@pytest.mark.long
def test_four_processes_end_when_their_leader_is_killed(teach):
    process = start(4, teach(SYMPHONY, "run", 100_000, molecules_per_batch=8))
    await_steps(process, "run", 10)
    assert_one_sentence_told_of_the_loss(killed(process, rank=0))
    finish(2, teach(SYMPHONY, "run", 1, molecules_per_batch=8))  # nothing is left to do, and what there is can be read


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_torchrun_and_its_workers_writes_one_checkpoint(number, teach):
    process = start(2, teach(SYMPHONY, "run", 100_000, checkpoint_every=100_000, validation_every=100_000))
    await_steps(process, "run", 10)
    workers = [worker(process, rank) for rank in (0, 1)]
    for one in (*workers, process):  # as a terminal and Slurm do; torchrun then passes it on
        one.send_signal(number)
    shown, _ = process.communicate(timeout=100)
    [line] = [line for line in shown.splitlines() if line.startswith("Step ")]
    assert line.endswith("of 100000: interrupted.")
    assert "error:" not in shown
    [checkpoint] = checkpoints(Path("run/checkpoints"))
    assert int(checkpoint.stem.removeprefix("step-")) == len(losses("run")) == int(line.split()[1])


@pytest.mark.long
def test_one_process_speaks_for_all_when_the_command_is_wrong(teach):
    arguments = teach(SYMPHONY, "run", 4)
    assert run(arguments) == 0
    process = start(2, [*arguments, "training.learning_rate=1"])
    shown, _ = process.communicate(timeout=200)
    [sentence] = [line for line in shown.splitlines() if line.startswith("error:")]
    assert "training.learning_rate: 0.001 there, 1.0 here" in sentence
