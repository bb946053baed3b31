"""`atomweave score`: a row for every frame, a figure or a reason in each; mistakes are one sentence."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from atomweave.cli.main import run
from atomweave.cli.score import COLUMNS
from atomweave.data.store import MoleculeStore
from atomweave.io import write
from atomweave.models.likelihood import log_likelihood
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, load_model, save_weights
from atomweave.molecule import Molecule
from reference.molecules import qm9_molecules
from reference.weaver import SMALL, awake

MOLECULES = [qm9_molecules()[formula] for formula in ("CH4O", "H2O", "C2H6")]
APART = Molecule(["C", "C"], np.array([[0, 0, 0], [0, 0, 3.0]]))
SULPHIDE = Molecule(["S", "H", "H"], MOLECULES[1].positions)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    config = WeaverConfig.model_validate(SMALL)
    save_weights(path, awake(Weaver(config)), config, Card(name="small"))
    return str(path)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.npz", MOLECULES)


def rows(path: str = "scores.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_molecule_has_its_row(weights, capsys):
    write("b.xyz", MOLECULES[1])
    assert run(["score", "a.npz", "b.xyz", "--log-prob", weights, "--orders", "4", "-o", "scores.csv"]) == 0
    found = rows()
    assert tuple(found[0]) == COLUMNS
    assert [(row["file"], row["frame"]) for row in found] == [("a.npz", str(i)) for i in range(3)] + [("b.xyz", "0")]
    expected = log_likelihood(load_model(weights), [*MOLECULES, MOLECULES[1]], 4)
    for row, score in zip(found, expected, strict=True):
        assert float(row["log_likelihood"]) == pytest.approx(score.bound, rel=1e-4)
        assert float(row["log_likelihood_per_atom"]) == pytest.approx(score.bound / score.n_atoms, rel=1e-4)
        assert float(row["standard_error"]) == pytest.approx(score.standard_error, rel=1e-2, abs=1e-3)
        assert float(row["effective_orders"]) == pytest.approx(score.effective_orders, rel=1e-2)
        assert (row["orders"], row["n_atoms"], row["reason"]) == ("4", str(score.n_atoms), "")
    shown = capsys.readouterr()
    mean = np.mean([score.per_atom for score in expected])
    assert f"log-likelihood at least {mean:.3f} nats per atom (95 % " in shown.out
    assert "means over 4 molecules; orders each: 4." in shown.out
    assert shown.err.splitlines()[-1] == "scores.csv"


def test_frames_without_a_figure_keep_their_row_and_say_why(weights, capsys):
    Path("odd.xyz").write_text("1\n\nC 0 0 0\n2\n\nC 0 0 0\nC 0 0 nan\n")
    write("none.npz", [APART, SULPHIDE])
    assert run(["score", "odd.xyz", "none.npz", "--log-prob", weights, "-o", "scores.csv"]) == 0
    single, broken, apart, sulphide = rows()
    assert single["reason"] == ""
    assert (broken["frame"], broken["n_atoms"], broken["log_likelihood"]) == ("1", "", "")
    assert "not finite" in broken["reason"]
    assert apart["log_likelihood"] == sulphide["log_likelihood"] == "-inf"
    assert "do not hang together" in apart["reason"]
    assert "elements S are not among" in sulphide["reason"]
    out = capsys.readouterr().out
    assert "means over 1 molecule;" in out
    assert "1 molecule without a density, left out of the means: elements S" in out
    assert "1 frame cannot be read." in out


def test_one_order_leaves_the_spread_empty(weights):
    assert run(["score", "a.npz", "--log-prob", weights, "--orders", "1", "-o", "scores.csv"]) == 0
    assert [row["standard_error"] for row in rows()] == [""] * 3


def test_stores_and_folders_are_read_and_cut(weights):
    MoleculeStore.from_molecules(MOLECULES).write("s.safetensors")
    Path("folder").mkdir()
    for index, molecule in enumerate(MOLECULES):
        write(f"folder/m, frame {index}.xyz", molecule)
    command = ["score", "s.safetensors", "folder", "--log-prob", weights, "--orders", "2", "-n", "2"]
    assert run([*command, "-o", "scores.csv"]) == 0
    places = [(row["file"], row["frame"]) for row in rows()]
    folder = [(str(Path("folder", f"m, frame {index}.xyz")), "0") for index in range(2)]
    assert places == [("s.safetensors", "0"), ("s.safetensors", "1"), *folder]


def test_the_same_command_gives_the_same_bytes_and_a_seed_others(weights):
    for out, seed in (("1.csv", "0"), ("2.csv", "0"), ("3.csv", "1")):
        assert run(["score", "a.npz", "--log-prob", weights, "--seed", seed, "-o", out]) == 0
    first, second, third = (Path(f"{i}.csv").read_bytes() for i in (1, 2, 3))
    assert first == second != third


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["a.npz"], 2, ["nothing to score by", "--log-prob"]),
        (["a.npz", "--log-prob", "weaver-qm"], 2, ["no weights 'weaver-qm'", "did you mean 'weaver-qm9'?"]),
        (["no.xyz", "--log-prob", "symphony-qm9"], 3, ["no.xyz", "no such file"]),
        (["a.npz", "--log-prob", "symphony-qm9", "--orders", "0"], 2, ["--orders"]),
        (["a.npz", "--log-prob", "symphony-qm9", "--device", "tpu9"], 2, ["--device", "tpu9"]),
        (["a.npz", "--log-prob", "a.npz"], 4, ["a.npz"]),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(arguments, status, parts, capsys):
    assert run(["score", *arguments, "-o", "scores.csv"]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    for part in parts:
        assert part in shown.err
    assert not Path("scores.csv").exists()


def test_outputs_are_checked_before_the_work(weights, capsys):
    Path("scores.csv").write_text("mine")
    command = ["score", "a.npz", "--log-prob", weights, "--orders", "1", "-o"]
    assert run([*command, "scores.csv"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("scores.csv").read_text() == "mine"
    assert run([*command, "scores.txt"]) == 2
    assert "ends in .csv" in capsys.readouterr().err
    assert run([*command, "scores.csv", "--force"]) == 0
    assert len(rows()) == 3


def test_help_comes_at_once():
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-m", "atomweave", "score", "--help"], capture_output=True, text=True, check=True
        )
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert "--log-prob" in done.stdout
    assert min(seconds) < 0.6  # s of CPU time; 0.3 on an idle machine
