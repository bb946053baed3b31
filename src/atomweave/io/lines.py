"""Lines of a text file with look-ahead, so that a reader can find its feet again after a broken frame."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TextIO

from .frames import Progress

LONGEST_LINE = 1_000_000
"""Longer lines are cut (characters): no text format of molecules has them, a binary file might."""


class Lines:
    """The lines of an open file, without their ends; bytes that are not UTF-8 become U+FFFD.

    Args:
        file: opened by `open_text`.
        progress: told the share that has been read.
    """

    def __init__(self, file: TextIO, progress: Progress | None = None) -> None:
        self._file = file
        self._ahead: deque[str] = deque()
        self._progress = progress
        self._size = max(1, file.seek(0, 2))
        file.seek(0)
        self.number = 0  # of the line last taken, counted from 1 as editors do

    def peek(self, distance: int = 0) -> str | None:
        """Return a line ahead without taking it; None beyond the end."""
        while len(self._ahead) <= distance:
            line = self._file.readline(LONGEST_LINE)
            if not line:
                return None
            self._ahead.append(line.rstrip("\r\n"))
        return self._ahead[distance]

    def take(self) -> str | None:
        """Return the next line; None at the end."""
        line = self.peek()
        if line is not None:
            self._ahead.popleft()
            self.number += 1
            if self._progress and self.number % 4096 == 0:
                self._progress(self._file.buffer.tell() / self._size)
        return line


def open_text(path: Path) -> TextIO:
    """Open a text file for `Lines`."""
    return path.open(encoding="utf-8", errors="replace", newline="\n")
