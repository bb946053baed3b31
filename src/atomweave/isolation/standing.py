"""Workers that stand by between requests: for processes that are handed one request at a time, such as Dask's workers.

A child takes a second or two to import what it needs, so it is kept for the next request of the same run. Each thread
that asks gets a child of its own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

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
    """

    run: str
    task: str
    options: str
    timeout: float
    memory: int


_lock = threading.Lock()
_idle: list[tuple[float, Order, Worker]] = []  # since when (monotonic, s), for what
_busy: dict[Worker, Order] = {}
_ended: deque[str] = deque(maxlen=1000)  # runs that ended lately: a request that comes after the end starts no child


def answer_standing(order: Order, request: bytes) -> bytes | Failure:
    """Answer one request in a child of this process that stays for the next; safe to call from several threads.

    Raises:
        AtomweaveError: if a child cannot start.
    """
    worker = _take(order)
    if worker is None:
        return Failure(CRASH, ENDED)
    try:
        with watching([worker]):
            found = next(worker.answers([request]), Failure(CRASH, ENDED))
    except BaseException:
        _drop(worker)
        raise
    with _lock:
        stays = not worker.given_up and order.run not in _ended
        if stays:
            _idle.append((time.monotonic(), _busy.pop(worker), worker))
    if not stays:
        _drop(worker)
    return found


def end_standing(run: str) -> None:
    """End the children of a run, also those that are in the middle of a request."""
    with _lock:
        _ended.append(run)
        for worker in [worker for worker, order in _busy.items() if order.run == run]:
            worker.give_up()  # the thread that waits for it releases it
    _end_idle(lambda _, order: order.run == run)


def _take(order: Order) -> Worker | None:
    """Return a child for a request, none if its run has ended."""
    _end_idle(lambda since, _: time.monotonic() - since > IDLE_SECONDS)
    with _lock:
        if order.run in _ended:
            return None
        kept = next((entry for entry in _idle if entry[1] == order), None)
        if kept is not None:
            _idle.remove(kept)
        arguments = (order.task, order.options, str(order.memory))
        worker = kept[2] if kept is not None else Worker((*COMMAND, *arguments), order.timeout)
        _busy[worker] = order
    return worker


def _end_idle(which: Callable[[float, Order], bool]) -> None:
    with _lock:
        ended = [entry for entry in _idle if which(*entry[:2])]
        _idle[:] = [entry for entry in _idle if entry not in ended]
    for _, _, worker in ended:
        worker.release()


def _drop(worker: Worker) -> None:
    with _lock:
        _busy.pop(worker)
    worker.release()
