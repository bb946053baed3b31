"""Growing speed: every decision of molecules of QM9, many side by side, in molecules a second.

    python benchmarks/growing.py data/qm9.safetensors --preset symphony
    python benchmarks/growing.py data/qm9.safetensors --preset weaver-small --processes 2

Wanted on two CPU cores: preset symphony 20 molecules/s, if possible 60; preset weaver-small 500, if possible 1,000;
preset gspherenet 25, if possible 60. The model is untrained and proposes at each fragment of real molecules, so that
size and density are those of QM9 whatever the weights; `throughput.py` times whole runs with trained ones. Several
processes have a thread each and batches of their own, as `atomweave sample` has them; they begin together, and the
slowest counts. On a busy machine set one thread and read the rate a processor second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path
from typing import Any

import torch
from harness import STORE, peak_memory, report
from subjects import fresh_model, qm9_batches, seconds_to_regrow

from atomweave.memory import keep_freed_memory


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?", default=STORE, help="a molecule store")
    parser.add_argument("--preset", default="symphony")
    parser.add_argument("--slots", type=int, help="molecules side by side (default: as the grower takes them)")
    parser.add_argument("--batches", type=int, default=2, help="how many times so many")
    parser.add_argument("--processes", type=int, default=1, help="side by side, each with so many batches of its own")
    options = parser.parse_args()
    if options.processes == 1:
        figures = [measure(options, 0)]
    else:
        context = multiprocessing.get_context("spawn")
        together = context.Barrier(options.processes)
        with context.Pool(options.processes, initializer=_begin, initargs=(together,)) as pool:
            figures = pool.starmap(measure, [(options, number) for number in range(options.processes)], chunksize=1)
    n_molecules = sum(figure["molecules"] for figure in figures)
    report(
        "growing",
        preset=options.preset,
        processes=options.processes,
        molecules_per_second=n_molecules / max(figure["seconds"] for figure in figures),
        molecules_per_processor_second=n_molecules / sum(figure["processor_seconds"] for figure in figures),
        slots=figures[0]["slots"],
        molecules=n_molecules,
        atoms_per_molecule=sum(figure["atoms"] for figure in figures) / n_molecules,
        peak_memory_gb=max(figure["memory"] for figure in figures),
    )


_together: Any = None  # in a process beside others: the barrier at which they wait for one another


def _begin(together: Any) -> None:
    global _together  # noqa: PLW0603  # a barrier can only be handed to a process when it starts
    _together = together
    torch.set_num_threads(1)


def measure(options: argparse.Namespace, number: int) -> dict[str, Any]:
    """Return the figures of one process, the `number`-th."""
    keep_freed_memory()
    model = fresh_model(options.preset)
    slots = options.slots or model.cpu_slots
    batches = qm9_batches(options.store, model, slots, None)
    grown = [batches.batch(number * options.batches + step) for step in range(options.batches)]
    if _together is not None:
        seconds_to_regrow(model, grown[0])
        _together.wait()
    seconds = sum(seconds_to_regrow(model, trajectories) for trajectories in grown)
    processor_seconds = sum(seconds_to_regrow(model, trajectories, clock=time.process_time) for trajectories in grown)
    return {
        "slots": slots,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "molecules": sum(len(trajectories.n_atoms) for trajectories in grown),
        "atoms": sum(int(trajectories.n_atoms.sum()) for trajectories in grown),
        "memory": peak_memory(),
    }


if __name__ == "__main__":
    main()
