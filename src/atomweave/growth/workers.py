"""Growing blocks in several processes, each with the model and a fixed number of threads of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import AtomweaveError
from ..memory import keep_freed_memory
from .blocks import Attempt, GrowthPlan, grow_block

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from ..models.base import Model

POLL_SECONDS = 0.2


class _StoppedError(Exception):
    """The parent wants no more of this block."""


@dataclass
class _Worker:
    """What a worker process holds between blocks."""

    model: Model
    plan: GrowthPlan
    done: Synchronized[int]
    stop: Synchronized[int]


_worker: _Worker | None = None  # one per process, set once by `_start`: an executor offers no other place


def grow_in_processes(
    source: Model | str | Path,
    plan: GrowthPlan,
    tasks: list[tuple[int, int]],
    processes: int,
    threads: int,
    progress: Callable[[int], None],
) -> list[list[Attempt]]:
    """Grow the blocks `tasks` (first index, number of molecules) and return their attempts in that order.

    Args:
        source: a model, or the name or path of the weights that each process loads.
        plan: how to grow.
        tasks: the blocks.
        processes: how many.
        threads: of each process.
        progress: called a few times a second with the number of attempts that have ended.
    """
    # Forking a process whose torch has threads may deadlock, so the workers start from nothing.
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Value("b", 0)
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(source, plan, threads, done, stop))
    try:
        futures = [pool.submit(_grow, first, n_molecules) for first, n_molecules in tasks]
        pending: set[Any] = set(futures)
        while pending:
            finished, pending = wait(pending, POLL_SECONDS, FIRST_EXCEPTION)
            for future in finished:
                future.result()
            progress(done.value)
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise AtomweaveError(
            f"a growing process ended unexpectedly, most often for want of memory: try fewer than {processes} "
            "workers, or fewer slots."
        ) from None
    finally:
        stop.value = 1  # on Ctrl-C the workers see this after their present batch
        pool.shutdown(wait=True, cancel_futures=True)


def _start(
    source: Model | str | Path, plan: GrowthPlan, threads: int, done: Synchronized[int], stop: Synchronized[int]
) -> None:
    global _worker  # noqa: PLW0603
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent tells us to stop
    keep_freed_memory()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if isinstance(source, (str, Path)):
        from ..models.weights import load_model

        model = load_model(source)
    else:
        model = source
    _worker = _Worker(model.eval(), plan, done, stop)


def _leave_with_parent() -> None:
    """End this process when its parent is gone: a killed parent cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _grow(first: int, n_molecules: int) -> list[Attempt]:
    assert _worker is not None
    worker = _worker

    def count(ended: int) -> None:
        if worker.stop.value:
            raise _StoppedError
        with worker.done.get_lock():
            worker.done.value += ended

    with torch.inference_mode(), contextlib.suppress(_StoppedError):
        return grow_block(worker.model, worker.plan, first, n_molecules, count)
    return []
