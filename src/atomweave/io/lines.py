"""Lines of a text file with look-ahead, so that a reader can find its feet again after a broken frame."""

from __future__ import annotations

import codecs
from collections import deque
from pathlib import Path
from typing import TextIO

from .frames import Progress

LONGEST_LINE = 1_000_000
"""Longer lines are cut (characters): no text format of molecules has them, a binary file might."""


class Lines:
    """The lines of an open file, without their ends; bytes that are no text become U+FFFD.

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
        self.open_end = False  # whether the file's last line, once read, had no end: it may be cut

    def peek(self, distance: int = 0) -> str | None:
        """Return a line ahead without taking it; None beyond the end."""
        while len(self._ahead) <= distance:
            line = self._read()
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[distance]

    def take(self) -> str | None:
        """Return the next line; None at the end."""
        line = self._ahead.popleft() if self._ahead else self._read()
        if line is None:
            return None
        self.number += 1
        if self._progress and self.number % 4096 == 0:
            self._progress(self._file.buffer.tell() / self._size)
        return line

    def _read(self) -> str | None:
        line = self._file.readline(LONGEST_LINE)
        if not line:
            return None
        self.open_end = line[-1] != "\n"
        return line.rstrip("\r\n")

    def take_up_to(self, end: str, longest: int) -> tuple[list[str], bool]:
        """Take lines up to and with one that starts with `end`.

        Returns:
            The lines before it, no more than `longest` of them, and whether there was such a line.
        """
        content: list[str] = []
        while (line := self.take()) is not None:
            if line.startswith(end):
                return content, True
            if len(content) < longest:
                content.append(line)
        return content, False


def open_text(path: Path) -> TextIO:
    """Open a text file for `Lines`: UTF-8, or what a byte order mark at its beginning says (Windows' editors)."""
    with path.open("rb") as file:
        mark = file.read(3)
    encoding = "utf-16" if mark[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    return path.open(encoding=encoding, errors="replace", newline="\n")
