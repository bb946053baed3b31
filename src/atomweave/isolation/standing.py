"""Workers that stand by between requests: for processes that are handed a few at a time, such as Dask's workers.

A child takes a second or two to import what it needs, so it is kept for the next request of the same run. Each thread
that asks gets a child of its own. Files that a task reads come as bytes, for they may lie on another machine; copies
of them are kept as long as the run has a child.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RefusedFileError
from .crew import COMMAND, CRASH, Failure, Worker, watching

ENDED = "the run was ended"
IDLE_SECONDS = 60.0
"""A child that has stood by for longer is ended when the next is asked for: its run may have been killed."""


@dataclass(frozen=True)
class Order:
    """What children are started for.

    Attributes:
        run: name of the run, so that one run never ends the children of another.
        task: a name in `tasks.TASKS`.
        options: what the task is told once, as JSON.
        timeout: seconds of wall-clock time for one request.
        memory: bytes of address space for one child.
        files: options that are paths of files, each with the sha256 of the file's content.
    """

    run: str
    task: str
    options: str
    timeout: float
    memory: int
    files: tuple[tuple[str, str], ...] = ()


_lock = threading.Lock()
_idle: list[tuple[float, Order, Worker]] = []  # since when (monotonic, s), for what
_busy: dict[Worker, Order] = {}
_folders: dict[str, tempfile.TemporaryDirectory] = {}  # run -> where copies of its files are
_ended: deque[str] = deque(maxlen=1000)  # runs that ended lately: a request that comes after the end starts no child


def answer_standing(
    order: Order, requests: Sequence[bytes], contents: Sequence[bytes] = (), scratch: str | None = None
) -> list[bytes | Failure]:
    """Answer requests in a child of this process that stays for the next; safe to call from several threads.

    Args:
        order: what to start a child for, if none stands by.
        requests: one answer or `Failure` each, in order.
        contents: of the order's files.
        scratch: folder for copies of them; the system's own for temporary files by default.

    Raises:
        AtomweaveError: if a child cannot start.
        RefusedFileError: if a content is not what the order says.
    """
    worker = _take(order, contents, scratch)
    if worker is None:
        return [Failure(CRASH, ENDED)] * len(requests)
    try:
        with watching([worker]):
            found = list(worker.answers(requests))
    except BaseException:
        _drop(worker)
        raise
    with _lock:
        stays = not worker.given_up and order.run not in _ended
        if stays:
            _idle.append((time.monotonic(), _busy.pop(worker), worker))
    if not stays:
        _drop(worker)
    return [*found, *[Failure(CRASH, ENDED)] * (len(requests) - len(found))]


def end_standing(run: str) -> None:
    """End the children of a run, also those that are in the middle of a request."""
    with _lock:
        _ended.append(run)
        for worker in [worker for worker, order in _busy.items() if order.run == run]:
            worker.give_up()  # the thread that waits for it releases it
    _end_idle(lambda _, order: order.run == run)


def _take(order: Order, contents: Sequence[bytes], scratch: str | None) -> Worker | None:
    """Return a child for a request, none if its run has ended."""
    _end_idle(lambda since, _: time.monotonic() - since > IDLE_SECONDS)
    with _lock:
        if order.run in _ended:
            return None
        kept = next((entry for entry in _idle if entry[1] == order), None)
        if kept is not None:
            _idle.remove(kept)
            worker = kept[2]
        else:
            options = {**json.loads(order.options), **_copies(order, contents, scratch)}
            worker = Worker((*COMMAND, order.task, json.dumps(options), str(order.memory)), order.timeout)
        _busy[worker] = order
    return worker


def _copies(order: Order, contents: Sequence[bytes], scratch: str | None) -> dict[str, str]:
    """Return option -> path of a file's copy, written if there is none yet; called with the lock held."""
    paths = {}
    for (option, sha256), content in zip(order.files, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != sha256:
            raise RefusedFileError(
                f"{option}: what arrived of the file has another hash than the file; run this again."
            )
        if order.run not in _folders:
            _folders[order.run] = tempfile.TemporaryDirectory(prefix="atomweave-", dir=scratch)
        path = Path(_folders[order.run].name, option)
        if not path.exists():
            path.write_bytes(content)
        paths[option] = str(path)
    return paths


def _end_idle(which: Callable[[float, Order], bool]) -> None:
    with _lock:
        ended = [entry for entry in _idle if which(*entry[:2])]
        _idle[:] = [entry for entry in _idle if entry not in ended]
    for _, _, worker in ended:
        worker.release()
    _forget_files()


def _drop(worker: Worker) -> None:
    with _lock:
        _busy.pop(worker)
    worker.release()
    _forget_files()


def _forget_files() -> None:
    """Remove the copies of files of runs that have no child any more."""
    with _lock:
        there = {order.run for _, order, _ in _idle} | {order.run for order in _busy.values()}
        for run in _folders.keys() - there:
            _folders.pop(run).cleanup()
