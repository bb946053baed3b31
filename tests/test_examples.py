"""Every example runs in its small version, writes its figure and its numbers, and finds what must hold."""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import atomweave
from atomweave.data.store import MoleculeStore
from atomweave.errors import UsageError
from atomweave.models.heads.angular import AngularConfig, channel_logits
from atomweave.models.presets import read_config
from atomweave.models.registry import build_model
from atomweave.models.weights import Card, save_weights
from atomweave.training.config import RunConfig, load_config

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("matplotlib")

SMALL = [
    "model.focus_embedder.channels=4",
    "model.focus_embedder.n_layers=1",
    "model.position_embedder.channels=4",
    "model.position_embedder.n_layers=1",
    "model.position_embedder.lmax=1",
    "model.position_head.radius=mixture",
]


@pytest.fixture
def example(monkeypatch):
    """Return a function that imports an example as if it were started from its folder."""
    before = set(sys.modules)
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(ROOT / "examples"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    torch.set_num_threads(threads)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "examples")):
            del sys.modules[name]


def small_store(folder: Path) -> Path:
    """Return a store of a few molecules of QM9, written into a folder."""
    path = folder / "tiny.safetensors"
    MoleculeStore.from_molecules(atomweave.read(ROOT / "tests" / "reference" / "qm9_molecules.xyz")).write(path)
    return path


def check_files(folder: Path, name: str) -> None:
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    assert svg.rstrip().endswith("</svg>")
    assert json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_octahedron_two_channels_of_degree_2_stand_for_one_of_degree_4(example, tmp_path):
    fits = example("octahedron").main(["--quick", "-o", str(tmp_path)])["fits"]
    kl = {(row["channels"], row["lmax"]): row["kl_nats"] for row in fits}
    assert kl[1, 4] < 0.1
    assert kl[2, 2] < 0.5
    assert kl[1, 2] > 1.5
    assert all(value > -1e-3 for value in kl.values())
    check_files(tmp_path, "octahedron")


def test_random_signals_follow_the_thesis(example, tmp_path):
    fits = example("random_signals").main(["--quick", "-o", str(tmp_path)])["fits"]
    kl = {(row["logits"], row["lmax"], row["channels"]): row["kl_nats"] for row in fits}
    # More channels and more degrees help; with the normaliser k, channels do not.
    assert kl["harmonics", 2, 2] < kl["harmonics", 2, 1] - 0.3
    assert kl["harmonics", 5, 2] < kl["harmonics", 5, 1] + 0.05
    assert kl["harmonics", 5, 1] < kl["harmonics", 2, 1] - 1
    assert kl["squared_k", 5, 2] == pytest.approx(kl["squared_k", 5, 1], abs=0.02)
    assert kl["squared", 5, 1] < kl["squared_k", 5, 1] - 2
    check_files(tmp_path, "random_signals")


