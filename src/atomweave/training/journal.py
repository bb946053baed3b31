"""What a run tells: records in log.jsonl that resuming reproduces byte for byte, and progress for whoever watches.

The log holds nothing that depends on the clock; times go to timing.jsonl, which only ever grows.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..files import room_for

SECONDS_BETWEEN_LINES = 20.0
"""How often a line is printed where there is no terminal to draw a bar on."""

SECONDS_BETWEEN_BARS = 0.5
"""How often a bar is drawn anew: what it shows has to be fetched from the device."""


class Journal:
    """Append-only records, one JSON object a line.

    Args:
        folder: of the run, made where there is none.
        log_bytes: length to which the log is cut first: what was written after the checkpoint comes again.
    """

    def __init__(self, folder: Path, log_bytes: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log, self._timing = _Lines(folder / "log.jsonl"), _Lines(folder / "timing.jsonl")
        self._log.cut(log_bytes)
        self._timing.cut(self._timing.whole_lines())

    def record(self, **values: Any) -> None:
        """Append to the log.

        Raises:
            IncompleteError: if the disk is full.
        """
        self._log.append(values)

    def time(self, **values: Any) -> None:
        """Append to the timings.

        Raises:
            IncompleteError: if the disk is full.
        """
        self._timing.append(values)

    def sync(self) -> int:
        """Bring the log to the disk and return its length in bytes.

        Raises:
            IncompleteError: if the disk is full.
        """
        return self._log.sync()

    def close(self) -> None:
        """Close both files."""
        self._log.close()
        self._timing.close()


class _Lines:
    """A file to which whole lines are appended, as far as there is room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+b")

    def append(self, values: dict[str, Any]) -> None:
        with room_for(self._path):
            self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()

    def sync(self) -> int:
        with room_for(self._path):
            os.fsync(self._file.fileno())
            return self._file.seek(0, os.SEEK_END)

    def whole_lines(self) -> int:
        """Return how many bytes hold whole lines: who is killed, or finds no room, may end within one."""
        self._file.seek(0)
        return self._file.read().rfind(b"\n") + 1

    def cut(self, n_bytes: int) -> None:
        self._file.truncate(min(n_bytes, self._file.seek(0, os.SEEK_END)))

    def close(self) -> None:
        # Each line was written when it was appended: what is left is one that found no room, and nobody counts on it.
        with contextlib.suppress(OSError):
            self._file.close()


class Display:
    """A bar on a terminal, a line now and then elsewhere.

    Args:
        n_steps: of the whole run.
        console: where to; standard error by default.
        quiet: show nothing.
    """

    def __init__(self, n_steps: int, console: Console | None = None, quiet: bool = False) -> None:
        self.n_steps = n_steps
        self._console = console or Console(stderr=True, highlight=False, quiet=quiet)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown = -float("inf")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(20), TextColumn("{task.description}"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console, speed_estimate_period=300)
            self._task = self._bar.add_task("", total=self.n_steps)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def progress(self, step: int, text: Callable[[], str]) -> None:
        """Show how far the run is; `text` is asked only when it is shown."""
        now = time.monotonic()
        if now - self._shown < (SECONDS_BETWEEN_LINES if self._bar is None else SECONDS_BETWEEN_BARS):
            return
        self._shown = now
        if self._bar is None:
            self.say(f"step {step}/{self.n_steps}  {text()}")
        else:
            self._bar.update(self._task, completed=step, description=text())

    def say(self, sentence: str) -> None:
        """Print one line that stays."""
        self._console.print(sentence, markup=False, soft_wrap=True, highlight=False)
