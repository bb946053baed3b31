"""Training speed: whole steps (loss, gradients, Adam, averaged weights) on batches of QM9, in fragments a second.

    python benchmarks/training.py data/qm9.safetensors --preset symphony
    python benchmarks/training.py data/qm9.safetensors --preset weaver-small --molecules 128 --all

Wanted on two CPU cores: preset symphony 160 fragments/s, if possible 320, with at least 16 molecules a step: all their
fragments, or 4 of each, and both are measured; preset weaver-small 500 molecules/s, if possible 800; preset gspherenet
8 molecules/s, if possible 16, in batches of 64 (--molecules 64 --all). On a busy machine set one thread and read the
rate a processor second: it is what one core that is free would do.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from harness import STORE, report
from subjects import learner_of, qm9_batches

from atomweave.memory import keep_freed_memory

LEARNING_RATE = 5e-4


def main() -> None:
    """Print one JSON line for all decisions and one for four a molecule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?", default=STORE, help="a molecule store")
    parser.add_argument("--preset", default="symphony")
    parser.add_argument("--molecules", type=int, default=16, help="molecules a step")
    parser.add_argument("--steps", type=int, default=12, help="steps that are timed")
    parser.add_argument("--all", action="store_true", help="all decisions only: where a molecule is one pass")
    options = parser.parse_args()
    keep_freed_memory()
    for decisions in (None,) if options.all else (None, 4):
        learner = learner_of(options.preset)
        batches = qm9_batches(options.store, learner.model, options.molecules, decisions)
        fragments, seconds, processor_seconds, atoms = 0, 0.0, 0.0, 0
        for step in range(options.steps + 2):
            batch = batches.batch(step)
            began, processor_began = time.perf_counter(), time.process_time()
            learner.compute(batch, step)
            learner.move(step, LEARNING_RATE)
            if step >= 2:  # the first two steps make tables, kernels and the optimizer's state
                seconds += time.perf_counter() - began
                processor_seconds += time.process_time() - processor_began
                fragments += int(batch.n_decisions)
                atoms += int(batch.n_atoms.sum())
        report(
            "training",
            preset=options.preset,
            molecules_per_step=options.molecules,
            decisions_per_molecule=decisions,
            molecules_per_second=options.molecules * options.steps / seconds,
            fragments_per_second=fragments / seconds,
            fragments_per_processor_second=fragments / processor_seconds,
            seconds_per_step=seconds / options.steps,
            fragments_per_step=fragments / options.steps,
            atoms_per_molecule=atoms / (options.steps * options.molecules),
        )


if __name__ == "__main__":
    main()
