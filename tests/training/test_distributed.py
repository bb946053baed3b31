from __future__ import annotations

import json
import os
import signal

import pytest
import torch

from atomweave.errors import UsageError
from atomweave.training.checkpoint import Best, RunState
from atomweave.training.distributed import ALONE, Processes, joined, own_device, shared_start
from atomweave.training.interrupts import Interrupts

STATE = RunState("a", {"model": {"width": 4}}, "b", step=7, sums={"loss": 0.5}, best=Best(5, "valid", 0.25))


class Follower(Processes):
    """A process that hears from a leader who was recorded before."""

    def __init__(self, said: bytes) -> None:
        self.rank, self.size, self.said = 1, 2, said

    def from_leader(self, content: bytes) -> bytes:
        return self.said


class Leader(Follower):
    """Records what it says."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 2

    def from_leader(self, content: bytes) -> bytes:
        self.said = content
        return content


@pytest.fixture
def two_processes(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)


def test_alone_nothing_is_shared():
    terms = {"loss": torch.ones(())}
    assert ALONE.leads
    assert ALONE.any(True, False) == [True, False]
    assert ALONE.add_up([torch.ones(2)], terms) is terms
    assert shared_start(ALONE, STATE, None) is None
    with joined("cpu") as processes:
        assert processes is ALONE


@pytest.mark.parametrize("found", [None, (STATE, {"model/x": torch.arange(3.0), "optimizer/x/step": torch.ones(())})])
def test_all_begin_with_what_the_leader_found(found):
    wanted = RunState("a", STATE.identity, "b")
    leader = Leader()
    expected = shared_start(leader, wanted, found)
    got = shared_start(Follower(leader.said), wanted, None)
    assert (got is None) == (expected is None) == (found is None)
    if found is not None:
        assert got[0] == expected[0] == STATE
        torch.testing.assert_close(got[1], found[1], rtol=0, atol=0)


def test_processes_of_different_runs_are_refused():
    leader = Leader()
    shared_start(leader, RunState("a", {}, "b"), None)
    with pytest.raises(UsageError, match="process 1 was started with another configuration, store or --init-from"):
        shared_start(Follower(leader.said), RunState("a", {}, "another store"), None)
    assert json.loads(leader.said.partition(b"\n")[0])[1]["store_sha256"] == "b"


def test_each_process_has_a_gpu_of_its_own(two_processes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("auto", "cuda"):
        with pytest.raises(UsageError, match="process 1 of this machine found 1 GPUs"):
            own_device(name)
    with pytest.raises(UsageError, match="'cuda:0' is one GPU for several processes"):
        own_device("cuda:0")
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert own_device("auto") == own_device("cuda") == "cuda:1"
    assert chosen == [1, 1]
    assert own_device("cpu") == "cpu"


def test_one_process_keeps_the_device_that_it_is_told(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert own_device("cuda:3") == "cuda:3"


def test_processes_that_torchrun_did_not_start_are_refused(two_processes, monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(UsageError, match="WORLD_SIZE is 2, but MASTER_PORT is not set"), joined("cpu"):
        pass


def test_a_patient_process_takes_the_second_signal_for_the_first():
    for patient in (True, False):
        interrupts = Interrupts(patient)
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            with interrupts.listening():
                os.kill(os.getpid(), signal.SIGTERM)
                assert interrupts.asked
                if patient:
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    with pytest.raises(KeyboardInterrupt):
                        os.kill(os.getpid(), signal.SIGINT)
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
                signal.signal(number, handler)