def test_root_of_k_regularises_nothing():
    # Dividing by the root of k is what dividing the coefficients by its fourth root does: the same set of densities.
    coefficients = torch.randn(3, 2, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    harmonics = torch.randn(9, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    root = AngularConfig(logits="squared", normaliser="sqrt_k")
    plain = AngularConfig(logits="squared", normaliser="none")
    shrunk = coefficients / coefficients.square().sum(-1, keepdim=True) ** 0.25
    expected = channel_logits(shrunk @ harmonics, shrunk, plain)
    torch.testing.assert_close(channel_logits(coefficients @ harmonics, coefficients, root), expected)


def test_resolution_coarse_grids_hide_what_they_miss(example, tmp_path):
    numbers = example("resolution_study").main(["--quick", "-o", str(tmp_path)])
    coarse, fine = numbers["teaching"]
    assert coarse["kl_on_grid_nats"] < fine["kl_on_grid_nats"]
    assert coarse["kl_nats"] > fine["kl_nats"] + 1
    assert fine["kl_on_grid_nats"] == pytest.approx(fine["kl_nats"], abs=0.05)
    distance = {(row["n_polar"], row["density"]): row["points"] for row in numbers["drawing"]}
    assert distance[10, "target"] > 1.3 * distance[45, "target"]
    assert distance[45, "target"] < distance[45, "fitted"]
    check_files(tmp_path, "resolution_study")


@pytest.fixture
def weights(tmp_path) -> Path:
    config = read_config("symphony", SMALL, RunConfig).model
    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    save_weights(path, build_model(config), config, Card(name="small"))
    return path


def test_shipped_figures_resume_by_point(example, weights, tmp_path, monkeypatch):
    module = example("shipped_figures")
    command = ["--quick", "-o", str(tmp_path), "--weights", str(weights)]
    first = module.main(command)
    check_files(tmp_path, "shipped_figures")
    assert len(first["points"]) == 4
    assert all(row["valid_low"] <= row["valid"] <= row["valid_high"] for row in first["points"].values())
    gone = next(iter(first["points"]))
    kept = {key: row for key, row in first["points"].items() if key != gone}
    module.save_numbers(tmp_path / "shipped_figures.json", {**first, "points": kept})
    grown = []
    monkeypatch.setattr(module, "_grow", lambda model, point, options: grown.append(point.key) or first["points"][gone])
    module.main(command)
    assert grown == [gone]
    module.main([*command, "--seed", "1"])
    assert len(grown) == 5  # another seed: all four points anew


def test_drawing_grid_is_changed_and_nothing_else(example, weights):
    model = atomweave.load(weights)
    changed = example("shipped_figures")._with_grid(model, (20, 39))
    assert (
        changed.position_head.config.angular.n_polar_drawing,
        model.position_head.config.angular.n_polar_drawing,
    ) == (
        20,
        180,
    )
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in changed.state_dict().items())


def test_ablation_trains_every_variant_on_the_same_fragments(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--runs", str(tmp_path / "runs")]
    rows = example("ablation_lmax").main(command)["variants"]
    assert [(row["lmax"], row["channels"]) for row in rows] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert len({row["fragments"] for row in rows}) == 1
    check_files(tmp_path, "ablation_lmax")


def test_weaver_study_trains_and_grows_variants(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--runs", str(tmp_path / "runs")]
    study = example("weaver_study")
    rows = study.main(command)["variants"]
    tried = [f"temperature {temperature:g}" for temperature in study.TEMPERATURES]
    assert [row["variant"] for row in rows] == ["weaver-small", *tried, "no torsion series"]
    check_files(tmp_path, "weaver_study")


def test_every_variant_of_the_weaver_study_changes_the_configuration(example):
    configs = [load_config("weaver-small", changes) for changes in example("weaver_study").VARIANTS.values()]
    assert all(configs.count(config) == 1 for config in configs)


def test_completion_study_asks_the_same_of_either_order_as_training_goes_on(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--runs", str(tmp_path / "runs")]
    study = example("completion_study")
    rows = study.main(command)["rows"]
    assert [(row["order"], row["steps"]) for row in rows] == [
        (order, steps) for order in study.ORDERS for steps in (1, 2)
    ]
    assert all(row["train_low"] <= row["train"] <= row["train_high"] for row in rows)
    check_files(tmp_path, "completion_study")


def test_gspherenet_study_trains_grows_and_keeps_what_is_done(example, tmp_path):
    store = small_store(tmp_path)
    study = example("gspherenet_study")
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--runs", str(tmp_path / "runs")]
    numbers = study.main(command)
    rows = numbers["variants"]
    assert [(row["variant"], row["temperatures"]) for row in rows] == [
        ("as published", "published"), ("as published", "1"), ("all repairs", "published"), ("all repairs", "1"),
    ]  # fmt: skip
    assert all(row["valid_low"] <= row["valid"] <= row["valid_high"] for row in rows)
    check_files(tmp_path, "gspherenet_study")
    kept = tmp_path / "gspherenet_study.json"
    kept.write_text(json.dumps({**numbers, "variants": [{**row, "valid": 0.125} for row in rows]}), encoding="utf-8")
    again = study.main(command)["variants"]
    assert [row["valid"] for row in again] == [0.125] * 4, "rows that are there are not repeated"


def test_every_variant_of_the_gspherenet_study_is_another_model_of_the_same_budget(example):
    study = example("gspherenet_study")
    options = argparse.Namespace(steps=10, seed=0, quick=False)
    configs = [study._config(name, options, argparse.Namespace(splits={})) for name in study.VARIANTS]
    assert len({config.model_dump_json() for config in configs}) == len(configs)
    assert {(config.training.n_steps, config.training.molecules_per_batch) for config in configs} == {(10, 32)}


def test_two_checkers_agree_on_molecules_and_not_on_what_lacks_atoms(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--weights"]
    rows = {row["molecules"]: row for row in example("two_checkers").main(command)["rows"]}
    whole, cut = rows["QM9"], rows["QM9, last 1 missing"]
    assert whole["authors"] == whole["xyz2mol"] == whole["strict"] == 1
    assert cut["authors"] == 1
    assert cut["xyz2mol"] < 0.5
    assert sum(cut["passed_but_invalid"].values()) == pytest.approx(1 - cut["xyz2mol"])
    assert rows["QM9, noise 0.05 Å"]["authors"] < rows["QM9, noise 0.05 Å"]["xyz2mol"]
    check_files(tmp_path, "two_checkers")


def test_every_threshold_of_the_focal_classifier_is_grown_with(example, tmp_path):
    rows = example("focal_threshold").main(["--quick", "-o", str(tmp_path)])["rows"]
    assert [row["threshold"] for row in rows] == [0.3, 0.4, 0.5, 0.6, 0.7]
    assert all(row["xyz2mol"] <= row["finished"] for row in rows)
    assert all(row["authors"] <= row["finished"] for row in rows)
    assert len({row["mean_atoms"] for row in rows}) > 1  # the threshold reaches the model
    check_files(tmp_path, "focal_threshold")


def test_gallery_shows_attempts_by_index_with_their_verdicts(example, weights, tmp_path):
    told = example("gallery").main(["--quick", "-o", str(tmp_path), "--weights", str(weights)])["molecules"]
    assert [molecule["index"] for molecule in told] == [0, 1, 2]
    assert all(bool(molecule["smiles"]) != bool(molecule["reason"]) for molecule in told)
    check_files(tmp_path, "gallery-small")
    drawn = (tmp_path / "gallery-small.svg").read_text(encoding="utf-8")
    assert all(f"{molecule['index']}: {molecule['reason'] or 'valid'}" in drawn for molecule in told)


def test_correlated_batches_see_losses_at_fragments(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--runs", str(tmp_path / "runs")]
    curves = example("correlated_batches").main(command)["curves"]
    assert [len(curve["loss"]) for curve in curves] == [2, 2]
    assert all(curve["fragments"][0] < curve["fragments"][1] for curve in curves)
    assert curves[1]["fragments"][0] <= 4 < curves[0]["fragments"][0]
    check_files(tmp_path, "correlated_batches")


def test_conditional_counts_what_was_asked_for(example, tmp_path):
    store = small_store(tmp_path)
    command = ["--quick", "-o", str(tmp_path), "--data", str(store), "--run", str(tmp_path / "run")]
    numbers = example("conditional").main(command)
    assert [(row["condition"], row["told"]) for row in numbers["hits"]] == [
        ("n_atoms", "asked"), ("n_atoms", "not asked"), ("composition", "asked"), ("composition", "not asked"),
    ]  # fmt: skip
    assert all(row["low"] <= row["exact"] <= row["high"] for row in numbers["hits"])
    assert [row["asked"] for row in numbers["sizes"]] == [12, 15]
    check_files(tmp_path, "conditional")


def test_conditional_refuses_weights_that_cannot_be_asked(example, weights, tmp_path):
    store = small_store(tmp_path)
    with pytest.raises(UsageError, match="no conditions"):
        example("conditional").main(["--quick", "-o", str(tmp_path), "--data", str(store), "--weights", str(weights)])


def test_drug_like_molecules_are_neutral_whole_and_each_once(example, tmp_path, capsys):
    pytest.importorskip("rdkit")
    (tmp_path / "packages" / "moses" / "dataset" / "data").mkdir(parents=True)
    rows = [
        "SMILES,SPLIT",
        "CCO,train",
        "OCC,train",
        "C.C,train",
        "C[NH3+],train",
        "C[SiH3],train",
        "[CH3],train",
        "CCCS,train",
    ]
    with gzip.open(tmp_path / "packages/moses/dataset/data/train.csv.gz", "wt") as file:
        file.write("\n".join(rows) + "\n")
    module = example("drug_like")
    module.SOURCES = [source for source in module.SOURCES if source.name == "MOSES"]
    arguments = [str(tmp_path / "drugs.smi"), "--packages", str(tmp_path / "packages"), "--max-atoms", "12"]
    found = module.main(arguments)["MOSES"]
    assert sorted(zip(found.kept, found.sizes, strict=True)) == [("CCCS", 12), ("CCO", 9)]
    assert sorted(line.split()[0] for line in (tmp_path / "drugs.smi").read_text().splitlines()) == ["CCCS", "CCO"]
    assert "MOSES" in capsys.readouterr().out
