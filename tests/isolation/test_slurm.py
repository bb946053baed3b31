"""What Slurm would be handed, and a run through a stand-in for it that starts each job's script at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from atomweave.chemistry.atoms_frame import pack_atoms
from atomweave.errors import InputError, UsageError
from atomweave.isolation import Failure, Limits
from atomweave.isolation.slurm import SlurmExecutor, SlurmJobs
from reference.molecules import qm9_molecules

SBATCH = """#!/bin/sh
setsid sh "$1" > "$JOBS/log" 2>&1 &
echo $! > "$JOBS/$!"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -9 -- "-$job"; rm "$JOBS/$job"; done
"""


def test_jobs_are_read_from_one_line():
    jobs = SlurmJobs.parse("jobs=20, cores=16,memory=32GB,walltime=8:00:00,partition=cpu,qos=long")
    assert jobs == SlurmJobs(20, 16, "32GB", "8:00:00", "cpu", qos="long")
    assert SlurmJobs.parse("") == SlurmJobs()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobs=2,core=3", "there is no 'core': did you mean 'cores'"),
        ("jobs", "got 'jobs', wanted NAME=VALUE"),
        ("jobs=two", "got 'jobs=two', wanted a whole number"),
        ("jobs=0", "at least one of each"),
        ("walltime=8h", "got walltime=8h, wanted H:MM:SS"),
        ("walltime=0:01:00", "longer than 2 minutes"),
    ],
)
def test_what_does_not_read_as_jobs_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        SlurmJobs.parse(text)


def test_the_script_asks_for_what_was_said():
    from dask_jobqueue.slurm import SLURMJob

    jobs = SlurmJobs.parse("cores=16,memory=32GB,walltime=8:00:00,partition=cpu,account=chem,qos=long,interface=ib0")
    script = SLURMJob(scheduler="tcp://10.0.0.1:8786", name="a", **jobs.cluster_options()).job_script().splitlines()
    for line in (
        "#SBATCH -J atomweave", "#SBATCH -p cpu", "#SBATCH -A chem", "#SBATCH --cpus-per-task=16", "#SBATCH --mem=30G",
        "#SBATCH -t 8:00:00", "#SBATCH --qos=long", "export OMP_NUM_THREADS=1",
    ):  # fmt: skip
        assert line in script
    command = script[-1]
    assert command.startswith(f"{sys.executable} -m distributed.cli.dask_worker tcp://10.0.0.1:8786 ")
    for part in ("--nthreads 1", "--nworkers 16", "--interface ib0", "--lifetime 28680s"):  # two minutes less than 8 h
        assert part in command


def test_where_there_is_no_slurm_one_sentence_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="there is no sbatch on the path"):
        SlurmExecutor(SlurmJobs(), Limits(60.0)).run("property", [], {}, lambda index, found: None)


def test_an_interrupt_is_still_one_after_the_jobs_library_came():
    program = "import os, signal; from atomweave.isolation.slurm import require_jobqueue as come; come(); "
    program += "os.kill(os.getpid(), signal.SIGINT); print('went on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert done.stdout == ""


@pytest.mark.long
def test_jobs_are_handed_in_do_the_work_and_are_cancelled(tmp_path, monkeypatch):
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "jobs").mkdir()
    monkeypatch.setenv("JOBS", str(tmp_path / "jobs"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.chdir(tmp_path)
    requests = [pack_atoms(molecule.numbers, molecule.positions) for molecule in qm9_molecules().values()]
    options = {"properties": ["gap"], "method": "gfn2-xtb", "relax": False}
    answers: dict[int, bytes | Failure] = {}
    seen: set[str] = set()

    def on_answer(index: int, found: bytes | Failure) -> None:
        answers[index] = found
        seen.update(job.name for job in (tmp_path / "jobs").iterdir() if job.name != "log")

    executor = SlurmExecutor(SlurmJobs.parse("jobs=2,cores=1,memory=1GB,interface=lo"), Limits(60.0))
    try:
        executor.run("property", enumerate(requests), options, on_answer)
    finally:
        left = [job for job in (tmp_path / "jobs").iterdir() if job.name != "log"]
        for job in left:
            os.killpg(int(job.name), signal.SIGKILL)
    assert sorted(answers) == list(range(len(requests)))
    assert all(isinstance(found, bytes) for found in answers.values())
    assert 1 <= len(seen) <= 2
    assert not left
