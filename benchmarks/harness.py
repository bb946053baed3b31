"""What every benchmark shares: one JSON line a figure, with the machine, the commit and the matrix-product rate.

    from harness import report, timed
    report("training", fragments_per_second=fragments / timed(step).median)

Shared machines swing by a factor of two within minutes. The matrix-product rate, measured right before printing, tells
a slow program from a slow moment.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "data" / "qm9.safetensors"
"""QM9 as `make qm9` leaves it, which every benchmark takes unless it is told otherwise."""


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds of the repetitions of one call."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)


def timed(call: Callable[[], object], repeat: int = 5, warm_up: int = 1) -> Timing:
    """Time `call`, after `warm_up` runs that are not counted; waits for the GPU where there is one."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(repeat):
        _synchronise()
        start = time.perf_counter()
        call()
        _synchronise()
        seconds.append(time.perf_counter() - start)
    return Timing(tuple(seconds))


def matrix_rate(size: int = 1024) -> float:
    """Return what float32 matrix products run at now, in GFLOP/s, with the threads that torch has."""
    a = torch.ones(size, size, device="cuda" if torch.cuda.is_available() else "cpu")
    return 2 * size**3 / timed(lambda: a @ a, repeat=10, warm_up=2).median / 1e9


def peak_memory() -> float:
    """Return the most memory this process has held so far, in GB (10^9 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def report(benchmark: str, **figures: Any) -> None:
    """Print one JSON line: the figures, then what they were measured on."""
    print(json.dumps({"benchmark": benchmark, **_rounded(figures), **conditions()}), flush=True)


def conditions() -> dict[str, Any]:
    """Return what figures are measured on, with the matrix-product rate of this moment."""
    return {
        "matrix_gflops": round(matrix_rate(), 1),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def machine() -> str:
    """Return the processor, its cores and the GPU in words."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {os.cpu_count()} cores{gpu}"


def commit() -> str:
    """Return the short hash of the commit, with a plus where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    described = subprocess.run(
        [*git, "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()}
