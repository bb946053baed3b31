"""Short runs of `atomweave train`, and what is compared between them."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomweave.data.store import MoleculeStore
from atomweave.kernels.library import library
from atomweave.molecule import Molecule
from reference.molecules import qm9_molecules

from .forked import Command
from .tiny_models import TINY

IMPORTED_LATE = (
    "atomweave.cli.main", "atomweave.cli.train", "atomweave.training.loop", "atomweave.growth.grower", "torch._dynamo",
)  # fmt: skip
"""What a run imports on its way: here, before it is forked, once for all runs."""

TRAINING = {
    "n_steps": 8,
    "molecules_per_batch": 2,
    "learning_rate": 0.003,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "validation_every": 3,
    "validation_molecules": 2,
    "samples_every": None,
    "log_every": 1,
    "checkpoint_every": 2,
    "device": "cpu",
    "threads": 1,
}
OPTIMIZERS = {"weaver": "muon", "symphony": "adam", "gspherenet": "adam"}


@dataclass(frozen=True)
class Training:
    """A configuration and a store, with which runs are made."""

    config: Path
    store: Path

    @classmethod
    def prepare(cls, kind: str, folder: Path) -> Training:
        """Write the configuration of a tiny model, and a store of jittered molecules of QM9."""
        for name in (*IMPORTED_LATE, f"atomweave.models.{kind}"):
            importlib.import_module(name)
        library()
        rng = np.random.default_rng(0)
        small = [molecule for molecule in qm9_molecules().values() if len(molecule) < 12]
        chosen = [small[i % len(small)] for i in range(40)]
        store = MoleculeStore.from_molecules(
            [Molecule(m.numbers, m.positions + rng.normal(0, 0.02, m.positions.shape)) for m in chosen]
        )
        splits = {"edm/train": np.arange(32), "edm/valid": np.arange(32, 40)}
        training = cls(folder / f"{kind}.yaml", folder / f"{kind}.safetensors")
        MoleculeStore(store.numbers, store.positions, store.offsets, splits=splits).write(training.store)
        told: dict[str, Any] = TRAINING | {"optimizer": {"kind": OPTIMIZERS[kind]}}
        training.config.write_text(json.dumps({"model": TINY[kind], "training": told}))  # JSON is YAML, too
        return training

    def command(self, out: Path, said: Path) -> Command:
        """Return the command of a run in the folder `out`."""
        return Command(["train", str(self.config), "--data", str(self.store), "--out", str(out)], out, said)


def half_written(out: Path) -> set[Path]:
    """Return the files of a run that were never moved to their place."""
    return {path for path in out.rglob(".*") if path.is_file()}


def end_state(out: Path) -> dict[str, bytes]:
    """Return the log, the exported weights and the newest checkpoint: weights, averages, moments of the optimizer."""
    newest = max((out / "checkpoints").glob("step-*.safetensors"))
    weights = sorted(out.glob("[!.]*.safetensors"))
    return {path.name: path.read_bytes() for path in (out / "log.jsonl", newest, *weights)}
