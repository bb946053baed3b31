"""Where requests are answered: by worker processes of this machine, or on many machines through Dask (`cluster`).

Whoever has much to do is handed an executor and does not know which: the same requests get the same answers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from .crew import MEMORY_LIMIT, OnAnswer, answer_isolated, available_cpus


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Attributes:
        timeout: seconds of wall-clock time.
        memory: bytes of address space of the process that works on it.
    """

    timeout: float
    memory: int = MEMORY_LIMIT


UNLIMITED = Limits(math.inf, 2**62)
"""For what may take as long and as much as it needs."""


class Executor(Protocol):
    """Something that answers requests within limits."""

    @property
    def limits(self) -> Limits:
        """Of each request."""

    def run(
        self,
        task: str,
        requests: Iterable[tuple[int, bytes]],
        options: Mapping[str, Any],
        on_answer: OnAnswer,
        stop: Callable[[], bool] = lambda: False,
        *,
        chunk: int = 1,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        """Answer requests and hand over each answer as it comes.

        Args:
            task: a name in `tasks.TASKS`.
            requests: number and bytes of each; drawn as they can be worked on.
            options: what the task is told once.
            on_answer: called in this thread with the number of a request and its answer or `Failure`, in any order.
            stop: asked a few times a second; when it says yes, what is answered is handed over, the rest dropped.
            chunk: requests handed out at once: more where one takes milliseconds only.
            files: option -> a file that the task finds at the path that this option has where it works.

        Raises:
            AtomweaveError: if there is nobody to answer.
        """

    def limited(self, limits: Limits) -> Executor:
        """Return the same with other limits."""

    def connected(self) -> AbstractContextManager[Executor]:
        """Make ready what several runs in turn can use, e.g. a connection or jobs; yields who does."""


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes of this machine.

    Attributes:
        limits: of each request.
        workers: number of processes; by default one for each CPU this process may use.
    """

    limits: Limits
    workers: int | None = None

    def run(
        self,
        task: str,
        requests: Iterable[tuple[int, bytes]],
        options: Mapping[str, Any],
        on_answer: OnAnswer,
        stop: Callable[[], bool] = lambda: False,
        *,
        chunk: int = 1,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        """See `Executor.run`."""
        paths = {option: str(path) for option, path in (files or {}).items()}
        answer_isolated(
            task, requests, on_answer, options={**options, **paths}, workers=self.workers or available_cpus(),
            timeout=self.limits.timeout, memory=self.limits.memory, chunk=chunk, stop=stop,
        )  # fmt: skip

    def limited(self, limits: Limits) -> LocalExecutor:
        """See `Executor.limited`."""
        return replace(self, limits=limits)

    @contextlib.contextmanager
    def connected(self) -> Iterator[LocalExecutor]:
        """See `Executor.connected`."""
        yield self
