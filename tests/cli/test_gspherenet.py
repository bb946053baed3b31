"""The same commands as for the other models, with a G-SphereNet so small that a step takes milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.io import read
from atomweave.models.weights import load_model
from reference.molecules import qm9_molecules

TINY = """
model:
  kind: gspherenet
  embedder: {kind: schnet, width: 8, n_layers: 1, n_radial: 8, n_filters: 8}
  n_heads: 2
  focus: {kind: FOCUS}
training:
  n_steps: 4
  molecules_per_batch: 4
  micro_batches: 2
  validation_every: 2
  validation_molecules: 2
  samples_every: null
  checkpoint_every: 4
  device: cpu
  threads: 1
"""


@pytest.fixture(params=["sigmoid", "softmax"])
def weights(request, tmp_path, monkeypatch) -> str:
    """Return the weights of a run, the working directory of the test being that of the run."""
    molecules = [qm9_molecules()[formula] for formula in ("CH4O", "H2O", "CHN", "C2H6")]
    store = MoleculeStore.from_molecules(molecules * 2)
    splits = {"edm/train": np.arange(6), "edm/valid": np.arange(6, 8)}
    store = MoleculeStore(store.numbers, store.positions, store.offsets, splits=splits)
    store.write(tmp_path / "few.safetensors")
    (tmp_path / "tiny.yaml").write_text(TINY.replace("FOCUS", request.param))
    monkeypatch.chdir(tmp_path)
    assert run(["train", "tiny.yaml", "--data", "few.safetensors", "--out", "run"]) == 0
    return "run/best.safetensors"


def test_it_trains_grows_and_scores(weights, capsys):
    command = ["sample", weights, "-n", "6", "--max-atoms", "5", "--workers", "1", "--force", "-o", "out.xyz"]
    assert run([*command, "--json", "own.json"]) == 0
    own = [molecule.positions.tobytes() for molecule in read("out.xyz", "extxyz")]
    assert run([*command, "--temperatures", "published", "--json", "published.json"]) == 0
    assert [molecule.positions.tobytes() for molecule in read("out.xyz", "extxyz")] != own
    made = json.loads(Path("published.json").read_text())["made"]
    wanted = {"species": 0.5, "distance": 0.3, "angle": 0.4, "torsion": 1.0, "focus_threshold": 0.5}
    assert {name: made[name] for name in wanted} == wanted
    assert not wanted.keys() & json.loads(Path("own.json").read_text())["made"].keys()
    bound = load_model(weights).log_likelihood(qm9_molecules()["CH4O"], n_orders=2)
    assert np.isfinite(bound.bound)
    assert bound.standard_error == 0  # there is one order
    capsys.readouterr()
    assert run([*command, "--temperatures", "publised"]) == 2
    assert "did you mean 'published'" in capsys.readouterr().err
