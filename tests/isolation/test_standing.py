"""A child stands by for the next request of its run, and ends with its run."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest

from atomweave.errors import RefusedFileError
from atomweave.isolation import CRASH, TIME_OUT, Failure, standing
from atomweave.isolation.standing import Order, answer_standing, end_standing

TROUBLED = (sys.executable, "-P", str(Path(__file__).with_name("troubled_worker.py")))


@pytest.fixture(autouse=True)
def _troubled(monkeypatch):
    monkeypatch.setattr(standing, "COMMAND", TROUBLED)
    monkeypatch.setattr(standing, "_ended", deque(maxlen=10))
    yield
    for run in ("a", "b", "c"):
        end_standing(run)


def order(run: str, folder: Path, timeout: float = 60.0) -> Order:
    return Order(run, "troubled", json.dumps({"folder": str(folder)}), timeout, 1 << 30)


def answer(order: Order, request: bytes) -> bytes | Failure:
    (found,) = answer_standing(order, [request])
    return found


def children(folder: Path) -> list[int]:
    return [int(file.name) for file in folder.iterdir()]


def copies(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_child_answers_many_requests_and_is_replaced_when_it_ends(tmp_path):
    assert [answer(order("a", tmp_path), request) for request in (b"a", b"b", b"c")] == [b"A", b"B", b"C"]
    assert len(children(tmp_path)) == 1
    lost = answer(order("a", tmp_path), b"die")
    assert isinstance(lost, Failure)
    assert answer(order("a", tmp_path), b"d") == b"D"
    assert len(children(tmp_path)) == 2


def test_a_request_is_kept_to_its_time(tmp_path):
    found = answer(order("a", tmp_path, timeout=0.5), b"hang")
    assert found == Failure(TIME_OUT, "no answer within 0.5 s")


def test_the_end_of_a_run_ends_its_children_only_also_at_work(tmp_path, monkeypatch):
    assert answer(order("b", tmp_path), b"b") == b"B"
    (other,) = children(tmp_path)
    found: list[bytes | Failure] = []
    asking = threading.Thread(target=lambda: found.append(answer(order("a", tmp_path), b"hang")))
    asking.start()
    began = time.monotonic()
    while len(children(tmp_path)) < 2 and time.monotonic() - began < 60:
        time.sleep(0.02)
    end_standing("a")
    asking.join(60)
    assert [entry.detail for entry in found] == ["the run was ended"]
    assert [child for child in children(tmp_path) if is_running(child)] == [other]
    # One whose run never ended it goes when it has been idle for long.
    monkeypatch.setattr(standing, "IDLE_SECONDS", 0.0)
    assert answer(order("c", tmp_path), b"c") == b"C"
    assert not is_running(other)


def test_a_request_that_comes_after_the_end_of_its_run_starts_no_child(tmp_path):
    end_standing("a")
    assert answer(order("a", tmp_path), b"a") == Failure(CRASH, standing.ENDED)
    assert not children(tmp_path)
    assert answer(order("b", tmp_path), b"b") == b"B"


def test_several_requests_at_once_and_one_that_ends_its_child():
    asked = Order("a", "troubled", "{}", 60.0, 1 << 30)
    first, lost, last = answer_standing(asked, [b"a", b"die", b"b"])
    assert (first, last) == (b"A", b"B")
    assert isinstance(lost, Failure)
    assert lost.reason == CRASH


def test_files_come_by_content_and_go_with_their_run(tmp_path):
    content = b"some weights"
    files = (("file", hashlib.sha256(content).hexdigest()),)
    first, second = (Order(run, "troubled", "{}", 60.0, 1 << 30, files) for run in ("a", "b"))
    assert answer_standing(first, [b"read"] * 2, [content], str(tmp_path)) == [content] * 2
    assert answer_standing(second, [b"read"], [content], str(tmp_path)) == [content]
    assert len(copies(tmp_path)) == 2
    end_standing("a")
    assert len(copies(tmp_path)) == 1
    # A child that is started again finds its file, too.
    assert answer_standing(second, [b"die", b"read"], [content], str(tmp_path))[1] == content
    end_standing("b")
    assert not copies(tmp_path)


def test_another_content_than_was_sent_is_refused(tmp_path):
    wanted = Order("a", "troubled", "{}", 60.0, 1 << 30, (("weights", hashlib.sha256(b"these").hexdigest()),))
    with pytest.raises(RefusedFileError, match="weights: what arrived of the file has another hash"):
        answer_standing(wanted, [b"a"], [b"others"], str(tmp_path))
    assert not copies(tmp_path)
