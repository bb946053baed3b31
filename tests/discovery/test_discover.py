"""The whole of it with the weights that ship, on a store of fourteen molecules; GFN2-xTB stands for the method."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import atomweave
from atomweave.cli.main import run
from atomweave.data.store import MoleculeStore
from atomweave.discovery import discover as whole
from atomweave.discovery import drawn, measured, report, rounds
from atomweave.discovery.plan import PLAN
from atomweave.models.weights import read_card
from atomweave.training.loop import _Run

WEIGHTS = Path(atomweave.__file__).parent / "weights" / "weaver-qm9.safetensors"

OPTIONS = (
    "--minimize", "gap", "--threshold", "4.5", "--method", "gfn2-xtb", "--epochs", "4", "--batch", "2", "-n", "12",
    "--scored", "5", "--before", "3", "--rounds", "1", "--grow", "16", "--budget", "5", "--elite", "6",
    "--round-epochs", "2", "--sa-max", "8", "--max-atoms", "24", "--workers", "1", "--threads", "1",
    "--data", "data.safetensors",
)  # fmt: skip


def discover(*further: str, out: str = "run") -> int:
    return run(["discover", str(WEIGHTS), "-o", out, *OPTIONS, *further])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, store, in_process):
    """Where a run has been made without interruption."""
    home = tmp_path_factory.mktemp("discover")
    store.write(home / "data.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert discover() == 0
    return home


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def rows(out: str = "run") -> list[dict[str, str]]:
    with Path(out, "molecules.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_stage_leaves_its_file():
    for name in (
        PLAN, "selection.safetensors", "finetuned.safetensors", "before.sdf", "molecules.sdf", "scores.sqlite",
        "provenance.sqlite", "molecules.csv", "summary.json", "report.html", "training/log.jsonl",
        "rounds/1/molecules.sdf", "rounds/1/teaching.safetensors", "rounds/1/finetuned.safetensors",
        "rounds/1/after.sdf",
    ):  # fmt: skip
        assert Path("run", name).stat().st_size > 0, name
    assert not Path("run/training/checkpoints").exists()
    assert len(MoleculeStore.open("run/selection.safetensors").split("train")) == 4


def test_every_molecule_has_a_row_with_where_it_came_from():
    found = rows()
    assert {name: sum(row["set"] == name for row in found) for name in dict.fromkeys(row["set"] for row in found)} == {
        "before": 12, "fine-tuned": 12, "round 1": 16, "after round 1": 12,
    }  # fmt: skip
    hashes = {row["set"]: row["weights"] for row in found}
    assert hashes["fine-tuned"] == hashes["round 1"]
    assert len(set(hashes.values())) == 3
    assert all(row["value"] for row in found if row["fate"] == "scored")
    assert all(row["reason"] for row in found if row["fate"] != "scored")
    assert sum(row["set"] == "fine-tuned" and row["drawn"] == "random" for row in found) == 5
    assert sum(row["set"] == "round 1" and row["drawn"] != "" for row in found) <= 5


def test_the_summary_says_what_the_rows_say(store):
    told = json.loads(Path("run/summary.json").read_text())
    drawn_rows = [row for row in rows() if row["set"] == "fine-tuned" and row["drawn"] == "random"]
    values = [float(row["value"]) for row in drawn_rows if row["value"]]
    model = told["models"]["fine-tuned"]
    assert (model["drawn"], model["scored"]) == (5, len(values))
    assert model["mean"] == pytest.approx(sum(values) / len(values), abs=1e-4)
    assert model["best"] == pytest.approx(min(values), abs=1e-4)
    assert model["good_of_valid"] == sum(value < 4.5 for value in values) / 5
    best = min(float(row["value"]) for row in rows() if row["value"])
    assert told["best"][0]["value"] == pytest.approx(best, abs=1e-4)
    assert told["data"][0]["mean"] == pytest.approx(store.properties["gap"].mean())


def test_another_method_is_never_set_beside_the_published_figures():
    told = json.loads(Path("run/summary.json").read_text())
    assert told["published"] == []
    assert "gfn2-xtb is not the method of QM9" in told["caveat"]
    assert "G-SphereNet" not in Path("run/report.html").read_text().split("<script")[0]


def test_the_page_is_whole_and_reaches_for_nothing():
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert "default-src 'none'" in page
    for title in ("What was found", "Where the property lies", "From model to model", "How varied, how new"):
        assert f">{title}</h2>" in page
    assert page.count("<svg") >= 4
    assert "after round 1" in page


def test_the_new_weights_say_what_they_are_and_can_be_used():
    card, _ = read_card("run/finetuned.safetensors")
    assert card.name == "weaver-qm9-gap"
    assert "fine-tuning: 4 molecules with gap < 4.5 eV, 4 epochs" in card.summary
    assert len(atomweave.grow("run/finetuned.safetensors", 2, max_atoms=12).attempts) == 2


def test_what_is_done_is_not_done_again(monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*.sdf")}

    def never(*args, **options):
        raise AssertionError("done again")

    for module, name in ((whole, "select"), (rounds, "picked"), (rounds, "elite"), (drawn, "_grow")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(_Run, "_step", never)
    monkeypatch.setattr("atomweave.isolation.executors.answer_isolated", never)
    told = Path("run/molecules.csv").read_bytes(), Path("run/summary.json").read_bytes()
    assert discover() == 0
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*.sdf")} == before
    assert (Path("run/molecules.csv").read_bytes(), Path("run/summary.json").read_bytes()) == told
    assert "fine-tuned: " in capsys.readouterr().out


def test_a_changed_option_is_refused_and_named(capsys):
    before = Path("run", PLAN).read_bytes()
    assert discover("--seed", "3") == 2
    assert "run: holds another run (seed 0 there, seed 3 here)" in capsys.readouterr().err
    assert discover("--budget", "6") == 2
    assert "budget 5 there, budget 6 here" in capsys.readouterr().err
    assert Path("run", PLAN).read_bytes() == before


STAGES = (
    (whole, "select"), (_Run, "_step"), (drawn, "_grow"), (measured, "calculated"), (rounds, "picked"),
    (rounds, "elite"), (rounds, "finetune"), (report, "wall"),
)  # fmt: skip


@pytest.mark.long
def test_interrupted_at_every_stage_it_ends_as_if_it_never_was(monkeypatch):
    for place, name in STAGES:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, _second_call_interrupted(getattr(place, name)))
            assert discover(out="interrupted") == 5, name
    assert discover(out="interrupted") == 0
    for name in ("molecules.csv", "molecules.sdf", "rounds/1/molecules.sdf", "rounds/1/after.sdf"):
        assert Path("interrupted", name).read_bytes() == Path("run", name).read_bytes(), name
    assert json.loads(Path("interrupted/summary.json").read_text()) == json.loads(Path("run/summary.json").read_text())


def _second_call_interrupted(function):
    """Let what is called once be interrupted at its end, and what is called often at its second call."""
    calls = []

    def interrupted(*args, **options):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        result = function(*args, **options)
        if function.__name__ not in {"_step", "_grow", "calculated"}:
            raise KeyboardInterrupt
        return result

    return interrupted


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--minimize", "gap", "--maximize", "homo"], "name one property"),
        ([], "name one property"),
        (["--minimize", "gapp"], "there is no property 'gapp'; did you mean 'gap'"),
        (["--minimize", "dipole"], "--threshold is missing: from where on is dipole good?"),
        (["--maximize", "gap"], "--threshold is missing: from where on is gap good?"),
        (["--minimize", "gap", "--scored", "some"], "--scored: got 'some', wanted a number of molecules, or all"),
        (["--minimize", "gap", "--scored", "0"], "--scored: got '0', wanted a number of molecules, or all"),
        (["--minimize", "gap", "--recipe", "papr"], "did you mean 'paper'"),
        (["--minimize", "gap", "--threshold", "1"], "has gap < 1 eV"),
        (["--minimize", "gap", "--split", "train"], "unknown split 'train'"),
        (["--minimize", "gap", "--learning-rate", "0"], "learning_rate: got 0.0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(options, sentence, capsys, tmp_path):
    out = tmp_path / "out"
    status = run(["discover", str(WEIGHTS), "-o", str(out), "--data", "data.safetensors", *options])
    error = capsys.readouterr().err
    assert status in {2, 3}
    assert sentence in error.splitlines()[-1]


def test_weights_that_are_not_there_are_refused_by_name(capsys, tmp_path):
    options = ["-o", str(tmp_path / "out"), "--minimize", "gap", "--data", "data.safetensors"]
    assert run(["discover", "weaver-qm", *options]) == 2
    assert "did you mean 'weaver-qm9'" in capsys.readouterr().err
