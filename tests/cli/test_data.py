"""`atomweave data`, as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atomweave import Molecule
from atomweave.data import MoleculeStore
from atomweave.io import write

H2 = Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]], {"gap": 1.0})


def atomweave(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atomweave", "data", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_build_reports_and_info_shows(tmp_path: Path) -> None:
    write(tmp_path / "a.extxyz", [H2] * 10)
    with (tmp_path / "a.extxyz").open("a") as file:
        file.write("2\n\nH 0 0 0\n")
    options = ("--report", "refused.csv", "--split", "train=0.8,test=0.2", "--seed", 1)
    done = atomweave("build", "a.extxyz", "-o", "s.safetensors", *options, cwd=tmp_path)
    assert (done.returncode, "kept 10, refused 1" in done.stdout) == (0, True)
    assert "truncated: line … announces … atoms, … follow" in done.stdout
    assert "a.extxyz,10,truncated" in (tmp_path / "refused.csv").read_text().replace('"', "")
    assert len(MoleculeStore.open(tmp_path / "s.safetensors").split("train")) == 8
    shown = atomweave("info", "s.safetensors", cwd=tmp_path)
    assert shown.returncode == 0
    for expected in ("molecules   10", "elements    H 20", "train 8", "gap: float64", "the contents match their hash"):
        assert expected in shown.stdout
    assert shown.stderr == ""
    before = (tmp_path / "s.safetensors").read_bytes()
    again = atomweave("build", "a.extxyz", "-o", "s.safetensors", "--seed", 2, cwd=tmp_path)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (
        2,
        "error: s.safetensors: exists; name another file, or add --force to replace it.",
    )
    assert (tmp_path / "s.safetensors").read_bytes() == before
    assert atomweave("build", "a.extxyz", "-o", "s.safetensors", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "s.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("build", "none.xyz", "-o", "s"), 3, "error: none.xyz: there is no such file, wanted a file."),
        (
            ("build", "bad.xyz", "-o", "s"),
            3,
            "none of 1 frames could be used; the first: bad.xyz, frame 0: line 1",
        ),
        (("build", "bad.xyz", "-o", "s", "--format", "pdb"), 2, "error: unknown format 'pdb'"),
        (("build", "bad.xyz", "-o", "s", "--split", "train"), 2, "error: --split 'train': 'train' is not NAME=SHARE"),
        (("build", "bad.xyz", "-o", "s", "--split", "a=0.9,b=0.9"), 2, "error: splits a=0.9, b=0.9: wanted shares"),
        (("build", "bad.xyz"), 2, "error: "),
        (("info", "bad.xyz"), 4, "error: bad.xyz: not a whole safetensors file"),
        (("info", "none"), 4, "error: none: there is no such file"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    (tmp_path / "bad.xyz").write_text("no molecule\n")
    done = atomweave(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.xyz"]


def test_conformers_of_smiles_become_a_store(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "a.smi").write_text("CO methanol\nnonsense\nCBr\n")
    done = atomweave("conformers", "a.smi", "-o", "a.extxyz", "--report", "failed.csv", "--workers", 1, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "a.extxyz: 2 conformers, 1 failed")
    assert (tmp_path / "failed.csv").read_text().splitlines()[1] == "a.smi,1,RDKit cannot read the SMILES"
    done = atomweave("build", "a.extxyz", "-o", "s.safetensors", "--elements", "H, C, O", cwd=tmp_path)
    assert "elements that are not admitted: Br" in done.stdout
    store = MoleculeStore.open(tmp_path / "s.safetensors")
    assert [(molecule.formula, molecule.properties["name"]) for molecule in store] == [("CH4O", "methanol")]


def test_when_no_smiles_gives_a_conformer_there_is_no_file(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "a.smi").write_text("nonsense\n")
    done = atomweave("conformers", "a.smi", "-o", "a.extxyz", cwd=tmp_path)
    assert done.returncode == 3
    assert "none of 1 SMILES gave a conformer; the first: RDKit cannot read the SMILES" in done.stderr
    assert not (tmp_path / "a.extxyz").exists()


def test_qm9_without_its_package(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *a: None if name == 'qm9pack' else find(name, *a);"
        "from atomweave.cli.main import run; sys.exit(run(['data', 'qm9', '-o', 's']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'pip install "atomweave[qm9]"' in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", ["import atomweave.cli.data", "import atomweave.data, atomweave.io"])
def test_nothing_heavy_is_imported(code: str) -> None:
    check = f"{code}; import sys; assert not {{'torch', 'rdkit', 'ase', 'pandas'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
