"""Molecules a second by greatest size and by number, as in chapter 5.4 of the Symphony thesis.

    python benchmarks/throughput.py symphony-qm9 > docs/results/throughput-symphony-qm9.json

The authors' script times whole runs at 5, 10, 20 and 30 atoms at most, for 25 to 10,000 molecules. Here likewise: wall
clock of growing alone (no files, no verdicts), warm, and with the processes that `atomweave sample` would take, whose
start is inside the time. A molecule that reaches the greatest size counts, finished or not, as in that script. Sizes
that would take longer than the limit, judged by the run before, are left out and say so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import report

from atomweave.growth.grower import BLOCK, grow
from atomweave.isolation import available_cpus
from atomweave.memory import keep_freed_memory
from atomweave.models.weights import load_model, weights_path


def main() -> None:
    """Print one JSON line for each greatest size and number of molecules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="symphony-qm9", help="weights that ship, or a weights file")
    parser.add_argument("--max-atoms", type=int, nargs="+", default=[5, 10, 20, 30], metavar="N")
    parser.add_argument("--molecules", type=int, nargs="+", default=[25, 100, 1000, 10_000], metavar="N")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that one figure may take (default 60)")
    parser.add_argument("--workers", type=int, default=available_cpus(), help="processes (default: one a CPU)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keep_freed_memory()
    path = weights_path(options.model)
    for max_atoms in sorted(options.max_atoms):
        for figures in measure(path, max_atoms, sorted(options.molecules), options):
            report("throughput", weights=path.stem, seed=options.seed, start="data", max_atoms=max_atoms, **figures)


def measure(path: Path, max_atoms: int, numbers: list[int], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the figures of each number of molecules, smallest first."""
    model = load_model(path)
    grow(model, 8, options.seed + 1, max_atoms=max_atoms)
    rate = None
    for number in numbers:
        if rate is not None and number / rate > options.limit:
            yield {"molecules": number, "expected_seconds": number / rate, "limit_seconds": options.limit}
            continue
        processes = min(options.workers, -(-number // BLOCK))
        began = time.perf_counter()
        grown = grow(
            path if processes > 1 else model, number, options.seed, max_atoms=max_atoms, workers=processes
        ).attempts
        seconds = time.perf_counter() - began
        rate = number / seconds
        yield {
            "molecules": number,
            "molecules_per_second": rate,
            "seconds": seconds,
            "mean_atoms": sum(len(attempt.molecule) for attempt in grown) / number,
            "finished": sum(attempt.finished for attempt in grown) / number,
            "processes": processes,
        }


if __name__ == "__main__":
    main()
