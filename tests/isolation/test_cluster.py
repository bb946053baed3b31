"""Requests answered on a Dask cluster of real processes, whatever becomes of its workers and its scheduler."""

from __future__ import annotations

import time

import psutil
import pytest
from distributed.scheduler import KilledWorker

from atomweave.chemistry.atoms_frame import pack_atoms
from atomweave.errors import IncompleteError, InputError, UsageError
from atomweave.isolation import CRASH, TIME_OUT, Failure, Limits, LocalExecutor, cluster
from atomweave.isolation.cluster import PER_THREAD, DaskExecutor
from atomweave.properties.calculation_task import unpack
from reference.dask_cluster import Cluster
from reference.molecules import qm9_molecules

OPTIONS = {"properties": ["gap", "energy"], "method": "gfn2-xtb", "relax": False}
LIMITS = Limits(60.0)
MOLECULES = list(qm9_molecules().values())
REQUESTS = [pack_atoms(molecule.numbers, molecule.positions) for molecule in MOLECULES]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("dask"), 2) as started:
        yield started


def requests(n: int):
    return ((index, REQUESTS[index % len(REQUESTS)]) for index in range(n))


def children_of(process) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children(recursive=True) if child.status() != "zombie"]


def test_a_worker_killed_in_the_middle_costs_nothing(dask):
    answers, drawn = [], []
    lost = dask.add_worker()
    dask.wait_for_workers(3)

    def going_on():
        while lost.returncode is None or len(drawn) < 40:  # until it has been killed at work, and then some
            drawn.append(len(drawn))
            yield drawn[-1], REQUESTS[drawn[-1] % len(REQUESTS)]

    def on_answer(index: int, found: bytes | Failure) -> None:
        answers.append((index, found))
        assert len(drawn) - len(answers) < PER_THREAD * 3
        if lost.returncode is None and children_of(lost):  # it is at work
            lost.kill()
            lost.wait()

    DaskExecutor(dask.address, LIMITS).run("property", going_on(), OPTIONS, on_answer)
    assert sorted(index for index, _ in answers) == drawn
    alone: dict[int, bytes | Failure] = {}
    LocalExecutor(LIMITS, 1).run("property", requests(len(REQUESTS)), OPTIONS, alone.__setitem__)
    for index, found in answers:
        here, there = unpack(alone[index % len(REQUESTS)]), unpack(found)
        assert (there.values, there.reason) == (here.values, here.reason)
    assert not [child for worker in dask.workers for child in children_of(worker)]


def test_a_molecule_is_kept_to_its_time_on_a_worker(dask):
    answers: dict[int, bytes | Failure] = {}
    DaskExecutor(dask.address, Limits(1e-9)).run("property", requests(3), OPTIONS, answers.__setitem__)
    assert [found.reason for found in answers.values()] == [TIME_OUT] * 3


def test_when_asked_to_stop_the_rest_is_taken_back(dask):
    answers: dict[int, bytes | Failure] = {}
    executor = DaskExecutor(dask.address, LIMITS)
    executor.run("property", requests(10**9), OPTIONS, answers.__setitem__, stop=lambda: len(answers) >= 3)
    assert 3 <= len(answers) <= 3 + 2 * PER_THREAD
    began = time.monotonic()
    while [child for worker in dask.workers for child in children_of(worker)] and time.monotonic() - began < 30:
        time.sleep(0.05)
    assert not [child for worker in dask.workers for child in children_of(worker)]


def test_workers_with_other_versions_are_refused(dask, monkeypatch):
    monkeypatch.setattr(cluster, "installed_versions", lambda packages: {"tblite": "0.0.1"})
    with pytest.raises(InputError, match=r"a worker of the scheduler has tblite [\d.]+, this process 0\.0\.1"):
        DaskExecutor(dask.address, LIMITS).run("property", requests(1), OPTIONS, lambda index, found: None)


def test_an_address_that_is_none_is_told():
    with pytest.raises(UsageError, match=r"'localhost': wanted an address such as tcp://"):
        DaskExecutor("localhost", LIMITS)
    for address in ("tcp://127.0.0.1:1", "nonsense://127.0.0.1:1"):
        with pytest.raises(InputError, match=f"scheduler {address}: no Dask scheduler answers there"):
            DaskExecutor(address, LIMITS, connect=0.5).run("property", requests(1), OPTIONS, lambda index, found: None)


class Ended:
    """A future that has ended as soon as it is asked for."""

    def __init__(self, key: str, found: list[bytes] | Exception) -> None:
        self.key, self.found = key, found
        self.status = "error" if isinstance(found, Exception) else "finished"

    def add_done_callback(self, tell) -> None:
        tell(self)

    def result(self, timeout: float) -> list[bytes]:
        return self.found

    def exception(self, timeout: float) -> Exception:
        return self.found

    def release(self) -> None:
        pass


class Deadly:
    """A client whose workers die with the request b"die", whatever else they have."""

    status = "running"

    def __init__(self) -> None:
        self.turns: list[list[bytes]] = []

    def nthreads(self) -> dict[str, int]:
        return {"a": 1}

    def submit(self, function, order, versions, requests, *contents, key, pure) -> Ended:
        self.turns.append(requests)
        return Ended(
            key, KilledWorker(key, None, 3) if b"die" in requests else [request.upper() for request in requests]
        )

    def run(self, *arguments, **options) -> None:
        pass


def test_of_a_turn_whose_workers_die_the_requests_go_out_again_one_by_one():
    client, answers = Deadly(), {}
    executor = cluster.ClientExecutor(client, "tcp://nowhere:1", LIMITS, 10.0)
    words = [b"a", b"b", b"die", b"c", b"d", b"e", b"f"]
    executor.run("bonds", enumerate(words), {}, answers.__setitem__, chunk=3)
    assert client.turns == [words[:3], words[3:6], words[6:], *([word] for word in words[:3])]
    lost = answers.pop(2)
    assert answers == {index: word.upper() for index, word in enumerate(words) if word != b"die"}
    assert lost == Failure(CRASH, "several Dask workers ended while they had it")


@pytest.mark.long
def test_a_scheduler_without_workers_and_one_that_goes_away_are_told(tmp_path):
    with Cluster(tmp_path, 0) as started:
        executor = DaskExecutor(started.address, LIMITS, patience=0.5)
        with pytest.raises(
            IncompleteError, match=r"it has had no worker for 0\.5 s; start some with `dask worker tcp:"
        ):
            executor.run("property", requests(1), OPTIONS, lambda index, found: None)
        started.add_worker()
        answers: list[int] = []

        def on_answer(index: int, found: bytes | Failure) -> None:
            answers.append(index)
            started.scheduler.kill()

        with pytest.raises(IncompleteError, match="connection to the Dask scheduler broke"):
            DaskExecutor(started.address, LIMITS).run("property", requests(10**9), OPTIONS, on_answer)
        assert answers
