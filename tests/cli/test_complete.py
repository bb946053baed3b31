from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import atomweave
from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.io import read, write
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, save_weights
from atomweave.molecule import Molecule
from reference.worked_molecules import embedded

CONFIG = WeaverConfig.model_validate(
    {"width": 16, "n_heads": 2, "n_encoder_layers": 1, "n_decoder_layers": 1, "pair_features": 4}
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, Weaver(CONFIG), CONFIG, Card(name="small"))
    return str(path)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("ethanol.npz", embedded("CCO"))
    write("two.extxyz", [embedded("CO"), embedded("OC=C")])


SMILES = ("C", "CC", "CO", "CCO", "CN", "C=C", "C#N", "CCC")


@pytest.fixture
def store():
    """Eight small molecules: five in the training split, three held out."""
    store = MoleculeStore.from_molecules([embedded(smiles) for smiles in SMILES])
    splits = {"train": np.arange(5), "test": np.arange(5, 8)}
    replace(store, splits=splits).write(Path("store.safetensors"))


def complete(weights, *options, out="out.npz", number=5):
    return run(["complete", weights, *options, "-n", str(number), "-o", out, "--max-atoms", "14"])


@pytest.mark.parametrize("suffix", ["sdf", "xyz", "db", "npz"])
def test_fragments_of_any_format_and_all_their_frames_are_completed(weights, suffix):
    assert complete(weights, "ethanol.npz", "two.extxyz", "--seed", "2", out=f"out.{suffix}") == 0
    given = [*read("ethanol.npz"), *read("two.extxyz")]
    grown = atomweave.complete(weights, given, n=5, seed=2, max_atoms=14)
    found = read(f"out.{suffix}", "extxyz" if suffix == "xyz" else None)
    assert len(found) == 15
    for attempt, molecule in zip(grown.attempts, found, strict=True):
        fragment = given[attempt.index // 5]
        assert molecule.numbers.tolist() == attempt.molecule.numbers.tolist()
        np.testing.assert_allclose(molecule.positions, attempt.molecule.positions, atol=6e-5)  # SDF keeps four decimals
        if suffix in ("npz", "db"):
            assert molecule.positions[: len(fragment)].tobytes() == fragment.positions.tobytes()
        told = molecule.properties
        assert (int(told["fragment"]), int(told["given_atoms"])) == (attempt.index // 5, len(fragment))
        assert told["source"] == ("ethanol.npz", "two.extxyz 0", "two.extxyz 1")[attempt.index // 5]
        assert str(told["finished"]) == str(attempt.finished)
        assert "xyz2mol_valid" in told


def test_same_seed_same_bytes_with_any_number_of_processes(weights):
    write("small.extxyz", [Molecule(["O", "H"], [[0, 0, 0], [0.96, 0, 0]]), Molecule(["C"], np.zeros((1, 3)))])
    for out, workers in (("one.sdf", "1"), ("two.sdf", "2")):  # two blocks
        options = ["-n", "260", "-o", out, "--max-atoms", "3", "--workers", workers, "--no-table"]
        assert run(["complete", weights, "small.extxyz", *options]) == 0
    assert Path("one.sdf").read_bytes() == Path("two.sdf").read_bytes()


def test_sites_by_number_and_by_pattern_are_the_same(weights):
    fragment = read("ethanol.npz")[0]
    oxygen = int(np.flatnonzero(fragment.numbers == 8)[0])
    room = "--remove-hydrogens"
    assert complete(weights, "ethanol.npz", "--site", str(oxygen), room, out="number.npz") == 0
    assert complete(weights, "ethanol.npz", "--sites-smarts", "[OX2]", room, out="pattern.npz") == 0
    assert Path("number.npz").read_bytes() == Path("pattern.npz").read_bytes()
    for molecule in read("number.npz"):
        assert molecule.properties["removed_hydrogens"] == 1
        assert molecule.properties["given_atoms"] == len(fragment) - 1


def test_the_table_counts_every_attempt(weights, capsys):
    assert complete(weights, "two.extxyz", "--json", "out.json", "--report", "out.html", out="out.sdf") == 0
    figures = json.loads(Path("out.json").read_text())
    assert figures["measures"]["attempted"]["count"] == 10
    assert figures["made"]["fragments"] == ["two.extxyz 0", "two.extxyz 1"]
    assert "attempted" in capsys.readouterr().out
    assert "3Dmol" in Path("out.html").read_text()


def test_the_benchmark_counts_every_hydrogen(weights, store, capsys):
    options = ["--benchmark", "symphony-table-5.4", "--data", "store.safetensors", "--max-atoms", "14"]
    assert run(["complete", weights, *options, "--molecules", "2", "--json", "out.json"]) == 0
    figures = json.loads(Path("out.json").read_text())
    n_hydrogens = {"train": 4 + 6, "test": 1 + 8}  # the first two of the one split, the last two of the other
    for split, n in n_hydrogens.items():
        found = figures["splits"][split]
        assert found["molecules"] == 2
        assert found["intact"] == 1.0
        assert {measure["total"] for measure in found["measures"].values()} == {n}
        assert sum(found["invalid"].values()) == n - found["measures"]["valid"]["count"]
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("98.5 %", "98.7 %", "97.9 %", "98.2 %"))
    assert figures["published"][0]["values"] == {"valid/train": 0.985, "valid/test": 0.987}


def test_shuffled_atoms_change_nothing(weights, store):
    figures = []
    for order in ([], ["--shuffle"]):
        options = ["--benchmark", "methyl", "--data", "store.safetensors", "--max-atoms", "14", "--force", "--no-table"]
        assert run(["complete", weights, *options, *order, "--json", "out.json"]) == 0
        figures.append(json.loads(Path("out.json").read_text()))
    plain, shuffled = figures
    assert plain["splits"] == shuffled["splits"]
    assert (plain["made"]["shuffle"], shuffled["made"]["shuffle"]) == (False, True)
    assert (
        plain["splits"]["train"]["measures"]["valid"]["total"] == 5
    )  # two of ethane, one of each alcohol and the amine


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["-o", "out.sdf"], 2, "FRAGMENTS: got none"),
        (["ethanol.npz"], 2, "--out: wanted a file"),
        (["absent.xyz", "-o", "out.sdf"], 3, "there is no such file"),
        (["broken.xyz", "-o", "out.sdf"], 3, "broken.xyz"),
        (["ethanol.npz", "-o", "out.pdf"], 2, "unknown suffix '.pdf'"),
        (["ethanol.npz", "-o", "out.sdf", "--site", "99"], 2, "there is no atom 99"),
        (["ethanol.npz", "-o", "out.sdf", "--site", "3"], 2, "atom 3 (counted from 0) is a hydrogen"),
        (["two.extxyz", "-o", "out.sdf", "--site", "7"], 2, "fragment 0 (counted from 0): sites: there is no atom 7"),
        (["ethanol.npz", "-o", "out.sdf", "--sites-smarts", "[N]"], 2, "ethanol.npz: no atom of C2H6O matches '[N]'"),
        (["ethanol.npz", "-o", "out.sdf", "--sites-smarts", "[N"], 2, "wanted a SMARTS pattern"),
        (["ethanol.npz", "-o", "out.sdf", "--site", "0", "--sites-smarts", "O"], 2, "got both"),
        (["ethanol.npz", "-o", "out.sdf", "--remove-hydrogens"], 2, "remove_hydrogens: wants sites"),
        (["ethanol.npz", "-o", "out.sdf", "--shuffle"], 2, "--shuffle: only with --benchmark"),
        (["ethanol.npz", "-o", "out.sdf", "--max-atoms", "4"], 2, "at least the 9 atoms"),
        (["iron.xyz", "-o", "out.sdf"], 3, "Fe are not among"),
        (["ethanol.npz", "-o", "out.sdf", "--device", "abacus"], 2, "'abacus' cannot be used here"),
        (["ethanol.npz", "--benchmark", "methyl"], 2, "FRAGMENTS: not with --benchmark"),
        (["--benchmark", "methyl"], 2, "name it by --data"),
        (["--benchmark", "metyl", "--data", "store.safetensors"], 2, "did you mean 'methyl'"),
        (["--benchmark", "methyl", "--data", "absent.safetensors"], 4, "absent.safetensors"),
        (["--benchmark", "methyl", "--data", "unsplit.safetensors"], 3, "has the splits none, wanted"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(weights, store, arguments, status, sentence, capsys):
    Path("broken.xyz").write_text("3\n\nH 0 0 0\n")
    Path("iron.xyz").write_text("1\n\nFe 0 0 0\n")
    MoleculeStore.from_molecules([embedded("C")]).write(Path("unsplit.safetensors"))
    before = sorted(Path().iterdir())
    assert run(["complete", weights, *arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(Path().iterdir()) == before
