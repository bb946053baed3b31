"""Growing and evaluating on a real Dask cluster: the same bytes as on one machine, whatever becomes of its workers."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rdkit import Chem

import atomweave
from atomweave.cli.main import run
from atomweave.errors import AtomweaveError, InputError, UsageError
from atomweave.evaluation.building import Work
from atomweave.evaluation.evaluation import Evaluation
from atomweave.evaluation.outputs import write_metrics, write_molecules
from atomweave.evaluation.report import write_evaluation_report
from atomweave.evaluation.suites import Settings
from atomweave.growth.grower import Grown, grow
from atomweave.io import read, write
from atomweave.isolation import CRASH, MEMORY, UNLIMITED, Failure, LocalExecutor
from atomweave.isolation.cluster import DaskExecutor
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, save_weights
from reference import worked_molecules as worked
from reference.dask_cluster import Cluster
from reference.molecules import qm9_molecules
from reference.weaver import SMALL

COMMAND = Path(sys.executable).with_name("atomweave")
MOLECULES = [*qm9_molecules().values(), worked.argon()]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("dask"), 2) as started:
        started.wait_for_workers(2)
        yield started


@pytest.fixture
def weights(tmp_path):
    """Weights that know nothing, of a file that may be removed."""
    torch.manual_seed(0)
    config, path = WeaverConfig.model_validate(SMALL), tmp_path / "small.safetensors"
    save_weights(path, Weaver(config), config, Card(name="small"))
    return path


def fingerprint(grown: Grown) -> list[tuple]:
    """Everything that was grown, floats to the last bit."""
    return [
        (
            attempt.molecule.numbers.tobytes(),
            attempt.molecule.positions.tobytes(),
            repr((attempt.index, attempt.finished, attempt.reason, attempt.log_prob, attempt.molecule.properties)),
        )
        for attempt in grown.attempts
    ]


def files_of(evaluation: Evaluation, folder: Path) -> dict[str, bytes]:
    """What `atomweave evaluate` leaves behind, without date and seconds."""
    evaluation = replace(evaluation, made={})
    folder.mkdir()
    write_metrics(folder / "metrics.json", evaluation)
    write_molecules(folder / "molecules.csv", evaluation)
    write_evaluation_report(folder / "report.html", evaluation, 10)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_lost_workers_and_a_lost_file_change_no_byte_of_what_grows(dask, weights):
    alone = grow(weights, 300, seed=3, block=20, max_atoms=12)
    seen = []

    def disturb(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 1:  # all have blocks to grow, and more to come
            dask.workers[0].kill()
        if len(seen) == 4:  # nobody is left who has the weights
            weights.unlink()
            dask.workers[1].kill()
            dask.workers = [dask.add_worker()]

    there = grow(
        weights, 300, seed=3, block=20, max_atoms=12, progress=disturb, executor=DaskExecutor(dask.address, UNLIMITED)
    )
    assert seen == [*range(20, 301, 20)]
    assert not weights.exists()
    assert fingerprint(there) == fingerprint(alone)


def test_a_worker_lost_in_the_middle_changes_no_byte_of_a_report(dask, tmp_path):
    lost, shown = dask.workers[0], []
    dask.workers = [dask.add_worker()]
    dask.wait_for_workers(2)
    molecules = MOLECULES * 40
    alone = atomweave.evaluate(molecules, None, "edm", work=Work(workers=1))

    def progress(title: str):
        def show(done: int, total: int) -> None:
            shown.append((title, done, total))
            if lost.returncode is None:
                lost.kill()
                lost.wait()

        return show

    there = atomweave.evaluate(
        molecules, None, "edm", work=Work(progress=progress, executor=DaskExecutor(dask.address, UNLIMITED))
    )
    assert shown[0][1] < len(molecules)
    assert shown[-1][1:] == (len(molecules), len(molecules))
    assert files_of(there, tmp_path / "there") == files_of(alone, tmp_path / "here")


def test_the_commands_write_what_they_write_on_one_machine(dask, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    growing = ["sample", str(weights), "-n", "20", "--max-atoms", "10"]
    assert run([*growing, "-o", "here.sdf", "--workers", "1"]) == 0
    capsys.readouterr()
    assert run([*growing, "-o", "there.sdf", "--scheduler", dask.address]) == 0
    assert f"; cpu, {dask.address}, threads each 1)" in capsys.readouterr().out
    assert Path("there.sdf").read_bytes() == Path("here.sdf").read_bytes()
    judging = ["evaluate", "here.sdf", "--reference", "none", "--suite", "edm"]
    assert run([*judging, "-o", "here", "--workers", "1"]) == 0
    assert run([*judging, "-o", "there", "--scheduler", dask.address]) == 0
    assert Path("there/molecules.csv").read_bytes() == Path("here/molecules.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "2", "--scheduler", "tcp://a:1"], "--workers and --scheduler exclude each other"),
        (["--slurm", "jobs=2", "--scheduler", "tcp://a:1"], "--scheduler and --slurm exclude each other"),
        (["--scheduler", "localhost"], "'localhost': wanted an address such as tcp://"),
        (["--slurm", "jobs=2,core=3"], "there is no 'core': did you mean 'cores'?"),
    ],
)
@pytest.mark.parametrize("verb", ["sample", "evaluate", "complete"])
def test_places_are_named_once_and_as_scoring_names_them(verb, arguments, words, weights, tmp_path, capsys):
    given = {
        "sample": [str(weights), "-o", str(tmp_path / "new.xyz")],
        "evaluate": [str(tmp_path / "some.xyz")],
        "complete": [str(weights), str(tmp_path / "some.xyz"), "-o", str(tmp_path / "new.xyz")],
    }[verb]
    write(tmp_path / "some.xyz", MOLECULES[:1])
    assert run([verb, *given, *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new.xyz").exists()


def test_a_device_here_and_a_scheduler_exclude_each_other(weights, tmp_path, capsys):
    arguments = ["--device", "cuda", "--scheduler", "tcp://a:1"]
    assert run(["sample", str(weights), "-o", str(tmp_path / "new.xyz"), *arguments]) == 2
    assert "--device and --scheduler exclude each other" in capsys.readouterr().err


def test_an_executor_needs_weights_that_can_be_sent(weights):
    executor = LocalExecutor(UNLIMITED, 1)
    with pytest.raises(UsageError, match="model: got a Weaver, wanted the name or path of weights"):
        grow(atomweave.load(weights), 2, executor=executor)
    with pytest.raises(UsageError, match="an executor has workers of its own"):
        grow(weights, 2, executor=executor, workers=2)


class Unlucky:
    """An executor whose every request fails."""

    def __init__(self, reason: str) -> None:
        self.reason, self.asked = reason, []

    def run(self, task, requests, options, on_answer, **further):
        for index, _ in requests:
            self.asked.append(index)
            on_answer(index, Failure(self.reason, "too bad"))


@pytest.mark.parametrize(("reason", "asked"), [(CRASH, [0, 1] * 3), (MEMORY, [0])])
def test_a_block_that_ends_its_process_is_begun_three_times(reason, asked, weights):
    executor = Unlucky(reason)
    with pytest.raises(AtomweaveError, match=rf"molecules 0 to 4 could not be grown \({reason}: too bad\); most often"):
        grow(weights, 8, block=5, executor=executor)
    assert executor.asked == asked


def test_no_scheduler_is_told(weights):
    executor = DaskExecutor("tcp://127.0.0.1:1", UNLIMITED, connect=0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        atomweave.evaluate(MOLECULES, None, "edm", work=Work(executor=executor))
    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        grow(weights, 2, executor=executor)


@pytest.mark.long
def test_fragments_and_conditions_come_through(weights, tmp_path):
    fragment = atomweave.Molecule(MOLECULES[3].numbers[:2], MOLECULES[3].positions[:2])
    alone = atomweave.complete(weights, [fragment, MOLECULES[0]], 10, block=4, max_atoms=30)
    executor = LocalExecutor(UNLIMITED, 2)
    there = atomweave.complete(weights, [fragment, MOLECULES[0]], 10, block=4, max_atoms=30, executor=executor)
    assert fingerprint(there) == fingerprint(alone)
    asked = [{"gap": 3.0 + index / 7} for index in range(40)]
    alone = grow("weaver-qm9", 40, block=16, conditions=asked)
    there = grow("weaver-qm9", 40, block=16, conditions=asked, executor=executor)
    assert fingerprint(there) == fingerprint(alone)


@pytest.mark.long
def test_every_table_is_the_same_on_a_cluster(dask, tmp_path):
    settings = Settings(energies=20, relaxed=10)
    molecules = MOLECULES * 4
    alone = atomweave.evaluate(molecules, None, "full", settings=settings)
    work = Work(executor=DaskExecutor(dask.address, UNLIMITED))
    there = atomweave.evaluate(molecules, None, "full", settings=settings, work=work)
    assert files_of(there, tmp_path / "there") == files_of(alone, tmp_path / "here")


@pytest.mark.long
def test_shipped_weights_on_a_cluster_that_loses_a_worker_write_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [COMMAND, "sample", "weaver-qm9", "-n", "10000", "--seed", "5", "--no-table"]
    subprocess.run([*command, "-o", "here.sdf"], check=True)
    with Cluster(tmp_path, 3) as dask:
        dask.wait_for_workers(3)
        there = [*command, "-o", "there.sdf", "--scheduler", dask.address]
        with subprocess.Popen(there, stderr=subprocess.PIPE) as growing:
            time.sleep(15)
            dask.workers[0].kill()
            assert growing.poll() is None
            said = growing.communicate()[1]
        assert growing.returncode == 0, said
    assert Path("there.sdf").read_bytes() == Path("here.sdf").read_bytes()
    assert len(read("there.sdf")) == 10_000
    assert Chem.MolFromMolFile("there.sdf") is not None
