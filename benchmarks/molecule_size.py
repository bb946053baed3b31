"""What one molecule costs to teach and to grow, from 5 to 181 atoms: processor seconds and memory.

    python benchmarks/molecule_size.py                     # stretched-out alkanes
    python benchmarks/molecule_size.py --data drugs.safetensors --split train

A causal model teaches all fragments of a molecule in one pass and grows by one row an atom, so what counts is the
molecule, not the fragment. Every batch holds about as many atoms (`--atoms`, those of 48 molecules of 44), and every
size has a process of its own, so that the peak of memory is its own. Rates are per second of the processor, all threads
together: on a machine that does other work they say more than the clock does. Growing places the atoms of the molecules
themselves, one decision each, and remembers what it has encoded, as the grower does.

With `--data` the batches of a store are measured as training takes them, all sizes mixed as they come.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from harness import peak_memory, report
from subjects import chains, learner_of, seconds_to_regrow

from atomweave.data.store import MoleculeStore
from atomweave.growth.loader import Batches
from atomweave.growth.trajectories import Trajectories
from atomweave.memory import keep_freed_memory
from atomweave.training.learner import Learner

SIZES = (5, 10, 20, 30, 44, 60, 90, 120, 150, 181)
STEPS = 3


def main() -> None:
    """Print two JSON lines a size, or one about the batches of a store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="weaver-drugs")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="atoms of each molecule")
    parser.add_argument("--atoms", type=int, default=48 * 44, help="of a batch, about (default 2112)")
    parser.add_argument("--data", type=Path, help="measure the batches of this store instead")
    parser.add_argument("--split", default="train")
    parser.add_argument("--steps", type=int, default=STEPS, help="that are timed, after one that is not")
    options = parser.parse_args()
    keep_freed_memory()
    if options.data is not None:
        measure_store(options)
    elif len(options.sizes) == 1:
        measure_size(options, options.sizes[0])
    else:
        shared = ["--preset", options.preset, "--atoms", str(options.atoms), "--steps", str(options.steps)]
        for size in options.sizes:
            subprocess.run([sys.executable, __file__, *shared, "--sizes", str(size)], check=True)


def measure_size(options: argparse.Namespace, n_atoms: int) -> None:
    """Report teaching and growing of molecules of one size."""
    learner = learner_of(options.preset)
    batch = max(1, options.atoms // n_atoms)
    shared = {"preset": options.preset, "n_atoms": n_atoms, "batch": batch}
    trajectories = chains(learner.model, batch, n_atoms)
    seconds = seconds_of_steps(learner, [trajectories] * (1 + options.steps))
    report(
        "molecule_size",
        task="training",
        molecules_per_processor_second=batch * options.steps / seconds,
        decisions_per_processor_second=int(trajectories.n_decisions) * options.steps / seconds,
        peak_gb=peak_memory(),
        **shared,
    )
    growing = seconds_to_regrow(learner.model.eval(), trajectories, clock=time.process_time)
    report("molecule_size", task="growing", molecules_per_processor_second=batch / growing, **shared)


def measure_store(options: argparse.Namespace) -> None:
    """Report teaching on batches of a store."""
    learner = learner_of(options.preset)
    store = MoleculeStore.open(options.data)
    model, indices = learner.model, store.split(options.split)
    molecules = learner.config.molecules_per_batch
    batches = Batches(store, indices, model.species, model.policy, molecules, learner.config.decisions_per_molecule)
    taken = [batches.batch(step) for step in range(1 + options.steps)]
    seconds = seconds_of_steps(learner, taken)
    report(
        "molecule_size",
        task="training",
        preset=options.preset,
        data=options.data.name,
        mean_atoms=float(np.mean([float(batch.n_atoms.float().mean()) for batch in taken[1:]])),
        largest=batches.largest,
        batch=molecules,
        molecules_per_processor_second=sum(len(batch.n_atoms) for batch in taken[1:]) / seconds,
        decisions_per_processor_second=sum(int(batch.n_decisions) for batch in taken[1:]) / seconds,
        peak_gb=peak_memory(),
    )


def seconds_of_steps(learner: Learner, batches: list[Trajectories]) -> float:
    """Return the processor seconds of whole training steps, all but the first."""
    began = 0.0
    for step, batch in enumerate(batches):
        if step == 1:
            began = time.process_time()
        learner.compute(batch, step)
        learner.move(step, 1e-3)
    return time.process_time() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
