"""How fast molecules are read, put into growth order and batched: fragments and molecules a second on one thread.

    taskset -c 0 python benchmarks/policy.py [--policy prim]

Wanted: 20,000 fragments/s on one core, reading the store included, so that growing orders never keeps training waiting.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from harness import STORE, peak_memory, report, timed

from atomweave.data.store import MoleculeStore
from atomweave.growth.loader import Batches
from atomweave.growth.policies import BreadthFirstConfig, NearestConfig, PrimConfig
from atomweave.growth.trajectories import focus_species_targets
from atomweave.species import Species

STEPS = 200
POLICIES = {config.kind: config for config in (NearestConfig(), BreadthFirstConfig(), PrimConfig())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, nargs="?", default=STORE, help="a molecule store")
    parser.add_argument("--policy", choices=POLICIES, default="nearest")
    parser.add_argument("--molecules-per-batch", type=int, default=32)
    parser.add_argument("--decisions-per-molecule", type=int, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)

    store = MoleculeStore.open(options.store)
    species = Species(np.unique(store.numbers).tolist())
    batches = Batches(
        store,
        np.arange(len(store)),
        species,
        POLICIES[options.policy],
        options.molecules_per_batch,
        options.decisions_per_molecule,
    )
    trajectories = [batches.batch(step) for step in range(STEPS)]
    # All decisions are grown, also where only some of them are handed on.
    grown = sum(int(t.n_atoms.sum()) for t in trajectories)
    n_molecules = sum(len(t.n_atoms) for t in trajectories)
    batching = timed(lambda: [batches.batch(step) for step in range(STEPS)])
    targets = timed(lambda: [focus_species_targets(t, len(species)) for t in trajectories])
    report(
        "policy",
        growth_policy=options.policy,
        fragments_per_second=grown / batching.median,
        molecules_per_second=n_molecules / batching.median,
        targets_fragments_per_second=grown / targets.median,
        molecules_per_batch=options.molecules_per_batch,
        decisions_per_molecule=options.decisions_per_molecule,
        steps=STEPS,
        peak_memory_gb=peak_memory(),
    )


if __name__ == "__main__":
    main()
