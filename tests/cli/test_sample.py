from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

import atomweave
from atomweave.cli.main import run
from atomweave.io import read, write
from atomweave.models.symphony import Symphony, SymphonyConfig
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, save_weights
from atomweave.molecule import Molecule
from reference.weaver import SMALL

COMMAND = Path(sys.executable).with_name("atomweave")
GRID = {"n_polar_drawing": 20, "n_azimuth_drawing": 20}
CONFIG = SymphonyConfig.model_validate(
    {
        "species": ["H", "F"],
        "focus_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
        "position_embedder": {"kind": "e3schnet", "channels": 4, "lmax": 1, "n_layers": 1},
        "position_head": {"radius": "bins", "n_radii": 2, "minimum": 0.9, "maximum": 0.95, "angular": GRID},
    }
)
"""Knows nothing, and yet some of its molecules are HF, at a length that makes a bond."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "hf.safetensors"
    save_weights(path, Symphony(CONFIG), CONFIG, Card(name="hf"))
    return str(path)


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    """Weights that were told gaps of 2 to 10 eV, sizes of 3 to 9 atoms and compositions."""
    torch.manual_seed(0)
    names = ["gap", "n_atoms", "composition", "dipole"]
    config = WeaverConfig.model_validate(SMALL | {"conditions": {"names": names}})
    model = Weaver(config)
    least, most = [2.0, 3, 0, 0, 0, 0, 0, 0.0], [10.0, 9, 6, 3, 2, 2, 1, 5.0]
    model.condition_embedding.learn_range(torch.tensor([least, most]))
    path = tmp_path_factory.mktemp("weights") / "asking.safetensors"
    save_weights(path, model, config, Card(name="asking"))
    return str(path)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sample(weights, *options, out="out.sdf", number=60):
    return run(["sample", weights, "-n", str(number), "--max-atoms", "6", "-o", out, *options])


def visible(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("suffix", ["sdf", "xyz", "extxyz", "db", "npz"])
def test_every_format_is_read_back_with_what_became_of_each(weights, suffix):
    assert sample(weights, "--seed", "3", out=f"out.{suffix}") == 0
    grown = atomweave.grow(weights, 60, seed=3, max_atoms=6)
    found = read(f"out.{suffix}", "extxyz" if suffix == "xyz" else None)
    assert visible(".") == [f"out.{suffix}"]
    assert len(found) == 60
    for attempt, molecule in zip(grown.attempts, found, strict=True):
        assert molecule.numbers.tolist() == attempt.molecule.numbers.tolist()
        np.testing.assert_allclose(molecule.positions, attempt.molecule.positions, atol=6e-5)  # SDF keeps four decimals
        told = molecule.properties
        assert (int(told["seed"]), int(told["index"])) == (3, attempt.index)
        assert str(told["finished"]) == str(attempt.finished)
        assert float(told["log_prob"]) == pytest.approx(attempt.log_prob, rel=1e-9)
        valid = str(told["xyz2mol_valid"]) == "True"
        assert bool(told.get("smiles")) == valid
        assert bool(told.get("reason")) == (not valid)
        if not attempt.finished:
            assert told["reason"] == "no STOP after 6 atoms"
    assert 0 < sum(bool(m.properties.get("smiles")) for m in found) < 60


def test_an_xyz_is_one_to_any_reader_of_xyz(weights):
    assert sample(weights, out="out.xyz", number=5) == 0
    assert [len(m) for m in read("out.xyz", "xyz")] == [len(m) for m in read("out.xyz", "extxyz")]


def test_sdf_carries_the_bonds_that_were_found(weights):
    assert sample(weights) == 0
    mols = list(Chem.SDMolSupplier("out.sdf", removeHs=False))
    valid = [mol for mol in mols if mol.GetProp("xyz2mol_valid") == "True"]
    assert valid
    for mol in valid:
        assert mol.GetNumBonds() > 0
        assert Chem.MolToSmiles(mol) == mol.GetProp("smiles")
    assert sum(mol.GetNumBonds() for mol in mols if mol.GetProp("xyz2mol_valid") == "False") == 0


def test_same_seed_same_bytes_with_any_number_of_processes(weights):
    outputs = [f"{name}.{suffix}" for name in ("one", "two") for suffix in ("sdf", "db")]
    for out in outputs:
        options = ["--workers", "1" if out.startswith("one") else "2", "--max-atoms", "3", "--no-table"]
        assert sample(weights, *options, out=out, number=512 + 20) == 0  # two blocks
    for one, two in zip(outputs[:2], outputs[2:], strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes()


def test_the_table_ends_it_and_counts_every_attempt(weights, capsys):
    assert sample(weights, "--json", "out.json") == 0
    shown, figures = capsys.readouterr().out, json.loads(Path("out.json").read_text())
    molecules = read("out.sdf")
    finished = sum(str(m.properties["finished"]) == "True" for m in molecules)
    valid = [m.properties["smiles"] for m in molecules if "smiles" in m.properties]
    measures = {name: measure["count"] for name, measure in figures["measures"].items()}
    assert measures["attempted"] == 60
    assert measures["finished"] == finished
    assert (measures["valid"], measures["unique"]) == (len(valid), len(set(valid)))
    assert sum(figures["invalid"].values()) == 60 - len(valid)
    assert re.search(rf"finished .*{finished} of 60 attempts", shown)
    assert re.search(r"\d+\.\d\d molecules/s \(.*cpu", shown.splitlines()[-1])
    assert figures["made"]["seed"] == 0


def test_table_may_be_left_out(weights, capsys):
    assert sample(weights, "--no-table", number=3) == 0
    assert capsys.readouterr().out == ""


def test_drop_invalid_writes_the_valid_ones_and_still_counts_all(weights):
    assert sample(weights, out="all.sdf") == 0
    assert sample(weights, "--drop-invalid", "--json", "out.json", out="valid.sdf") == 0
    kept = [m.properties["index"] for m in read("all.sdf") if "smiles" in m.properties]
    assert [m.properties["index"] for m in read("valid.sdf")] == kept
    assert json.loads(Path("out.json").read_text())["measures"]["attempted"]["count"] == 60


def test_nothing_valid_to_write_is_said_after_the_table(weights, capsys):
    assert sample(weights, "--drop-invalid", "--max-atoms", "1", number=3) == 5
    shown = capsys.readouterr()
    assert "none of the 3 molecules is valid" in shown.err
    assert "attempted" in shown.out
    assert visible(".") == []


def test_report_is_a_page_beside_the_molecules(weights):
    assert sample(weights, "--report", "out.html", number=5) == 0
    assert visible(".") == ["out.html", "out.sdf"]
    assert "3Dmol" in Path("out.html").read_text()


def test_start_from_an_element_and_from_a_fragments_file(weights):
    fragment = Molecule(np.array([9, 1]), np.array([[10.0, 0, 1 / 3], [10.9, 0, 1 / 3]]))
    write("start.extxyz", fragment)
    assert sample(weights, "--start", "F", out="f.npz", number=10) == 0
    assert {int(m.numbers[0]) for m in read("f.npz")} == {9}
    assert sample(weights, "--start", "start.extxyz", out="fragment.npz", number=10) == 0
    given = read("start.extxyz")[0]
    for molecule in read("fragment.npz"):
        assert molecule.numbers[:2].tolist() == [9, 1]
        assert molecule.positions[:2].tobytes() == given.positions.tobytes()


def test_temperatures_change_what_is_grown(weights):
    def text(*options):
        assert sample(weights, *options, "--force", out="out.xyz", number=20) == 0
        return Path("out.xyz").read_bytes()

    as_it_is = text()
    assert text("--focus-temperature", "1.0") == as_it_is
    others = [text(*o) for o in (["--focus-temperature", "2"], ["--position-temperature", "2"])]
    coefficients = text("--position-temperature", "2", "--tempering", "coefficients")
    assert len({as_it_is, *others, coefficients}) == 4


def test_what_is_asked_reaches_the_model_the_file_and_the_json(asking, capsys):
    options = ("--gap", "4.0", "--formula", "H2CO", "--n-atoms", "4", "--condition", "dipole=2.5")
    assert sample(asking, *options, "--json", "figures.json", out="out.xyz", number=5) == 0
    assert "warning" not in capsys.readouterr().err
    asked = {"gap": 4.0, "composition": "H2CO", "n_atoms": 4, "dipole": 2.5}
    made = json.loads(Path("figures.json").read_text())["made"]
    assert {name: made[f"asked_{name}"] for name in asked} == asked
    grown = atomweave.grow(asking, 5, max_atoms=6, conditions=asked)
    for molecule, attempt in zip(read("out.xyz", "extxyz"), grown.attempts, strict=True):
        assert {name: molecule.properties[f"asked_{name}"] for name in asked} == asked
        assert molecule.properties["log_prob"] == pytest.approx(attempt.log_prob)


def test_a_request_out_of_range_is_one_line_on_stderr(asking, capsys):
    assert sample(asking, "--gap", "14", number=2) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert lines == ["warning: condition 'gap': 14 lies outside of what the model learnt from, 2 to 10."]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--polarizability", "75"], "'polarizability': this model was not taught it"),
        (["--formula", "C7H10X"], "composition"),
        (["--n-atoms", "7"], "max_atoms is 6"),
        (["--condition", "dipole"], "wanted NAME=VALUE"),
        (["--condition", "dipol=2"], "did you mean 'dipole'"),
        (["--gap", "4", "--condition", "gap=5"], "gap is asked twice"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asking, options, sentence, capsys):
    assert sample(asking, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert visible(".") == []


def test_a_file_that_exists_is_replaced_only_by_force(weights, capsys):
    Path("out.sdf").write_text("mine")
    assert sample(weights) == 2
    assert "add --force" in capsys.readouterr().err
    assert Path("out.sdf").read_text() == "mine"
    assert sample(weights, "--force", number=2) == 0
    assert len(read("out.sdf")) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["{weights}", "-o", "out.pdf"], 2, "unknown suffix '.pdf'"),
        (["{weights}"], 2, "--out"),
        (["{weights}", "-o", "out.sdf", "-n", "0"], 2, "--number"),
        (["{weights}", "-o", "out.sdf", "-n", "many"], 2, "--number"),
        (["{weights}", "-o", "out.sdf", "--focus-temperature", "0"], 2, "focus"),
        (["{weights}", "-o", "out.sdf", "--position-temperature", "nan"], 2, "position"),
        (["{weights}", "-o", "out.sdf", "--tempering", "exactly"], 2, "did you mean 'exact'"),
        (["{weights}", "-o", "out.sdf", "--start", "Unobtainium"], 2, "wanted data, an element"),
        (["{weights}", "-o", "out.sdf", "--start", "Fe"], 3, "Fe is not among this model's elements: H F"),
        (["{weights}", "-o", "out.sdf", "--start", "broken.xyz"], 3, "broken.xyz"),
        (["{weights}", "-o", "out.sdf", "--start", "two.xyz"], 2, "holds 2 molecules"),
        (["{weights}", "-o", "out.sdf", "--start", "large.xyz", "--max-atoms", "1"], 2, "2 atoms of the start"),
        (["{weights}", "-o", "out.sdf", "--device", "abacus"], 2, "'abacus' cannot be used here"),
        (["{weights}", "-o", "out.sdf", "--report", "out.sdf"], 2, "name each file once"),
        (["{weights}", "-o", "folder.sdf"], 3, "is a folder"),
        (["{weights}", "-o", "two.xyz/out.sdf"], 3, "two.xyz is not a folder"),
        (["symphony-qm10", "-o", "out.sdf"], 2, "there are no weights 'symphony-qm10'"),
        (["{weights}", "-o", "out.sdf", "--gap", "4.0"], 2, "'gap': this model was taught none"),
        (["absent.safetensors", "-o", "out.sdf"], 2, "there is no such file"),
        (["broken.safetensors", "-o", "out.sdf"], 4, "broken.safetensors"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(weights, arguments, status, sentence, capsys):
    Path("folder.sdf").mkdir()
    Path("broken.xyz").write_text("3\n\nH 0 0 0\n")
    Path("two.xyz").write_text("1\n\nH 0 0 0\n1\n\nF 0 0 0\n")
    Path("large.xyz").write_text("2\n\nH 0 0 0\nF 0 0 0.9\n")
    content = bytearray(Path(weights).read_bytes())
    content[-7] ^= 1
    Path("broken.safetensors").write_bytes(content)
    before = visible(".")
    assert run(["sample", *(weights if a == "{weights}" else a for a in arguments)]) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert visible(".") == before


def test_output_is_refused_before_anything_grows(weights, monkeypatch):
    monkeypatch.setattr("atomweave.growth.grower.grow", lambda *a, **k: pytest.fail("it grew"))
    assert sample(weights, out="out.docx") == 2
    assert sample(weights, out=".") == 2


def group_exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_leaves_no_file(weights, workers, monkeypatch, capsys):
    @contextlib.contextmanager
    def interrupting(title, unit):
        def show(done, total):
            raise KeyboardInterrupt

        yield show

    monkeypatch.setattr("atomweave.cli.progress.progress", interrupting)
    assert sample(weights, "--workers", workers, "--max-atoms", "2", number=600) == 5
    assert capsys.readouterr().err == "error: interrupted.\n"
    assert visible(".") == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker processes in Linux's /proc")
@pytest.mark.parametrize("seconds", [0, 4])  # while the workers start; while they grow
def test_ctrl_c_ends_all_processes_with_one_sentence(weights, seconds):
    command = [COMMAND, "sample", weights, "-n", "1000000", "-o", "out.sdf", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and len(children.read_text().split()) < 3:  # two workers and Python's tracker
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    shown, error = process.communicate(timeout=60)
    assert (process.returncode, shown, error) == (5, b"", b"error: interrupted.\n")
    assert visible(".") == []
    deadline = time.monotonic() + 10  # Python's tracker leaves a moment after its parent
    while group_exists(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not group_exists(process.pid)


def test_without_rdkit_molecules_are_grown_and_verdicts_are_not_claimed(weights):
    code = f"""
