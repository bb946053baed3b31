"""What docs/extending.md adds is added, obeys the laws, and is found by configurations, suites and worker processes."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import atomweave
from atomweave import Molecule
from atomweave.config import Config
from atomweave.errors import UsageError
from atomweave.evaluation import suites
from atomweave.extensions import VARIABLE, load_extensions
from atomweave.models import registry
from atomweave.models.embedders import EMBEDDERS
from atomweave.models.embedders.invariant import INVARIANT_EMBEDDERS
from atomweave.models.heads.spherical import ON_LINE
from atomweave.properties import methods
from atomweave.training.config import RunConfig, load_config

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WATER = Molecule(["O", "H", "H"], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])

REGISTRIES = (INVARIANT_EMBEDDERS.parts, ON_LINE.parts, registry.MODELS, suites.SUITES, methods.PROPERTIES)
"""Where the page enters its parts."""

names: dict[str, Any] = {"__name__": __name__}


def run_page() -> tuple[str, list[dict[str, Any]]]:
    """Run every block in order; return what they print and what they enter, and leave the registries as they were."""
    before = [dict(parts) for parts in REGISTRIES]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            for block in BLOCKS:
                exec(compile(block, "docs/extending.md", "exec", dont_inherit=True), names)  # noqa: S102 - running them is the test
        added = [
            {name: parts[name] for name in parts.keys() - old} for parts, old in zip(REGISTRIES, before, strict=True)
        ]
    finally:
        for parts, old in zip(REGISTRIES, before, strict=True):
            parts.clear()
            parts.update(old)
    return printed.getvalue(), added


PRINTED, ADDED = run_page()
TestShells, TestDust = names["TestShells"], names["TestDust"]


@pytest.fixture(autouse=True)
def parts(monkeypatch) -> None:
    for registered, added in zip(REGISTRIES, ADDED, strict=True):
        for name, part in added.items():
            monkeypatch.setitem(registered, name, part)


def test_blocks_print_what_they_say():
    grown, measured = PRINTED.splitlines()
    assert re.fullmatch(r"\d+ atoms in three molecules", grown)
    assert measured == "66.67 % 2 of 3 valid"


def test_density_of_the_head_is_one_and_its_draws_follow_it():
    import torch

    density = names["LogNormal"](torch.tensor([0.2]).double(), torch.tensor([-1.0]).double())
    x = torch.linspace(-1, 20, 400_001, dtype=torch.float64)
    p = density.log_density(x).exp()
    assert abs(torch.trapezoid(p, x).item() - 1) < 1e-6
    uniforms = torch.linspace(0.05, 0.95, 19)
    below = torch.cumulative_trapezoid(p, x)[torch.searchsorted(x, density.draw(uniforms, 1.0)) - 1]
    assert torch.allclose(below, uniforms.double(), atol=1e-3)


def test_overrides_find_the_parts_and_explain_their_fields():
    config = load_config("gspherenet-small", ["model.embedder.kind=shells", "model.position.distance.kind=log-normal"])
    assert config.model.embedder == names["ShellsConfig"]()
    assert isinstance(registry.build_model(config.model).position.distance, names["LogNormalHead"])
    with pytest.raises(UsageError, match=r"model\.embedder\.n_shell: .*did you mean 'n_shells'"):
        load_config("gspherenet-small", ["model.embedder.kind=shells", "model.embedder.n_shell=3"])
    with pytest.raises(UsageError, match=r"model\.embedder\.kind: there is no 'shell'; did you mean 'shells'"):
        load_config("gspherenet-small", ["model.embedder.kind=shell"])


def test_weights_of_added_parts_load_where_they_are_known(tmp_path, monkeypatch):
    from atomweave.errors import RefusedFileError
    from atomweave.models.weights import Card, save_weights

    path = tmp_path / "mine.safetensors"
    save_weights(path, names["untrained"], names["config"], Card(name="mine"))
    assert atomweave.load(path).config == names["config"]
    monkeypatch.undo()
    with pytest.raises(RefusedFileError, match="there is no 'shells'"):
        atomweave.load(path)


def test_preset_of_the_page_is_taught(tmp_path):
    from atomweave.data import MoleculeStore
    from atomweave.training.loop import train

    (preset,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "dust.yaml").write_text(preset)
    config = load_config(str(tmp_path / "dust.yaml"), [])
    assert isinstance(config, RunConfig)
    waters = [WATER] * 16
    everything = np.arange(16)
    store = replace(MoleculeStore.from_molecules(waters), splits={"edm/train": everything, "edm/valid": everything})
    train(config, store, tmp_path / "run")
    taught = atomweave.load(tmp_path / "run" / "best.safetensors")
    stop, hydrogen, *others = taught.logits.softmax(0).tolist()
    assert hydrogen > 1.5 * stop > 10 * max(others)  # two hydrogens are placed, then it stops


def test_worker_processes_know_what_the_environment_names(tmp_path, monkeypatch):
    (block,) = [block for block in BLOCKS if "PROPERTIES[" in block]
    (tmp_path / "my_parts.py").write_text(f"import numpy as np\n{block}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv(VARIABLE, "my_parts")
    atomweave.write(tmp_path / "water.xyz", [WATER])
    command = ["score", "water.xyz", "--property", "largest_charge", "--method", "gfn2-xtb", "-o", "scores.csv"]
    ended = subprocess.run(
        [sys.executable, "-m", "atomweave", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    header, row = (tmp_path / "scores.csv").read_text().splitlines()
    charge = float(row.split(",")[header.split(",").index("largest_charge")])
    assert 0.4 < charge < 0.8  # of the oxygen


def test_property_is_read_from_either_program():
    from atomweave.properties.calculate import calculate

    for name in ("gfn2-xtb", "hf/sto-3g"):
        found = calculate(WATER.numbers, WATER.positions, ["largest_charge"], methods.parse_method(name))
        assert 0.2 < found.values["largest_charge"] < 0.8


def test_a_module_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setenv(VARIABLE, "no_such_parts")
    with pytest.raises(UsageError, match="cannot import 'no_such_parts'"):
        load_extensions()


def test_a_module_that_fails_as_it_is_imported_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "broken_parts.py").write_text("raise KeyError('radius')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "broken_parts")
    with pytest.raises(UsageError, match=r"'broken_parts' fails as it is imported \(KeyError: 'radius'\)"):
        load_extensions()


def test_a_kind_that_there_is_already_is_refused():
    class Twin(Config):
        kind: Literal["e3schnet"] = "e3schnet"

    with pytest.raises(UsageError, match="Twin: E3SchNetConfig is of kind 'e3schnet' already"):
        EMBEDDERS.add(Twin, lambda config: None)
