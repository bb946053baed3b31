"""What the benchmarks of speed and memory act on: models fresh from a preset, batches of QM9, chains of any length."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from atomweave.data.store import MoleculeStore
from atomweave.growth.loader import Batches
from atomweave.growth.policies import build_policy
from atomweave.growth.trajectories import UNKNOWN, Fragments, Trajectories
from atomweave.models.base import Model, Temperatures
from atomweave.models.registry import build_model
from atomweave.molecule import Molecule
from atomweave.training.config import RunConfig, load_config
from atomweave.training.learner import Learner

Clock = Callable[[], float]


def learner_of(preset: str) -> Learner:
    """Return a fresh model of a preset, ready for its first step."""
    learner = Learner(load_config(preset), torch.device("cpu"))
    uniform = torch.full((len(learner.model.species),), 1 / len(learner.model.species))
    learner.begin(uniform, None, init_from=None)
    return learner


def fresh_model(preset: str) -> Model:
    """Return an untrained model of a preset, for growing."""
    torch.manual_seed(0)
    config: RunConfig = load_config(preset)
    return build_model(config.model).eval()


def qm9_batches(store: Path, model: Model, molecules: int, decisions: int | None) -> Batches:
    """Return batches of the training split of QM9, as training takes them."""
    opened = MoleculeStore.open(store, verify=False)
    return Batches(opened, opened.split("edm/train"), model.species, model.policy, molecules, decisions)


def chain(n_atoms: int) -> Molecule:
    """Return an unbranched alkane of `n_atoms` atoms, stretched out, without its last hydrogens if n is not 3k + 2.

    C-C 1.53 Å, C-H 1.09 Å, about tetrahedral.
    """
    n_carbons = -(-(n_atoms - 2) // 3)
    along, across = 1.27, 0.43
    numbers, positions = [], []
    for i in range(n_carbons):
        side = 1 if i % 2 else -1
        carbon = np.array([i * along, side * across, 0.0])
        numbers += [6, 1, 1]
        positions += [carbon, *(carbon + np.array([0.0, side * 0.63, up * 0.89]) for up in (1, -1))]
        for end, step in ((0, -1), (n_carbons - 1, 1)):
            if i == end:
                numbers.append(1)
                positions.append(carbon + 1.09 * np.array([step * along, -side * 2 * across, 0.0]) / 1.534)
    return Molecule(np.array(numbers[:n_atoms]), np.array(positions[:n_atoms]))


def chains(model: Model, n_molecules: int, n_atoms: int) -> Trajectories:
    """Return growth orders of equal chains."""
    grown, _ = build_policy(model.policy, model.species).grow_molecules([chain(n_atoms)] * n_molecules)
    return grown


def seconds_to_regrow(
    model: Model, trajectories: Trajectories, prefixes: list[int] | None = None, clock: Clock = time.perf_counter
) -> float:
    """Return the seconds that `model` takes to propose every decision of the molecules of a batch, all side by side.

    An untrained model grows nothing of the right size or density: so the fragments are those of the molecules, and what
    it proposes is thrown away.

    Args:
        model: the model.
        trajectories: molecules in growth order.
        prefixes: sizes at which to measure; between them the time is taken to be linear. All sizes when None, and where
            the model remembers what it has encoded, for then every size leaves something to the next.
        clock: wall clock, or `time.process_time`.
    """
    t, largest = trajectories, int(trajectories.n_atoms.max())
    memory = model.remember(len(t.n_atoms), largest)
    sizes = prefixes if prefixes and memory is None else list(range(1, largest + 1))
    seconds = []
    with torch.inference_mode():
        for size in sizes:
            growing = (t.n_atoms >= size).nonzero()[:, 0]
            n = len(growing)
            fragments = Fragments(
                species=t.species[growing, :size],
                positions=t.positions[growing, :size],
                n_atoms=torch.full((n,), size),
                awaits=torch.full((n, size), UNKNOWN, dtype=torch.int8),
                policy=t.policy,
                memory=None if memory is None else memory.of(growing),
            )
            uniforms = torch.rand(n, model.n_draws, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
            if size == sizes[0]:  # tables and kernels are made at the first call
                model.propose(replace(fragments, memory=None), uniforms, Temperatures())
            began = clock()
            model.propose(fragments, uniforms, Temperatures())
            seconds.append(clock() - began)
    return float(np.interp(np.arange(1, largest + 1), sizes, seconds).sum())
