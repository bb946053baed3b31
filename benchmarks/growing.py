"""Growing speed: every decision of molecules of QM9, many side by side, in molecules a second.

    python benchmarks/growing.py data/qm9.safetensors --preset symphony

Wanted on two CPU cores: preset symphony 20 molecules/s, if possible 60; preset weaver-small 500, if possible 1,000;
preset gspherenet 25, if possible 60. The model is untrained and proposes at each fragment of real molecules, so that
size and density are those of QM9 whatever the weights; `throughput.py` times whole runs with trained ones. On a busy
machine set one thread and read the rate a processor second.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

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
    options = parser.parse_args()
    keep_freed_memory()
    model = fresh_model(options.preset)
    slots = options.slots or model.cpu_slots
    batches = qm9_batches(options.store, model, slots, None)
    grown = [batches.batch(step) for step in range(options.batches)]
    seconds = sum(seconds_to_regrow(model, trajectories) for trajectories in grown)
    processor_seconds = sum(seconds_to_regrow(model, trajectories, clock=time.process_time) for trajectories in grown)
    n_molecules = sum(len(trajectories.n_atoms) for trajectories in grown)
    report(
        "growing",
        preset=options.preset,
        molecules_per_second=n_molecules / seconds,
        molecules_per_processor_second=n_molecules / processor_seconds,
        slots=slots,
        molecules=n_molecules,
        atoms_per_molecule=sum(int(trajectories.n_atoms.sum()) for trajectories in grown) / n_molecules,
        peak_memory_gb=peak_memory(),
    )


if __name__ == "__main__":
    main()
