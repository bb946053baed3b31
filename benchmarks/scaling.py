"""How the cost of training and growing grows with the size of molecules and with the batch.

    python benchmarks/scaling.py --preset symphony

Stretched-out alkanes, so that size changes and density does not: from 10 to 100 atoms at a fixed batch, and from one
molecule to many at 20 atoms. Training takes four fragments of each molecule.
"""

from __future__ import annotations

import argparse

import torch
from harness import report, timed
from subjects import chains, fresh_model, seconds_to_regrow

from atomweave.growth.loader import subsample
from atomweave.memory import keep_freed_memory
from atomweave.models.base import Model
from atomweave.randomness import generator

SIZES, BATCHES = (10, 20, 30, 50, 70, 100), (1, 4, 16, 64)
SIZE, BATCH = 20, 16
DECISIONS = 4


def main() -> None:
    """Print one JSON line a point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="symphony")
    options = parser.parse_args()
    keep_freed_memory()
    model = fresh_model(options.preset)
    points = [("n_atoms", size, BATCH) for size in SIZES] + [("batch", SIZE, batch) for batch in BATCHES]
    for axis, n_atoms, batch in points:
        shared = {"preset": options.preset, "axis": axis, "n_atoms": n_atoms, "batch": batch}
        report("scaling", task="training", fragments_per_second=training(model, n_atoms, batch), **shared)
        report("scaling", task="growing", molecules_per_second=growing(model, n_atoms, batch), **shared)


def training(model: Model, n_atoms: int, batch: int) -> float:
    """Return fragments a second, loss and gradients."""
    trajectories = chains(model, batch, n_atoms)
    draws = torch.rand(trajectories.kind.shape, generator=generator(0, "scaling"), dtype=torch.float64)
    trajectories = subsample(trajectories, DECISIONS, draws.numpy())

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model.loss(trajectories, generator(0, "train", 0))["loss"].backward()

    return int(trajectories.n_decisions) / timed(step, repeat=3).median


def growing(model: Model, n_atoms: int, batch: int) -> float:
    """Return molecules a second."""
    prefixes = sorted({1, *range(5, n_atoms, max(5, n_atoms // 6)), n_atoms})
    return batch / seconds_to_regrow(model, chains(model, batch, n_atoms), prefixes)


if __name__ == "__main__":
    main()
