"""Seconds from the prompt to an answer, and to the first training step.

    python benchmarks/startup.py

Required: `import atomweave` and `atomweave --help` under 0.3 s each; the first step of preset symphony within 10 s, if
possible 5. The kernels are compiled before: once a machine, in a few seconds.
"""

from __future__ import annotations

import subprocess
import sys

from harness import ROOT, STORE, report, timed

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import_atomweave": [sys.executable, "-c", "import atomweave"],
    "help": [sys.executable, "-m", "atomweave", "--help"],
}

FIRST_STEP = """
from training import LEARNING_RATE
from harness import STORE
from subjects import learner_of, qm9_batches
learner = learner_of("symphony")
batch = qm9_batches(STORE, learner.model, 16, 4).batch(0)
learner.compute(batch, 0)
learner.move(0, LEARNING_RATE)
"""

if __name__ == "__main__":
    for name, command in COMMANDS.items():
        timing = timed(lambda command=command: subprocess.run(command, check=True, capture_output=True), repeat=9)
        report("startup", what=name, seconds=timing.median, least_seconds=timing.least)
    if STORE.exists():
        command = [sys.executable, "-c", FIRST_STEP]
        timing = timed(
            lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT / "benchmarks"), repeat=3
        )
        report("startup", what="first_training_step", seconds=timing.median, least_seconds=timing.least)
