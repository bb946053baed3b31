"""Settings of every test: one thread each, so that tests run beside one another and sums come out the same."""

from __future__ import annotations

import os
import signal
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

# A shell starts what goes to the background with Ctrl-C ignored, and children inherit that; tests send it to children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the checks of tests/reliability counted, a line of JSON each."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    lines = [str(value) for report in reports for name, value in report.user_properties if name == "count"]
    if lines:
        terminalreporter.section("reliability")
        for line in sorted(lines):
            terminalreporter.write_line(line)