import sys
for package in ("rdkit", "ase", "jinja2", "matplotlib", "pebble"):
    sys.modules[package] = None  # importing it fails, as if it were not installed
from atomweave.cli.main import run
weights = {weights!r}
assert run(["sample", weights, "-n", "5", "--max-atoms", "4", "-o", "out.xyz"]) == 0
assert run(["sample", weights, "-n", "5", "--max-atoms", "4", "-o", "out.npz", "--workers", "2"]) == 0
assert run(["sample", weights, "-n", "5", "-o", "out.sdf"]) == 3
assert run(["sample", weights, "-n", "5", "-o", "b.xyz", "--drop-invalid"]) == 3
assert run(["sample", weights, "-n", "5", "-o", "b.xyz", "--report", "b.html"]) == 3
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "needs RDKit: pip install 'atomweave[eval]'" in done.stdout
    assert "xyz2mol" not in done.stdout
    assert ".sdf output needs rdkit" in done.stderr
    assert visible(".") == ["out.npz", "out.xyz"]
    assert all("xyz2mol_valid" not in molecule.properties for molecule in read("out.xyz", "extxyz"))


def test_installed_command_grows(weights):
    command = [COMMAND, "sample", weights, "-n", "4", "--max-atoms", "4", "-o", "out.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "attempted" in done.stdout
    assert len(read("out.npz")) == 4
