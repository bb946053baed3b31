"""All requests of one kind answered in order: by worker processes of this machine, or where `answered_by` says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from .crew import CHUNK, COMMAND, ERROR, MEMORY_LIMIT, Failure, answer_isolated, available_cpus
from .executors import Executor, Limits

_elsewhere: ContextVar[Executor | None] = ContextVar("_elsewhere", default=None)


@contextlib.contextmanager
def answered_by(executor: Executor | None) -> Iterator[Executor | None]:
    """Let an executor answer every `run_isolated` of the block, each within limits of its own; None changes nothing.

    Yields:
        The same executor, connected until the block ends.

    Raises:
        AtomweaveError: if the executor cannot be reached.
    """
    if executor is None:
        yield None
        return
    with executor.connected() as there:
        before = _elsewhere.set(there)
        try:
            yield there
        finally:
            _elsewhere.reset(before)


def run_isolated(
    task: str,
    requests: Sequence[bytes],
    *,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    timeout: float = 10.0,
    memory: int = MEMORY_LIMIT,
    chunk: int = CHUNK,
    min_per_worker: int = 1_000,
    progress: Callable[[int, int], None] | None = None,
    command: Sequence[str] = COMMAND,
) -> list[bytes | Failure]:
    """Answer requests in worker processes.

    Args:
        task: a name in `tasks.TASKS`.
        requests: one a molecule.
        options: what the task is told once, as JSON.
        workers: number of processes of this machine; by default one for each CPU this process may use, fewer if there
            is little to do.
        timeout: seconds of wall-clock time for one request.
        memory: bytes of address space for one worker.
        chunk: requests handed out at once; fewer where one takes long, so that all workers end together.
        min_per_worker: requests that are worth a further worker, which takes some 0.3 s of CPU to start.
        progress: called with (done, total) after every `chunk` answers.
        command: what starts a worker of this machine.

    Returns:
        One answer or `Failure` a request, in order.

    Raises:
        AtomweaveError: if a worker cannot start, or there is nobody to answer.
    """
    n = len(requests)
    results: list[bytes | Failure] = [Failure(ERROR, "no answer")] * n
    n_done = 0

    def keep(index: int, found: bytes | Failure) -> None:
        nonlocal n_done
        results[index] = found
        n_done += 1
        if progress is not None and (n_done % chunk == 0 or n_done == n):
            progress(n_done, n)

    elsewhere = _elsewhere.get()
    if elsewhere is not None and n:
        executor = elsewhere.limited(Limits(timeout, memory))
        executor.run(task, enumerate(requests), options or {}, keep, chunk=chunk)
        return results
    answer_isolated(
        task, enumerate(requests), keep, options=options, timeout=timeout, memory=memory, chunk=chunk, command=command,
        workers=max(1, min(available_cpus(), n // min_per_worker) if workers is None else workers),
    )  # fmt: skip
    return results
