"""A day's work in miniature, in one process, with the memory of all its processes watched."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Self

import psutil

from atomweave.growth.grower import grow
from atomweave.memory import keep_freed_memory
from atomweave.properties.executors import LocalExecutor, default_limits
from atomweave.properties.methods import parse_method
from atomweave.properties.scoring import score

from .counts import Count

WEIGHTS, METHOD = "weaver-qm9", "gfn2-xtb"
STRETCHES = 20  # of the work: so many times molecules are grown and scored
WORKERS = 2
MOST = 20e6  # bytes
SETTLED = 20_000
"""Molecules from which on two things more are judged: the workers' memory, which before grows to what their largest
molecules take, and shared memory, in which tests that run beside a small check have segments of their own."""

MEGABYTE = 1e6
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written to


def work(size: int, seed: int, folder: Path) -> Count:
    """Grow `size` molecules and score a tenth of them."""
    keep_freed_memory()
    segments = _segments()
    executor = LocalExecutor(default_limits(parse_method(METHOD), None), WORKERS)
    each = size // STRETCHES
    memory: list[tuple[int, int]] = []  # bytes after each stretch: of this process; most of any worker in it
    n_valued = 0
    for stretch in range(STRETCHES):
        with _Watch() as watch:
            molecules = [
                a.molecule for a in grow(WEIGHTS, each, seed + stretch, workers=WORKERS).attempts if a.finished
            ]
            chosen = molecules[: each // 10]
            scores = score(chosen, ["gap"], METHOD, results=folder / "scores.sqlite", executor=executor)
            n_valued += sum("gap" in found.values for found in scores)
        memory.append((psutil.Process().memory_info().rss, watch.most))
    fifth = STRETCHES // 5
    growth = {
        "process": memory[-1][0] - memory[fifth - 1][0],
        "workers": max(most for _, most in memory[-fifth:]) - max(most for _, most in memory[:fifth]),
    }
    judged = growth if size >= SETTLED else {"process": growth["process"]}
    failures = [f"{name}: {bytes_ / MEGABYTE:.1f} MB more" for name, bytes_ in judged.items() if bytes_ > MOST]
    failures += [f"a process is left: {' '.join(child.cmdline())}" for child in _children()]
    if size >= SETTLED:
        failures += [f"a segment of shared memory is left: {name}" for name in sorted(_segments() - segments)]
    if n_valued < 0.5 * STRETCHES * (each // 10):
        failures.append(f"only {n_valued} molecules have a gap")
    notes = {f"{name} grew by, MB": round(bytes_ / MEGABYTE, 1) for name, bytes_ in growth.items()}
    return Count(each * STRETCHES, failures, {"scored": n_valued, **notes, "MB at the end": round(memory[-1][0] / 1e6)})


class _Watch:
    """Samples the resident memory of the processes that this one starts; a context manager."""

    def __enter__(self) -> Self:
        self.most = 0  # bytes, of any one of them
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.5):
            for child in psutil.Process().children(recursive=True):
                try:
                    self.most = max(self.most, child.memory_info().rss)
                except psutil.Error:
                    continue  # it has just ended


def _children(seconds: float = 10.0) -> list[psutil.Process]:
    """Return the processes that this one started and that do not end, but for Python's own tracker of resources."""
    deadline = time.monotonic() + seconds
    while True:
        children = [
            child for child in psutil.Process().children(recursive=True)
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline())
        ]  # fmt: skip
        if not children or time.monotonic() > deadline:
            return children
        time.sleep(0.1)


def _segments() -> set[str]:
    """Return the names of the user's segments of shared memory."""
    if not SHARED_MEMORY.is_dir():
        return set()
    return {entry.name for entry in os.scandir(SHARED_MEMORY) if entry.stat().st_uid == os.getuid()}
