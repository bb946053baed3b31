"""What properties of QM9's molecules cost: seconds of CPU a molecule in the workers and in the process that asks.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --method "b3lyp/6-31g(2df,p)" --property gap -n 20
    python benchmarks/scoring.py --scheduler tcp://127.0.0.1:8786

CPU time, since it hardly changes with what else runs on the machine. Workers' times include their start, some two
seconds of CPU each; on a scheduler they are not seen, and only the asking process is measured.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import STORE, report

from atomweave import MoleculeStore, score
from atomweave.properties.executors import DaskExecutor, LocalExecutor, default_limits
from atomweave.properties.methods import parse_method

SEED = 0


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=STORE, help="a store (default QM9)")
    parser.add_argument("--method", default="gfn2-xtb")
    parser.add_argument("--property", default="gap,energy", help="by comma (default gap,energy)")
    parser.add_argument("--relax", action="store_true", help="at the nearest minimum")
    parser.add_argument("-n", "--molecules", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scheduler", help="of Dask, instead of worker processes here")
    options = parser.parse_args()
    store = MoleculeStore.open(options.data)
    chosen = np.random.default_rng(SEED).choice(len(store), min(options.molecules, len(store)), replace=False)
    molecules = [store[int(index)] for index in chosen]
    method = parse_method(options.method)
    limits = default_limits(method, method if options.relax else None)
    executor = DaskExecutor(options.scheduler, limits) if options.scheduler else LocalExecutor(limits, options.workers)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.sqlite")
        began = time.perf_counter()
        asking, working = (cpu_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        found = score(
            molecules, options.property.split(","), method, relax=options.relax, results=results, executor=executor
        )
        seconds = time.perf_counter() - began
        asking = cpu_seconds(resource.RUSAGE_SELF) - asking
        working = cpu_seconds(resource.RUSAGE_CHILDREN) - working
        size = results.stat().st_size
    report(
        "scoring", method=method.name, property=options.property, relax=options.relax, molecules=len(molecules),
        scored=sum(not entry.reason for entry in found),
        milliseconds_of_workers=None if options.scheduler else 1e3 * working / len(molecules),
        milliseconds_of_asking=1e3 * asking / len(molecules), wall_seconds=seconds,
        bytes_stored=size / len(molecules),
    )  # fmt: skip


if __name__ == "__main__":
    main()
