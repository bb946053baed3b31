"""Hostile weights, checkpoints and stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .counts import Count, check

TESTS = Path(__file__).parents[1]


@check(unit="files", small=20, large=5_000)
def refused_files(size: int, seed: int, folder: Path) -> Count:
    """Hostile weights, checkpoints and stores are refused with exit status 4 in one sentence: pickles under every
    suffix, files cut at 64 points, lying headers, wrong shapes, a flipped bit in every tensor, paths as names, a
    claimed 10 GB; nothing in them runs, and opening them takes less than 200 MB of memory.

    The size is the number of further flipped bits in each of the three.
    """
    command = [sys.executable, "-m", f"{__package__}.hostile_cases", str(seed), str(size), str(folder)]
    paths = os.pathsep.join(map(str, [TESTS, *filter(None, sys.path)]))
    ran = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=False, cwd=folder
    )
    if ran.returncode:
        return Count(0, [ran.stderr[-2000:]])
    found = json.loads(ran.stdout.splitlines()[-1])
    return Count(found["n"], found["failures"], {"memory above what sound files take, MB": found["peak"]})
