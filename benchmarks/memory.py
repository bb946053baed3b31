"""Peak memory of training: 16 molecules a step, 4 fragments of each, after which nothing more is claimed.

    python benchmarks/memory.py data/qm9.safetensors --preset symphony

Wanted, preset symphony: at most 3 GB, if possible 1.5; preset gspherenet: at most 3 GB with --molecules 64
--decisions 0. The whole process counts, libraries and store included.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import STORE, peak_memory, report
from subjects import learner_of, qm9_batches

from atomweave.memory import keep_freed_memory


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?", default=STORE, help="a molecule store")
    parser.add_argument("--preset", default="symphony")
    parser.add_argument("--molecules", type=int, default=16, help="molecules a step")
    parser.add_argument("--decisions", type=int, default=4, help="fragments of each; 0 for all")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    keep_freed_memory()
    learner = learner_of(options.preset)
    batches = qm9_batches(options.store, learner.model, options.molecules, options.decisions or None)
    for step in range(options.steps):
        learner.compute(batches.batch(step), step)
        learner.move(step, 5e-4)
    report(
        "memory",
        preset=options.preset,
        peak_memory_gb=peak_memory(),
        molecules_per_step=options.molecules,
        decisions_per_molecule=options.decisions or None,
        steps=options.steps,
    )


if __name__ == "__main__":
    main()
