"""What growing and judging cost where blocks and molecules go to an executor: CPU of its workers and of who asks.

    python benchmarks/cluster.py
    python benchmarks/cluster.py --weights symphony-qm9 -n 512
    python benchmarks/cluster.py --scheduler tcp://127.0.0.1:8786

CPU time, since it hardly changes with what else runs on the machine. Workers' times include their start, some three
seconds of CPU each for growing and one for judging; on a scheduler they are not seen, and only the asking process is
measured, with the thread that talks to the scheduler. Memory is what the asking process took in all.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

from harness import report

from atomweave import evaluate, grow
from atomweave.evaluation.building import Work
from atomweave.isolation import UNLIMITED, Executor, LocalExecutor
from atomweave.isolation.cluster import DaskExecutor


def main() -> None:
    """Print one JSON line for growing and one a suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="weaver-qm9")
    parser.add_argument("-n", "--molecules", type=int, default=4_096)
    parser.add_argument("--suite", nargs="*", default=["edm", "core"])
    parser.add_argument("--scheduler", help="of Dask, instead of one worker process here")
    options = parser.parse_args()
    cluster = DaskExecutor(options.scheduler, UNLIMITED) if options.scheduler else LocalExecutor(UNLIMITED, 1)
    with cluster.connected() as executor:
        grown = measured("growing", options, lambda: grow(options.weights, options.molecules, executor=executor))
        for suite in options.suite:
            measured(suite, options, lambda suite=suite: judge(grown, suite, executor))


def judge(grown: Any, suite: str, executor: Executor) -> None:
    """Evaluate by a suite, as the command does, but for what it writes."""
    evaluate(grown, "qm9", suite, work=Work(executor=executor))


def measured(what: str, options: argparse.Namespace, work: Callable[[], Any]) -> Any:
    """Do some work, and report what a molecule cost."""
    began = time.perf_counter()
    before = [cpu_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = work()
    asking, working = (
        1e3 * (cpu_seconds(who) - past) / options.molecules
        for who, past in zip((resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN), before, strict=True)
    )
    report(
        "cluster", what=what, weights=options.weights, molecules=options.molecules,
        milliseconds_of_workers=None if options.scheduler else working, milliseconds_of_asking=asking,
        wall_seconds=time.perf_counter() - began,
        peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )  # fmt: skip
    return found


def cpu_seconds(who: int) -> float:
    """Return the CPU seconds of this process or of its children that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
