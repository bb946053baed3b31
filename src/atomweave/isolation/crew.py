"""The parent's side: hand out requests, read answers, end a worker whose current molecule has used up its time.

One thread a worker sends chunks and reads replies; one watchdog looks at the deadlines.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, cast

from ..errors import AtomweaveError
from .frames import ANSWERED, OUT_OF_MEMORY, READY, receive_reply, send_requests
from .interrupts import deaf_to_interrupts

TIME_OUT = "time-out"
CRASH = "crash"
MEMORY = "out of memory"
ERROR = "error"

CHUNK = 64  # requests sent at once: few enough to keep all workers busy at the end, enough to hide the round trip
MEMORY_LIMIT = 8 * 2**30  # bytes of address space, of which OpenMP and the like reserve much more than they use
START_TIMEOUT = 600.0  # s; importing RDKit or torch may be slow on a busy machine or a disk that many nodes share
WATCH_INTERVAL = 0.05  # s
WAIT = 0.1  # s between two looks at whether to stop

COMMAND = (sys.executable, "-P", "-m", "atomweave.isolation.worker")  # -P: a file in the current folder shadows nothing


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer: TIME_OUT, CRASH, MEMORY or ERROR, and the particulars."""

    reason: str
    detail: str


OnAnswer = Callable[[int, bytes | Failure], None]
"""What takes the number of a request and what came of it."""


def answer_isolated(
    task: str,
    requests: Iterable[tuple[int, bytes]],
    on_answer: OnAnswer,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    timeout: float = 10.0,
    memory: int = MEMORY_LIMIT,
    chunk: int = 1,
    stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = COMMAND,
) -> None:
    """Answer requests in worker processes, and hand over each answer as soon as it is there.

    Args:
        task: a name in `tasks.TASKS`.
        requests: number and bytes of each; drawn as workers become free, from other threads, never two at a time.
        on_answer: called in this thread with the number of a request and its answer or `Failure`, in any order.
        options: what the task is told once, as JSON.
        workers: number of processes at most; one without a request is never started.
        timeout: seconds of wall-clock time for one request.
        memory: bytes of address space for one worker.
        chunk: requests handed out at once.
        stop: asked ten times a second and more; when it says yes, what is answered is handed over, the rest dropped.
        command: what starts a worker.

    Raises:
        AtomweaveError: if a worker cannot start.
    """
    arguments = (task, json.dumps(dict(options or {})), str(memory))
    crew = [Worker((*command, *arguments), timeout) for _ in range(workers)]
    waiting, drawing, given_up = iter(requests), threading.Lock(), threading.Event()
    # What the threads have to say: an answer, what went wrong, or None when a worker has no more to do.
    said: SimpleQueue[tuple[int, bytes | Failure] | BaseException | None] = SimpleQueue()

    def serve(worker: Worker) -> None:
        try:
            while not given_up.is_set():
                with drawing:
                    turn = list(islice(waiting, chunk))
                if not turn:
                    break
                for (index, _), found in zip(turn, worker.answers([request for _, request in turn]), strict=False):
                    said.put((index, found))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            said.put(error)
        else:
            said.put(None)

    def hand_over(timeout: float) -> bool:
        """Pass on the next answer; return whether a worker has come to its end."""
        match said.get(timeout=timeout):
            case None:
                return True
            case BaseException() as error:
                raise error
            case index, found:
                on_answer(index, found)
        return False

    try:
        with ThreadPoolExecutor(len(crew), "isolation") as threads, watching(crew):
            try:
                for worker in crew:
                    threads.submit(serve, worker)
                n_busy = len(crew)
                while n_busy and not stop():
                    with contextlib.suppress(Empty):
                        n_busy -= hand_over(WAIT)
            finally:  # also on Ctrl-C: a thread that waits for a reply sees its worker end
                given_up.set()
                for worker in crew:
                    worker.give_up()
        with contextlib.suppress(Empty):  # what was answered while we gave up
            while True:
                hand_over(0)
    finally:
        for worker in crew:
            worker.release()


