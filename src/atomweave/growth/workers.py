"""Growing blocks in several processes, each with the model and a fixed number of threads of its own.

The parent and each worker hold the two ends of a pipe: down it go blocks, up come counts of ended attempts and, at the
end of a block, its attempts. A worker whose parent is gone finds its end closed and leaves.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import AtomweaveError
from ..extensions import load_extensions
from ..isolation.interrupts import deaf_to_interrupts
from ..memory import keep_freed_memory
from .blocks import Attempt, GrowthPlan, grow_block

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from ..models.base import Model

Task = tuple[int, int]
"""A block: index of its first molecule, number of molecules."""


def grow_in_processes(
    source: Model | str | Path,
    plan: GrowthPlan,
    tasks: list[Task],
    processes: int,
    threads: int,
    progress: Callable[[int], None],
) -> list[list[Attempt]]:
    """Grow the blocks `tasks` and return their attempts in that order.

    Args:
        source: a model, or the name or path of the weights that each process loads.
        plan: how to grow.
        tasks: the blocks.
        processes: how many.
        threads: of each process.
        progress: called after every batch of every process with the number of attempts that have ended so far.

    Raises:
        AtomweaveError: if a process dies.
    """
    crew: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(processes):
            ours, process = _start(source, plan, threads)
            crew[ours] = process
        return _serve(crew, tasks, progress)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise AtomweaveError(
            "a growing process ended unexpectedly: for want of memory, where fewer workers or slots help, or because a "
            "script grows as it is imported, where `if __name__ == '__main__':` before it helps."
        ) from None
    finally:
        # On Ctrl-C, too; there is nothing in a worker that would have to be brought to an end.
        for process in crew.values():
            process.terminate()
        for ours, process in crew.items():
            process.join()
            ours.close()


def _serve(
    crew: dict[Connection, SpawnProcess], tasks: list[Task], progress: Callable[[int], None]
) -> list[list[Attempt]]:
    """Hand each worker its next block as soon as it has returned one, until all are back."""
    results: dict[Task, list[Attempt]] = {}
    waiting, busy, done = iter(tasks), {}, 0
    for ours, first in zip(crew, waiting, strict=False):
        ours.send(first)
        busy[ours] = first
    while busy:
        for ours in [pipe for pipe in wait(list(busy)) if isinstance(pipe, Connection)]:
            message = ours.recv()
            if isinstance(message, int):
                done += message
                progress(done)
                continue
            results[busy.pop(ours)] = message
            if (following := next(waiting, None)) is not None:
                ours.send(following)
                busy[ours] = following
    return [results[task] for task in tasks]


def _start(source: Model | str | Path, plan: GrowthPlan, threads: int) -> tuple[Connection, SpawnProcess]:
    # Forking a process whose torch has threads may deadlock, so the workers start from nothing.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, source, plan, threads), daemon=True)
    resource_tracker.ensure_running()  # starting it with the process would let interrupts through again
    with deaf_to_interrupts():
        process.start()
    theirs.close()  # so that the worker holds the only one, and its death is the end of the pipe
    return ours, process


def _work(pipe: Connection, source: Model | str | Path, plan: GrowthPlan, threads: int) -> None:
    """Grow blocks until the parent closes the pipe."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    if isinstance(source, (str, Path)):
        from ..models.weights import load_model

        load_extensions()
        model = load_model(source)
    else:
        model = source.eval()
    with torch.inference_mode(), contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            first, n_molecules = pipe.recv()
            pipe.send(grow_block(model, plan, first, n_molecules, pipe.send))
