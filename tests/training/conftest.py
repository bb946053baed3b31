from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from atomweave.data.store import MoleculeStore
from atomweave.models import registry
from atomweave.training.config import RunConfig

sys.path.insert(0, str(Path(__file__).parent))

import itertools

from toy import Toy, ToyConfig


def chains(n_molecules: int, seed: int = 0) -> MoleculeStore:
    """Return chains of 2 to 8 atoms with steps of about 1.4 Å, and the splits that training asks for."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, n_molecules)
    step = rng.normal(size=(sizes.sum(), 3))
    step *= rng.uniform(1.2, 1.6, (len(step), 1)) / np.linalg.norm(step, axis=1, keepdims=True)
    step[:, 0] = np.abs(step[:, 0])  # forward, so that a chain does not bite its tail
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    positions = np.concatenate([np.cumsum(step[a:b], 0) for a, b in itertools.pairwise(offsets)])
    order = np.arange(n_molecules)
    n_train = n_molecules * 3 // 4
    return MoleculeStore(
        rng.choice(np.array([1, 6, 7, 8, 9], np.uint8), sizes.sum()),
        positions.astype(np.float32),
        offsets,
        splits={"edm/train": order[:n_train], "edm/valid": order[n_train:]},
    )


@pytest.fixture(autouse=True)
def toy_kind(monkeypatch):
    monkeypatch.setitem(registry.MODELS, "toy", lambda: (ToyConfig, Toy))


@pytest.fixture
def store() -> MoleculeStore:
    return chains(120)


@pytest.fixture
def config() -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"kind": "toy"},
            "training": {
                "n_steps": 20,
                "molecules_per_batch": 8,
                "validation_every": 5,
                "validation_molecules": 20,
                "samples_every": 8,
                "n_samples": 16,
                "log_every": 3,
                "checkpoint_every": 4,
                "learning_rate": 0.01,
                "clip_norm": 1.0,
                "device": "cpu",
            },
        }
    )
