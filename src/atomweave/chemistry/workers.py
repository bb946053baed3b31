"""Perception in processes of its own: RDKit may hang or crash on a molecule, which must cost that molecule only.

Workers are plain child processes that run one module. They need no fork (unsafe beside torch's threads) and no
`if __name__ == "__main__"` guard in the caller's script, and no pickle passes between them. One thread a worker sends
chunks and reads replies; one watchdog ends a worker whose current molecule has used up its time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import AtomweaveError
from .bonds import CRASH, TIME_OUT, Perception
from .worker_frames import READY, receive_perception, send_molecules

if TYPE_CHECKING:
    from ..molecule import Molecule

CHUNK = 64  # molecules sent at once: few enough to keep all workers busy at the end, enough to hide the round trip
MIN_PER_WORKER = 1_000  # a further worker takes some 0.3 s of CPU to start, the time of this many molecules
START_TIMEOUT = 120.0  # s; importing RDKit may be slow on a busy machine or a cold disk
WATCH_INTERVAL = 0.05  # s

COMMAND = (sys.executable, "-P", "-m", "atomweave.chemistry.worker")  # -P: a file in the current folder shadows nothing


def perceive_isolated(
    molecules: Sequence[Molecule], workers: int | None, timeout: float, command: Sequence[str] = COMMAND
) -> list[Perception]:
    """Perceive molecules in worker processes; see `bonds.perceive_many`."""
    results: list[Perception | None] = [None] * len(molecules)
    chunks = deque(range(start, min(start + CHUNK, len(molecules))) for start in range(0, len(molecules), CHUNK))
    n_workers = _n_workers(len(molecules)) if workers is None else max(1, min(workers, len(chunks)))
    crew = [_Worker(command, timeout) for _ in range(n_workers if chunks else 0)]
    done = threading.Event()

    def serve(worker: _Worker) -> None:
        while chunks and not done.is_set():
            try:
                chunk = chunks.popleft()  # atomic: two threads never get the same chunk
            except IndexError:
                return
            found = worker.perceive([molecules[index] for index in chunk])
            results[chunk.start : chunk.start + len(found)] = found  # fewer only if the whole run is given up

    def watch() -> None:
        while not done.wait(WATCH_INTERVAL):
            for worker in crew:
                worker.end_if_overdue()

    try:
        with ThreadPoolExecutor(len(crew) + 1, "perception") as threads:
            try:
                threads.submit(watch)
                for serving in [threads.submit(serve, worker) for worker in crew]:
                    serving.result()
            finally:  # also on Ctrl-C: a thread that waits for a reply sees its worker end
                done.set()
                for worker in crew:
                    worker.give_up()
    finally:
        for worker in crew:
            worker.release()
    return [found for found in results if found is not None]


def _n_workers(n_molecules: int) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, n_molecules // MIN_PER_WORKER))


class _Worker:
    """One child process, started when first needed and again after its end."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self.process: subprocess.Popen[bytes] | None = None
        self.clock = threading.Lock()  # held to set the deadline and to act on it
        self.deadline = float("inf")
        self.overdue = False
        self.given_up = False

    def perceive(self, molecules: Sequence[Molecule]) -> list[Perception]:
        """Return one perception a molecule, starting a new process after each that ends on the way."""
        found: list[Perception] = []
        while len(found) < len(molecules) and not self.given_up:
            requests, replies = _pipes(self.process or self._start())
            try:
                send_molecules(requests, molecules[len(found) :])
                while len(found) < len(molecules):
                    self._set_deadline(self.timeout)
                    reply = receive_perception(replies)
                    self._set_deadline(float("inf"))
                    if reply is None or self.overdue:
                        break
                    found.append(reply)
            except BrokenPipeError:  # it ended while it was being sent to; that counts for its first molecule
                pass
            if len(found) < len(molecules) and not self.given_up:
                found.append(self._post_mortem())
        return found

    def end_if_overdue(self) -> None:
        """End the process if its current molecule has used up its time (called by the watchdog)."""
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
        requests, replies = _pipes(self.process)
        self.process.kill()
        replies.close()
        with contextlib.suppress(BrokenPipeError):  # what was still buffered for it is lost with it
            requests.close()
        self.process.wait()
        self.process = None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()}
        with tempfile.TemporaryFile() as said:
            # The command is our own interpreter and module.
            self.process = process = subprocess.Popen(  # noqa: S603
                self.command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
            self._set_deadline(START_TIMEOUT)
            first = _pipes(process)[1].readline()
            self._set_deadline(float("inf"))
            if first != READY and not self.given_up:
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise AtomweaveError(f"a worker process for bond perception did not start: {last[0]}.")
        return process

    def _set_deadline(self, seconds: float) -> None:
        with self.clock:
            self.deadline = time.monotonic() + seconds

    def _post_mortem(self) -> Perception:
        assert self.process is not None
        status = self.process.wait()
        self.release()
        if self.overdue:
            self.overdue = False
            return Perception(TIME_OUT, f"no answer within {self.timeout:g} s")
        return Perception(CRASH, f"the worker process ended with status {status}")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    """Return where a process takes requests and where it replies."""
    assert process.stdin is not None
    assert process.stdout is not None
    return cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)


def _import_path() -> str:
    """Return a PYTHONPATH with which a child finds the same packages, installed or not."""
    package_root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
