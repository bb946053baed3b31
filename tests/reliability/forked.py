"""Commands in forked processes, which tell every file operation in a folder and may be killed at any moment.

Forking makes a command cheap: what it imports is imported once, by a process that itself never computes.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

OPENED = "tempfile.mkstemp"
WATCHED = {"open", "os.rename", "os.remove", "os.chmod", "os.mkdir", OPENED}
"""Python's audit events for operations on files; they come right before the operation."""


@dataclass(frozen=True)
class Operation:
    """A file operation of a command."""

    event: str  # as Python's audit hooks call it
    seconds: float  # since the command began


@dataclass(frozen=True)
class Moment:
    """When to send a signal: so many seconds after so many file operations."""

    operations: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int  # its exit status, or minus the number of the signal
    said: str  # on stdout and stderr
    operations: list[Operation]
    seconds_after_signal: float  # how long it went on; 0 if none was sent
    left: bool  # whether one of its processes was still there some seconds later


@dataclass(frozen=True)
class Command:
    """A command line of Atomweave, run by a fork of this process in a process group of its own.

    Attributes:
        arguments: what follows `atomweave`.
        watched: beginning of the paths whose operations are told.
        said: file of what it says.
    """

    arguments: Sequence[str]
    watched: Path
    said: Path

    def run(
        self,
        moment: Moment | None = None,
        number: int = signal.SIGKILL,
        *,
        largest_file: int | None = None,
        temporary: Path | None = None,
    ) -> Ended:
        """Run it to its end.

        Args:
            moment: when to send a signal, if at all.
            number: of the signal: SIGKILL to the command alone, any other to its whole group, as a terminal does.
            largest_file: bytes that a file may have: writing beyond them fails, as on a full disk.
            temporary: what TMPDIR names.
        """
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._become(writing, largest_file, temporary)
        os.close(writing)
        _line(reading)  # from here on it is the command
        began = time.monotonic()
        operations: list[Operation] = []
        due, sent = math.inf, 0.0
        while True:
            if moment is not None and len(operations) == moment.operations and due == math.inf:
                due = time.monotonic() + moment.seconds
            wait = None if sent or due == math.inf else due - time.monotonic()
            if wait is not None and (wait <= 0 or not select.select([reading], [], [], wait)[0]):
                _send(child, number)
                sent = time.monotonic()
            if not (line := _line(reading)):
                break
            operations.append(Operation(line, time.monotonic() - began))
        os.close(reading)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lasted = time.monotonic() - sent if sent else 0.0
        return Ended(status, self.said.read_text(), operations, lasted, _outlived(child))

    def _become(self, pipe: int, largest_file: int | None, temporary: Path | None) -> None:
        """Be the command from here on; never return."""
        status = 70
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
            os.dup2(2, 1)
            if temporary is not None:
                os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
            watched = str(self.watched)

            def tell(event: str, arguments: tuple[Any, ...]) -> None:
                if event in WATCHED and str(arguments[0]).startswith(watched):
                    os.write(pipe, f"{event}\n".encode())

            sys.addaudithook(tell)
            from atomweave.cli.main import run

            os.write(pipe, b"begins\n")
            status = run(self.arguments)
        except BaseException:  # noqa: BLE001 - whatever it was must not run the rest of the parent's program
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def moment_of(operations: Sequence[Operation], rng: random.Random) -> Moment:
    """Return a moment of a command that had these operations: every other one inside the writing of a file."""
    if rng.random() < 0.5:
        opened = rng.choice([i for i, operation in enumerate(operations) if operation.event == OPENED])
        moved = next(i for i in range(opened, len(operations)) if operations[i].event == "os.rename")
        return Moment(opened + 1, rng.uniform(0, operations[moved].seconds - operations[opened].seconds))
    at = rng.uniform(0, operations[-1].seconds)
    before = [operation.seconds for operation in operations if operation.seconds <= at]
    return Moment(len(before), at - max(before, default=0.0))


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process, which has no threads and may fork."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _send(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.kill(child, number)
        else:
            os.killpg(child, number)


def _line(pipe: int) -> str:
    """Return the next line of a pipe without its end, empty at the end of the pipe."""
    text = b""
    while (sign := os.read(pipe, 1)) not in (b"", b"\n"):
        text += sign
    return text.decode()


def _outlived(group: int, seconds: float = 30.0) -> bool:
    """Return whether a process of a group is still there after so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return True
