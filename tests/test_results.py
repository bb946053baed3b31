"""docs/results.md is what its records say: every figure from a record, what is missing named, nothing stale."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from atomweave.errors import IncompleteError, RefusedFileError
from atomweave.models.symphony import E3SchNetConfig, NequIPConfig, Symphony, SymphonyConfig
from atomweave.models.weights import Card, save_weights

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))  # `results` and what it imports live beside the benchmarks

from results.page import render, write_page  # noqa: E402
from results.records import read_records, run_benchmark  # noqa: E402

MOMENT = {
    "matrix_gflops": 100.0, "machine": "Some CPU, 2 cores", "threads": 2, "python": "3.12.1", "torch": "2.13.0",
    "commit": "abc1234", "date": "2026-11-22",
}  # fmt: skip


def share(count: int, total: int, of: str, interval: list[float] | None = None) -> dict:
    return {"value": count / total, "count": count, "total": total, "of": of, "interval": interval, "kind": "share"}


QUALITY = {
    "benchmark": "quality", "weights": "symphony-qm9", "weights_sha256": "0123456789abcdef",
    "trained": {"parameters": 389200, "data": "qm9 edm/train", "start": "data", "fragments": 5_000_000, "budget": ""},
    "seed": 1, "start": "data", "temperatures": {"focus": 1.0, "position": 1.0, "tempering": "exact"}, "max_atoms": 35,
    "headline": {
        "measures": {
            "attempted": {**share(2000, 2000, ""), "kind": "count"},
            "finished": share(1990, 2000, "attempts", [0.9908, 0.9973]),
            "valid": share(1300, 2000, "attempts", [0.62882, 0.67061]),
            "strict": share(1200, 2000, "attempts", [0.57836, 0.62126]),
            "unique": share(1287, 1300, "valid"),
            "valid_unique": share(1287, 2000, "attempts"),
            "atom_stable": share(32000, 36000, "atoms", [0.88, 0.9]),
            "molecule_stable": share(600, 2000, "attempts", [0.28, 0.32]),
        },
        "invalid": {"impossible valence": 500, "no neutral bond orders": 190, "unfinished": 10},
        "reference": {"name": "QM9", "valid": 0.99988}, "tools": {"python": "3.12.1", "rdkit": "2026.9.1"},
    },
    "parts": {"size": 1000, "unique": [0.99, 1.0], "valid_unique": [0.64, 0.65]},
    "sizes": {"mean": 17.94, "p5": 12.0, "p50": 18.0, "p95": 24.0},
    "seconds": 40.0, "molecules_per_second": 50.0, "device": "cpu", "processes": 2, **MOMENT,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def keep(folder: Path, name: str, *records: dict) -> None:
    (folder / f"{name}.json").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_page_in_the_tree_is_what_its_records_give():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == render(ROOT / "docs" / "results"), "run `python benchmarks/results write`"


def test_what_was_not_measured_says_so(folder):
    page = render(folder)
    assert "| **Atomweave** `symphony-qm9` | not measured |" in page
    assert "| training | fragments/s | 16 | 160 | 320 | not measured |  |  |" in page
    assert "`symphony-qm9`: not measured." in page
    assert "Nothing has been noted yet." in page
    assert "Cost against size" not in page


def test_quality_stands_beside_the_published(folder):
    keep(folder, "quality", QUALITY)
    page = render(folder)
    ours = (
        "| **Atomweave** `symphony-qm9` | 65.00 (62.88 – 67.06) | 99.00 | 64.35 | 60.00 (57.84 – 62.13) "
        "| 2,000; temperatures 1; from any atom; seed 1 | here |"
    )
    published = "| Symphony | 83.50 | 97.98 | 81.81† |  | 10,000; temperatures 1; from H | thesis |"
    assert ours in page.splitlines()
    assert published in page.splitlines()
    assert "| **Atomweave** `symphony-qm9` | 88.89 (88.00 – 90.00) | 30.00 (28.00 – 32.00) |" in page
    assert "impossible valence 25.00 %, no neutral bond orders 9.50 %, unfinished 0.50 %" in page
    assert "unique 99.5 ± 0.7 %, valid × unique 64.5 ± 0.7 %" in page
    assert "17.94 atoms on average, 12 to 24 from 5 to 95 % (QM9: 18.03, 13 to 23)" in page
    assert "50 molecules/s, 40 s in all, warm, on cpu with 2 processes (Some CPU, 2 cores, 100 GFLOP/s" in page


def test_conditions_that_differ_are_named(folder):
    cooled = copy.deepcopy(QUALITY)
    cooled |= {"weights": "other", "start": "H", "seed": 7}
    cooled["temperatures"] = {"focus": 1.0, "position": 0.5, "tempering": "coefficients"}
    keep(folder, "other", cooled)
    page = render(folder)
    assert "2,000; temperatures 1 (focus), 0.5 (position), coefficients tempering; from H; seed 7" in page
    assert "| **Atomweave** `symphony-qm9` | not measured |" in page


def test_goals_are_met_or_not_by_the_records(folder):
    keep(
        folder, "speed",
        {"benchmark": "training", "fragments_per_second": 240.0, "preset": "symphony", **MOMENT},
        {"benchmark": "training", "fragments_per_second": 2400.0, "preset": "symphony-small", **MOMENT},
        {"benchmark": "memory", "peak_memory_gb": 1.1, **MOMENT},
        {"benchmark": "startup", "what": "import_atomweave", "seconds": 0.05, **MOMENT},
    )  # fmt: skip
    lines = render(folder).splitlines()
    moment = "Some CPU, 2 cores, 100 GFLOP/s with 2 threads, abc1234, 2026-11-22"
    assert f"| training | fragments/s | 16 | 160 | 320 | **240** | 15 × | {moment} |" in lines
    assert f"| training, `symphony-small` | fragments/s |  |  |  | **2,400** |  | {moment} |" in lines
    assert f"| peak memory, training, 64 fragments a step | GB | 3.3 | 3 | 1.5 | **1.1** | 3 × | {moment} |" in lines
    assert f"| `import atomweave` | s |  | 0.3 |  | **0.05** |  | {moment} |" in lines
    assert "| growing | molecules/s | 0.64 | 20 | 60 | not measured |  |  |" in lines


def test_throughput_names_what_was_left_out(folder):
    common = {"benchmark": "throughput", "weights": "symphony-qm9", "seed": 0, "start": "data", **MOMENT}
    grown = {"mean_atoms": 9.8, "finished": 0.1, "processes": 1}
    keep(
        folder, "throughput",
        {**common, "max_atoms": 10, "molecules": 25, "molecules_per_second": 61.26, "seconds": 0.4, **grown},
        {**common, "max_atoms": 10, "molecules": 10_000, "expected_seconds": 400.0, "limit_seconds": 300.0},
        {**common, "max_atoms": 20, "molecules": 25, "molecules_per_second": 30.0, "seconds": 0.8, **grown},
    )  # fmt: skip
    lines = render(folder).splitlines()
    assert "| 10 | 61.3 | left out: about 400 s, limit 300 s | 9.8 | 10.0 % |" in lines
    assert "| 20 | 30 | not measured | 9.8 | 10.0 % |" in lines


def test_cost_against_size_is_there_where_it_was_measured(folder, tmp_path):
    common = {"benchmark": "scaling", "task": "training", **MOMENT}
    keep(
        folder, "scaling",
        {**common, "axis": "n_atoms", "n_atoms": 100, "batch": 8, "fragments_per_second": 40.0},
        {**common, "axis": "n_atoms", "n_atoms": 10, "batch": 8, "fragments_per_second": 800.0},
        {**common, "task": "growing", "axis": "batch", "n_atoms": 18, "batch": 1, "molecules_per_second": 5.0},
    )  # fmt: skip
    page = render(folder)
    assert "Training, 8 molecules at a time:" in page
    assert "| atoms of each molecule | 10 | 100 |" in page
    assert "| ms a fragment | 1.25 | 25 |" in page
    assert "| ms a molecule | 200 |" in page
    write_page(folder)
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == page
    figure = (folder / "scaling.svg").read_text(encoding="utf-8")
    assert figure.count("<svg") == 1
    assert "growing, one molecule" in figure


def tiny_weights(path: Path) -> None:
    torch.manual_seed(0)
    config = SymphonyConfig(
        focus_embedder=E3SchNetConfig(channels=4, lmax=0, n_layers=1, n_filters=4),
        position_embedder=NequIPConfig(channels=2, lmax=1, lmax_out=1, n_layers=1, radial_width=4),
        position_head={"radius": "bins", "angular": {"channels": 1, "n_polar_drawing": 20, "n_azimuth_drawing": 40}},
    )
    save_weights(path, Symphony(config), config, Card(data="toy"))


def test_measuring_leaves_records_that_the_page_shows(folder, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    tiny_weights(weights)
    measure = ["measure", "quality", weights, "-n", "6", "--max-atoms", "5", "-o", folder / "quality-tiny.json"]
    subprocess.run([sys.executable, ROOT / "benchmarks" / "results", *measure], check=True, capture_output=True)
    sizes = ["--max-atoms", "3", "--molecules", "2", "4", "--limit", "0"]
    run_benchmark(ROOT / "benchmarks" / "throughput.py", [str(weights), *sizes], folder / "throughput-tiny.json")
    (quality,) = read_records(folder)[:1]
    assert quality["headline"]["measures"]["attempted"]["count"] == 6
    assert quality["sizes"]["p95"] <= 5
    page = render(folder)
    assert "| **Atomweave** `tiny` |" in page
    assert "6; temperatures 1; from any atom; seed 1; at most 5 atoms." in page
    (row,) = [line for line in page.splitlines() if line.startswith("| 3 |")]
    assert "left out: about" in row
    assert str(tmp_path) not in page


def test_notes_are_taken_over(folder):
    (folder / "notes.md").write_text("Rings are too few.\n", encoding="utf-8")
    assert render(folder).endswith("## What falls short, and why\n\nRings are too few.\n")


@pytest.mark.parametrize("line", ["{", "[1]", '{"speed": 3}'])
def test_a_damaged_record_is_refused_by_file_and_line(folder, line):
    (folder / "bad.json").write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(RefusedFileError, match=r"bad\.json, line 2"):
        render(folder)


def test_a_benchmark_is_kept_whole_or_not_at_all(tmp_path):
    out = tmp_path / "kept.json"
    script = tmp_path / "script.py"
    script.write_text(
        'import sys\nprint(\'{"benchmark": "toy", "n": \' + sys.argv[1] + \'}\')\nsys.exit(int(sys.argv[2]))\n'
    )
    run_benchmark(script, ["3", "0"], out)
    assert json.loads(out.read_text()) == {"benchmark": "toy", "n": 3}
    with pytest.raises(IncompleteError, match="status 1"):
        run_benchmark(script, ["4", "1"], out)
    with pytest.raises(RefusedFileError, match="line 1"):
        run_benchmark(script, ["oops", "0"], out)
    assert json.loads(out.read_text()) == {"benchmark": "toy", "n": 3}


def test_command_refuses_a_damaged_record_in_one_sentence(folder, tmp_path):
    (folder / "bad.json").write_text("{\n")
    command = [sys.executable, ROOT / "benchmarks" / "results", "write", "--results", folder]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode == 4
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "results.md").exists()