@contextlib.contextmanager
def watching(crew: Sequence[Worker]) -> Iterator[None]:
    """End each worker whose current request has used up its time, as long as the block lasts."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_INTERVAL):
            for worker in crew:
                worker.end_if_overdue()

    watchdog = threading.Thread(target=watch, name="isolation-watchdog", daemon=True)
    watchdog.start()
    try:
        yield
    finally:
        done.set()
        watchdog.join()


def available_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Worker:
    """One child process, started when first needed and again after its end; `watching` keeps it to its time."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self.process: subprocess.Popen[bytes] | None = None
        self.clock = threading.Lock()  # held to set the deadline and to act on it
        self.deadline = float("inf")
        self.overdue = False
        self.given_up = False

    def answers(self, requests: Sequence[bytes]) -> Iterator[bytes | Failure]:
        """Yield one answer a request, starting a new process after each that ends on the way; fewer if given up."""
        n_answered = 0
        while n_answered < len(requests) and not self.given_up:
            to_worker, from_worker = _pipes(self.process or self._start())
            try:
                self._set_deadline(START_TIMEOUT)  # a worker that has stopped reading must not hold us for ever
                send_requests(to_worker, requests[n_answered:])
                while n_answered < len(requests):
                    self._set_deadline(self.timeout)
                    reply = receive_reply(from_worker)
                    self.end_if_overdue()  # an answer after its time is none, seen by the watchdog or not
                    self._set_deadline(float("inf"))
                    if reply is None or self.overdue:
                        break
                    n_answered += 1
                    yield _answer(*reply)
            except BrokenPipeError:  # it ended while it was being sent to; that counts for its first request
                pass
            if n_answered < len(requests) and not self.given_up:
                n_answered += 1
                yield self._post_mortem()

    def end_if_overdue(self) -> None:
        """End the process if its current request has used up its time (called by the watchdog, too)."""
        with self.clock:
            if time.monotonic() > self.deadline and self.process is not None:
                self.deadline = float("inf")
                self.overdue = True
                self.process.kill()

    def give_up(self) -> None:
        """End the process for good, whatever it is doing (called from another thread)."""
        self.given_up = True
        if self.process is not None:
            self.process.kill()

    def release(self) -> None:
        """End the process, if there is one, and close its pipes."""
        if self.process is None:
            return
        to_worker, from_worker = _pipes(self.process)
        self.process.kill()
        from_worker.close()
        with contextlib.suppress(BrokenPipeError):  # what was still buffered for it is lost with it
            to_worker.close()
        self.process.wait()
        self.process = None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()}
        with tempfile.TemporaryFile() as said:
            with deaf_to_interrupts():  # the worker's own deafness begins when Python has started
                # The command is our own interpreter and module.
                self.process = process = subprocess.Popen(  # noqa: S603
                    self.command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
                )
            if self.given_up:  # while it was being started
                process.kill()
            self._set_deadline(START_TIMEOUT)
            first = _pipes(process)[1].readline()
            self._set_deadline(float("inf"))
            if first != READY and not self.given_up:
                if self.overdue:
                    raise AtomweaveError(f"a worker process for molecules was not ready after {START_TIMEOUT:g} s.")
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise AtomweaveError(f"a worker process for molecules did not start: {last[0]}.")
        return process

    def _set_deadline(self, seconds: float) -> None:
        with self.clock:
            self.deadline = time.monotonic() + seconds

    def _post_mortem(self) -> Failure:
        assert self.process is not None
        status = self.process.wait()
        self.release()
        if self.overdue:
            self.overdue = False
            return Failure(TIME_OUT, f"no answer within {self.timeout:g} s")
        return Failure(CRASH, f"the worker process ended with status {status}")


def _answer(status: int, answer: bytes) -> bytes | Failure:
    if status == ANSWERED:
        return answer
    if status == OUT_OF_MEMORY:
        return Failure(MEMORY, "more memory than a worker may take")
    return Failure(ERROR, answer.decode(errors="replace"))


def _pipes(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    """Return where a process takes requests and where it replies."""
    assert process.stdin is not None
    assert process.stdout is not None
    return cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)


def _import_path() -> str:
    """Return a PYTHONPATH with which a child finds the same packages, installed or not."""
    package_root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
