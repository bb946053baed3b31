"""Ctrl-C and a cluster's SIGTERM as a wish to stop, which the loop grants between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupts:
    """Remembers that a stop was asked for; asked twice, or inside `at_once`, it raises KeyboardInterrupt.

    Args:
        patient: asking twice is asking once: what torchrun passes on to a process, the terminal or Slurm has often sent
            it already; who takes longer than torchrun's half a minute is ended by it.
    """

    def __init__(self, patient: bool = False) -> None:
        self.patient = patient
        self.asked = False
        self._at_once = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take over SIGINT and SIGTERM; outside the main thread Python allows no handlers, and nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            if not self.patient:  # the second signal may still be on its way
                for number, handler in before.items():
                    signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end this block by KeyboardInterrupt: for work that is repeated when the run is resumed."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked and not self.patient, True
        if again or self._at_once:
            raise KeyboardInterrupt
