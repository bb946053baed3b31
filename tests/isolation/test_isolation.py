"""A request that hangs, crashes, eats memory or raises costs itself only."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from atomweave.chemistry.bonds import Perception, perceive, perceive_many
from atomweave.errors import AtomweaveError
from atomweave.isolation import CRASH, ERROR, MEMORY, TIME_OUT, Failure, answer_isolated, crew, run_isolated
from reference import worked_molecules as worked

TROUBLED = (sys.executable, "-P", str(Path(__file__).with_name("troubled_worker.py")))
CHUNK = crew.CHUNK


def ask(*requests: bytes, **further: object) -> list[bytes | Failure]:
    return run_isolated("troubled", requests, command=TROUBLED, **further)


def outcome(found: list[bytes | Failure]) -> list[bytes | str]:
    return [answer.reason if isinstance(answer, Failure) else answer for answer in found]


def test_no_requests_need_no_worker():
    assert run_isolated("bonds", [], command=("no such program",)) == []
    assert perceive_many([]) == []


def test_a_hang_costs_its_request_only_and_in_time():
    start = time.perf_counter()
    found = ask(b"a", b"hang", b"b", b"hang", timeout=4)
    assert time.perf_counter() - start < 30
    assert outcome(found) == [b"A", TIME_OUT, b"B", TIME_OUT]
    assert found[1] == Failure(TIME_OUT, "no answer within 4 s")


@pytest.mark.parametrize("end", [b"die", b"leave"])
def test_a_crash_costs_its_request_only(end):
    requests = [end, b"a", b"b", b"c", end, b"d", *[b"e"] * CHUNK, end]
    found = ask(*requests, workers=2)
    assert outcome(found) == [CRASH if request == end else request.upper() for request in requests]
    status = f"status {-signal.SIGABRT}" if end == b"die" else "status 3"
    assert status in found[0].detail


def test_too_much_memory_costs_its_request_only_and_the_worker_lives_on(tmp_path):
    found = ask(b"a", b"eat", b"b", memory=1 << 30, options={"folder": str(tmp_path)})
    assert outcome(found) == [b"A", MEMORY, b"B"]
    assert len(list(tmp_path.iterdir())) == 1


def test_an_exception_costs_its_request_only_and_is_told():
    found = ask(b"a", b"raise", b"b")
    assert found == [b"A", Failure(ERROR, "ValueError: nothing to be done"), b"B"]


def test_what_a_task_prints_does_not_mix_with_its_answers():
    assert ask(b"print", b"a") == [b"PRINT", b"A"]


def test_options_reach_the_task_and_empty_requests_are_requests():
    assert ask(b"a", b"", options={"greeting": "É"}) == ["ÉA".encode(), "É".encode()]


def test_many_are_as_one_in_any_number_of_workers():
    requests = [str(index).encode() for index in range(5 * CHUNK + 7)]
    for workers, chunk in [(1, CHUNK), (2, CHUNK), (3, 10), (8, 1)]:
        assert ask(*requests, workers=workers, chunk=chunk) == requests


def test_perceptions_are_the_same_in_any_number_of_workers():
    makers = [worked.methane, worked.argon, worked.carbon_dioxide, worked.methyl, worked.methane_and_water]
    molecules = [make() for make in makers] * (CHUNK // 2)

    def told(found: list[Perception]) -> list[object]:
        return [(p.reason, p.smiles, p.strict, p.binary, p.bonds.tolist(), list(p.orders), p.rings) for p in found]

    alone = told([perceive(molecule) for molecule in molecules])
    for workers in (1, 2):
        assert told(perceive_many(molecules, workers=workers)) == alone


def test_progress_counts_up_to_the_end():
    seen = []
    ask(*[b"a"] * 100, b"die", workers=2, chunk=20, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) == 6
    assert seen[-1] == (101, 101)


def test_an_error_in_progress_ends_the_run():
    def broken(done: int, total: int) -> None:
        raise RuntimeError("the bar broke")

    with pytest.raises(RuntimeError, match="the bar broke"):
        ask(b"a", b"hang", workers=2, chunk=1, progress=broken)


def test_a_worker_that_cannot_start_says_so():
    with pytest.raises(AtomweaveError, match=r"did not start: .*boom"):
        run_isolated("bonds", [b"a"], command=(sys.executable, "-c", "raise SystemExit('boom')"))


def test_a_worker_that_is_never_ready_is_told(monkeypatch):
    monkeypatch.setattr(crew, "START_TIMEOUT", 0.2)
    with pytest.raises(AtomweaveError, match=r"was not ready after 0\.2 s"):
        run_isolated("bonds", [b"a"], command=(sys.executable, "-c", "import time; time.sleep(60)"))


def test_answers_are_handed_over_one_by_one_in_the_calling_thread():
    seen: list[tuple[int, bytes | Failure]] = []

    def on_answer(index: int, found: bytes | Failure) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.append((index, found))

    answer_isolated("troubled", [(7, b"a"), (3, b"die"), (5, b"b")], on_answer, workers=1, command=TROUBLED)
    assert [(index, *outcome([found])) for index, found in seen] == [(7, b"A"), (3, CRASH), (5, b"B")]


def test_when_asked_to_stop_what_is_answered_is_handed_over_and_the_rest_dropped():
    found: dict[int, bytes | Failure] = {}
    began = time.monotonic()
    endless = ((index, b"a" if index < 5 else b"hang") for index in itertools.count())
    answer_isolated(
        "troubled", endless, found.__setitem__, workers=2, command=TROUBLED, timeout=600, stop=lambda: len(found) >= 5
    )
    assert time.monotonic() - began < 60
    assert found == dict.fromkeys(range(5), b"A")


def test_an_error_in_what_takes_the_answers_ends_the_run():
    def broken(index: int, found: bytes | Failure) -> None:
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        answer_isolated("troubled", enumerate([b"a", b"hang"]), broken, workers=2, command=TROUBLED)


def test_a_killed_parent_leaves_no_process(tmp_path):
    script = (
        "from atomweave.isolation import run_isolated\n"
        f"run_isolated('troubled', [b'hang'], options={{'folder': {str(tmp_path)!r}}},"
        f" timeout=600, command={TROUBLED!r})\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    began = time.monotonic()
    while not list(tmp_path.iterdir()) and time.monotonic() - began < 60:
        time.sleep(0.02)
    (child,) = [int(file.name) for file in tmp_path.iterdir()]
    parent.kill()
    parent.wait()
    while is_running(child) and time.monotonic() - began < 60:
        time.sleep(0.05)
    assert not is_running(child)


def test_ctrl_c_leaves_no_process(tmp_path):
    script = (
        "from atomweave.isolation import run_isolated\n"
        f"run_isolated('troubled', [b'hang'] * 9, options={{'folder': {str(tmp_path)!r}}}, workers=2, chunk=1,"
        f" timeout=600, command={TROUBLED!r})\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    began = time.monotonic()
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() - began < 60:
        time.sleep(0.02)
    children = [int(file.name) for file in tmp_path.iterdir()]
    assert len(children) == 2
    assert all(is_running(child) for child in children)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    assert not any(is_running(child) for child in children)


def test_a_worker_that_starts_does_not_hear_ctrl_c(tmp_path):
    # As a terminal sends it to all, before the worker's Python has begun to ignore it.
    starting = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(60)"
    script = (
        "import sys\n"
        "from atomweave.isolation import run_isolated\n"
        f"run_isolated('troubled', [b'hang'], timeout=600, command=[sys.executable, '-c', {starting!r}])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    began = time.monotonic()
    while not list(tmp_path.iterdir()) and time.monotonic() - began < 60:
        time.sleep(0.02)
    (child,) = [int(file.name) for file in tmp_path.iterdir()]
    os.kill(child, signal.SIGINT)
    time.sleep(0.5)
    assert is_running(child)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
