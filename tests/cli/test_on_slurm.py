"""Commands in jobs of a real Slurm: lost jobs cost nothing, interrupted commands leave none, training goes on.

Needs Debian's slurm-wlm and munge, or the like of another system, on the path.
"""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from atomweave.data.store import MoleculeStore
from atomweave.io import write
from atomweave.molecule import Molecule
from reference.molecules import qm9_molecules
from reference.slurm_cluster import Slurm, free_ports, missing
from reference.tiny import WEAVER

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: no {', '.join(missing())}"),
]
COMMAND = str(Path(sys.executable).with_name("atomweave"))
JOBS = "jobs=2,cores=1,memory=1500MB,walltime=0:10:00,partition=cpu,interface=lo"


FRAMES = 1200


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with Slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture
def molecules(tmp_path):
    """A file of frames, no two of them alike."""
    path = tmp_path / "molecules.extxyz"
    frames = list(qm9_molecules().values())
    write(path, [stretched(frames[i % len(frames)], 1 + i / 1e5) for i in range(FRAMES)])
    return path


def stretched(molecule: Molecule, factor: float) -> Molecule:
    return Molecule(molecule.numbers, molecule.positions * factor)


TRAINING = """\
#!/bin/bash
#SBATCH --job-name=taught --dependency=singleton --output=%j.log
#SBATCH --nodes=2 --ntasks-per-node=1 --cpus-per-task=2
export OMP_NUM_THREADS=1
srun --kill-on-bad-exit=1 {python} -m torch.distributed.run --nnodes 2 --nproc-per-node 1 \\
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint 127.0.0.1:{port} \\
    -m atomweave train tiny.yaml --data few.safetensors --out run training.n_steps=$1
"""


def score(slurm: Slurm, molecules: Path) -> subprocess.Popen:
    command = [COMMAND, "score", str(molecules), "--property", "gap,polarizability", "--method", "gfn2-xtb", "--relax"]
    command += ["-o", "scores.csv", "--results", "results.sqlite", "--slurm", JOBS]
    with said(molecules).open("w") as log:
        return subprocess.Popen(command, cwd=molecules.parent, env=slurm.environment, stdout=log, stderr=log)


def said(molecules: Path) -> Path:
    return molecules.with_name("score.log")


def wait(done, seconds: float = 120.0) -> None:
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds
        time.sleep(0.2)


def test_a_cancelled_job_is_replaced_and_costs_no_molecule(slurm, molecules):
    scoring = score(slurm, molecules)
    wait(lambda: "molecules/s" in said(molecules).read_text())
    first = slurm.running()
    slurm.cancel(first[0])
    # Dask gives a worker fifteen seconds to come back before it asks for another job.
    wait(lambda: set(slurm.running()) - set(first) or scoring.poll() is not None)
    assert scoring.poll() is None
    assert scoring.wait(300) == 0, said(molecules).read_text()
    with (molecules.parent / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FRAMES
    assert not any(row["reason"] for row in rows)
    wait(lambda: not slurm.jobs())


def test_an_interrupted_command_says_so_leaves_no_job_and_goes_on(slurm, molecules):
    scoring = score(slurm, molecules)
    wait(lambda: "molecules/s" in said(molecules).read_text())
    scoring.send_signal(signal.SIGINT)
    assert scoring.wait(30) == 5
    assert re.search(rf"error: interrupted with \d+ of {FRAMES} molecules calculated", said(molecules).read_text())
    assert not (molecules.parent / "scores.csv").exists()
    wait(lambda: not slurm.jobs())
    again = score(slurm, molecules)
    assert again.wait(300) == 0, said(molecules).read_text()
    assert (molecules.parent / "scores.csv").exists()


def test_training_on_two_nodes_stops_in_good_order_and_goes_on_in_the_next_job(slurm, tmp_path):
    store = MoleculeStore.from_molecules(list(qm9_molecules().values()))
    splits = {"edm/train": np.arange(4, len(store)), "edm/valid": np.arange(4)}
    MoleculeStore(store.numbers, store.positions, store.offsets, splits=splits).write(tmp_path / "few.safetensors")
    training = {
        "molecules_per_batch": 4, "samples_every": None, "validation_every": 10_000, "log_every": 1,
        "checkpoint_every": 10_000, "device": "cpu", "threads": 1,
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(json.dumps({"model": WEAVER, "training": training}))
    (tmp_path / "job.sh").write_text(TRAINING.format(python=sys.executable, port=free_ports(1)[0]))

    def hand_in(n_steps: int) -> str:
        command = ["sbatch", "--parsable", "job.sh", str(n_steps)]
        done = subprocess.run(command, cwd=tmp_path, env=slurm.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def losses() -> list[float]:
        log = tmp_path / "run" / "log.jsonl"
        return [json.loads(line)["loss"] for line in log.read_text().splitlines()] if log.exists() else []

    first = hand_in(100_000)
    wait(lambda: len(losses()) > 5)
    slurm.told("scancel", "--signal=TERM", first)  # what --signal=TERM@60 sends a minute before the time is up
    wait(lambda: not slurm.jobs())
    stopped = re.search(r"Step (\d+) of 100000: interrupted", (tmp_path / f"{first}.log").read_text())
    assert stopped
    second = hand_in(int(stopped[1]) + 5)
    wait(lambda: not slurm.jobs())
    told = (tmp_path / f"{second}.log").read_text()
    assert f"resuming run at step {stopped[1]}" in told
    assert "all steps are done" in told
