"""Settings of every test: one thread each, so that tests run beside one another and sums come out the same."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

# Nothing reaches another machine: here, and in every Python that inherits the path.
OFFLINE = str(Path(__file__).with_name("offline"))
sys.path.insert(0, OFFLINE)
os.environ["PYTHONPATH"] = os.pathsep.join([OFFLINE, *filter(None, [os.environ.get("PYTHONPATH")])])
runpy.run_path(str(Path(OFFLINE) / "sitecustomize.py"))

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
