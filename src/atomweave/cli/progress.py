"""Progress on stderr: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

LINE_SECONDS = 10.0
"""Without a terminal, the time between two lines."""


@contextlib.contextmanager
def progress(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to be called with (done, total); what it shows is gone or ended when the block ends.

    Args:
        title: what goes on, e.g. "growing".
        unit: what is counted, in the plural, e.g. "molecules".
    """
    if sys.stderr.isatty():
        with _bar(title, unit) as show:
            yield show
    else:
        yield _Lines(title, unit).show


@contextlib.contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task, started = bar.add_task(title, total=None, rate=""), time.monotonic()

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, rate=_rate(done, started, unit))

        yield show


class _Lines:
    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit = title, unit
        self.started = self.last = time.monotonic()

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last >= LINE_SECONDS and done < total:
            self.last = now
            line = f"{self.title}: {done} of {total} {self.unit}, {_rate(done, self.started, self.unit)}"
            print(line, file=sys.stderr, flush=True)


def _rate(done: int, started: float, unit: str) -> str:
    return f"{done / max(time.monotonic() - started, 1e-9):.1f} {unit}/s"
