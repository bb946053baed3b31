"""Seconds from the prompt to an answer: `import atomweave` and `atomweave --help` (required: under 0.3 s each)."""

from __future__ import annotations

import subprocess
import sys

from harness import report, timed

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import_atomweave": [sys.executable, "-c", "import atomweave"],
    "help": [sys.executable, "-m", "atomweave", "--help"],
}

if __name__ == "__main__":
    for name, command in COMMANDS.items():
        timing = timed(lambda command=command: subprocess.run(command, check=True, capture_output=True), repeat=9)
        report("startup", what=name, seconds=timing.median, least_seconds=timing.least)
