"""docs/results.md is what its records say: every figure from a record, what is missing named, nothing stale."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from atomweave.errors import IncompleteError, RefusedFileError, UsageError
from atomweave.models.symphony import E3SchNetConfig, NequIPConfig, Symphony, SymphonyConfig
from atomweave.models.weights import Card, save_weights

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = str(ROOT / "benchmarks")
sys.path.insert(0, BENCHMARKS)  # `results` and what it imports live beside the benchmarks

from results.discovery_section import keep_discovery  # noqa: E402
from results.page import render, write_page  # noqa: E402
from results.quality import earlier_growing, read_samples  # noqa: E402
from results.records import run_benchmark  # noqa: E402

sys.path.remove(BENCHMARKS)  # a benchmark has the name of a folder of tests

MOMENT = {
    "matrix_gflops": 100.0, "machine": "Some CPU, 2 cores", "threads": 2, "python": "3.12.1", "torch": "2.13.0",
    "commit": "abc1234", "date": "2026-11-22",
}  # fmt: skip


def figure(value: float, total: int, of: str, **further) -> dict:
    """A measure as metrics.json holds it."""
    blank = {"label": of, "interval": None, "kind": "share", "unit": "", "better": "high", "floor": None,
             "spread": None, "note": ""}  # fmt: skip
    return {**blank, "value": value, "count": round(value * total), "total": total, "of": of, **further}


def over_blocks(mean: float, deviation: float) -> dict:
    return {"mean": mean, "deviation": deviation, "n_parts": 2, "of": "blocks of 1,000 attempts"}


MEASURES = {
    "attempted": figure(2000.0, 2000, "", kind="count"),
    "finished": figure(0.995, 2000, "attempts", interval=[0.9908, 0.9973]),
    "valid": figure(0.65, 2000, "attempts", label="xyz2mol-valid", interval=[0.62882, 0.67061]),
    "unique": figure(0.99, 1300, "valid", label="unique", spread=over_blocks(0.995, 0.00707)),
    "valid_unique": figure(0.6435, 2000, "attempts", label="valid × unique", spread=over_blocks(0.645, 0.00707)),
    "openbabel_valid": figure(0.5, 2000, "attempts", label="Open Babel-valid", interval=[0.47, 0.53]),
    "atom_stable": figure(0.88889, 36000, "atoms", label="atoms stable (look-up)", interval=[0.88, 0.9]),
    "bond_mmd/C-H-1": figure(0.0169, 5000, "C–H bonds", label="C–H, MMD", kind="number", better="low", floor=0.0007),
    "bond_w1/mean": figure(0.0143, 9000, "bonds", label="mean", kind="number", unit="Å", better="low", floor=4.1e-4),
    "posebusters/internal_energy": figure(
        0.9, 1000, "valid", label="internal energy", interval=[0.88, 0.92], note="a random 1,000 of the valid"
    ),
}  # fmt: skip
REFERENCE = {
    "name": "QM9", "n_molecules": 130831, "data": "fedcba9876543210", "tools": {"rdkit": "2026.9.1"},
    "values": {"valid": 0.99988, "openbabel_valid": 0.9535, "atom_stable": 0.9936},
    "totals": {"valid": 130831, "openbabel_valid": 10000, "atom_stable": 2359210},
}  # fmt: skip
QUALITY = {
    "benchmark": "quality", "weights": "symphony-qm9", "weights_sha256": "0123456789abcdef",
    "trained": {"parameters": 389200, "data": "qm9 edm/train", "start": "data", "fragments": 5_000_000, "budget": ""},
    "seed": 1, "start": "data", "temperatures": {"focus": 1.0, "position": 1.0, "tempering": "exact"}, "max_atoms": 35,
    "growing": {"seconds": 40.0, "molecules_per_second": 50.0, "device": "cpu", "processes": 2, **MOMENT},
    "evaluation": {
        "made": {"suites": "full", "seconds": 12.3}, "tools": {"python": "3.12.1", "rdkit": "2026.9.1"},
        "reference": REFERENCE,
        "sets": [{
            "name": "symphony-qm9", "attempts": 2000, "measures": MEASURES,
            "invalid": {"impossible valence": 500, "no neutral bond orders": 190, "unfinished": 10},
        }],
    },
    "sizes": {"mean": 17.94, "p5": 12.0, "p50": 18.0, "p95": 24.0}, **MOMENT,
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
    assert (
        "## Where we stand\n\n**Atomweave** `weaver-qm9`: not measured.\n\n"
        "**Atomweave** `symphony-qm9`: not measured.\n\n**Atomweave** `gspherenet-qm9`: not measured.\n\n"
        "**Atomweave** `gspherenet-plus-qm9`: not measured.\n\n"
        "## What is measured"
    ) in page
    assert "| training | fragments/s | 16 | 160 | 320 | not measured |  |  |" in page
    assert "`symphony-qm9`: not measured." in page
    assert "Nothing has been noted yet." in page
    assert "Cost against size" not in page


def a_tally(drawn: int, good: int, mean: float | None) -> dict:
    return {
        "valid": 950, "drawn": drawn, "mean": mean, "mean_interval": mean and [mean - 0.1, mean + 0.1],
        "best": mean and mean - 1, "good": good, "good_of_valid": good / drawn, "good_of_valid_interval": [0.7, 0.9],
        "good_of_attempts": 0.95 * good / drawn, "good_of_attempts_interval": [0.6, 0.8],
    }  # fmt: skip


SUMMARY = {
    "objective": "gap < 4.5 eV",
    "plan": {"model": "runs/x/weaver-qm9.safetensors", "target": "gap", "direction": "minimize", "threshold": 4.5,
             "number": 1000, "method": "b3lyp/6-31g(2df,p)",
             "grow": 2000, "budget": 50, "relax_by": "gfn2-xtb"},
    "data": [{"system": "qm9", "note": "all 130,831 molecules", "mean": 6.858, "best": 0.669, "good": 0.0289}],
    "published": [{"system": "G-SphereNet", "note": "published", "mean": 2.907, "best": 0.294, "good": 0.8273}],
    "caveat": "", "diversity": {}, "tools": {}, "best": [],
    "strain": {
        "fine-tuned": {"method": "gfn2-xtb", "screen": "gfn2-xtb", "n": 100, "same": 97, "change": 0.05},
        "after round 1": {"method": "gfn2-xtb", "screen": "gfn2-xtb", "n": 0, "same": 0, "change": None},
    },
    "models": {"fine-tuned": a_tally(100, 85, 4.1), "after round 1": a_tally(100, 0, None)},
    "rounds": [{"round": 1, "by_lot": a_tally(10, 8, 4.0), "picked": a_tally(40, 39, 3.2), "taught": 400,
                "taught_found_by_the_run": 60, "taught_unconfirmed": 45}],
}  # fmt: skip


def section(page: str, suite: str) -> list[str]:
    """The lines of a suite's section."""
    return page.partition(f"### {suite}: ")[2].partition("\n#")[0].splitlines()


def test_quality_stands_beside_the_data_and_the_published(folder):
    keep(folder, "quality", QUALITY)
    lines = section(render(folder), "symphony-table-5.1")
    assert lines[2] == (
        "| measure | counted | **Atomweave** `symphony-qm9` | QM9, here "
        "| QM9 itself ¹ | Symphony ¹ | EDM ¹ | G-SchNet ¹ | G-SphereNet ¹ |"
    )
    assert (
        "| xyz2mol-valid ↑ | % of 2,000 attempts | 65.00 (62.88 – 67.06) | 99.99 "
        "| 99.99 | 83.50 | 86.74 | 74.97 | 26.92 |"
    ) in lines
    assert "| unique ↑ | % of 1,300 valid | 99.00 (± 0.71) |  | 99.84 | 97.98 | 99.16 | 96.73 | 21.69 |" in lines
    assert any(line.startswith("| Open Babel-valid ↑ | % of 2,000 attempts | 50.00") for line in lines)
    assert any("| 95.35 (of 10,000) | 94.60 |" in line for line in lines)
    assert "- Published, but not measured: `lookup_valid`, `openbabel_unique`, `lookup_unique`." in lines
    assert any(
        line.startswith("- ¹ thesis (2024), table 5.1. QM9 itself: all molecules; Symphony: 10,000") for line in lines
    )


def test_discovery_stands_beside_the_published(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")
    keep_discovery(run, folder / "discovery.json")
    page = render(folder)
    assert "## Targeted discovery" in page
    assert "calculated with B3LYP/6-31G(2df,p) at the geometry as grown" in page
    assert "| G-SphereNet, published |  | 2.91 | 0.29 | 82.7 |  |" in page
    assert (
        "| **Atomweave** `weaver-qm9`, fine-tuned | 100 of 950 | 4.10 (4.00 – 4.20) | 3.10 | 85.0 (70.0 – 90.0) "
        "| 80.8 (60.0 – 80.0) |"
    ) in page
    assert "| **Atomweave** `weaver-qm9`, after round 1 | 100 of 950 | none | none | 0.0 (70.0" in page
    assert "2,000 molecules grown, 50 calculated in each, at their minimum by gfn2-xtb." in page
    assert (
        "- Round 1: drawn by lot, mean 4.00 eV, 8 of 10 good; picked by the screen, mean 3.20, best 2.20, 39 of 40 "
        "good. The best 400 taught the next model, 60 of them the run's own (45 seen by the screen alone)."
    ) in page
    assert "At the minimum of gfn2-xtb, and how far" in page
    assert "| `weaver-qm9`, fine-tuned | 97 of 100 | +0.05 |" in page
    assert "| `weaver-qm9`, after round 1 | 0 of 0 | none |" in page


def test_what_is_no_discovery_run_is_not_kept(folder, tmp_path):
    with pytest.raises(RefusedFileError, match="is no summary of a discovery run"):
        keep_discovery(tmp_path, folder / "discovery.json")
    assert not list(folder.iterdir())


def test_numbers_have_floors_units_and_the_digits_of_their_source(folder):
    keep(folder, "quality", QUALITY)
    page = render(folder)
    row = "| C–H, MMD ↓ | 5,000 C–H bonds | 0.0169 | 0.00070 | 0.0739 | 0.0653 | 0.3817 | 0.1334 |"
    assert row in section(page, "symphony-table-5.3")
    assert "| mean ↓ | Å, 9,000 bonds | 0.0143 | 0.00041 |" in section(page, "further")
    heading, atoms = (
        next(line for line in section(page, "edm") if line.startswith(start))[2:-2].split(" | ")
        for start in ("| measure", "| atoms stable")
    )
    cells = {name.rstrip(" ¹²³⁴⁵⁶⁷⁸⁹"): cell for name, cell in zip(heading, atoms, strict=True)}
    assert cells["QM9, here"] == "99.36"
    assert cells["E-NF"] == "85.0"  # its source prints tenths, GeoBFN's hundredths
    assert cells["GeoBFN"] == "99.31"
    assert cells["Quetzal"] == "98.30 ± 0.05"


def test_what_a_figure_cannot_do_without_stands_below_it(folder):
    keep(folder, "quality", QUALITY)
    lines = section(render(folder), "symphony-table-5.2")
    assert "- internal energy: a random 1,000 of the valid." in lines
    assert "Not measured." in section(render(folder), "gspherenet-table-1")


def test_decisive_figures_are_said_in_words(folder):
    keep(folder, "quality", QUALITY)
    lines = render(folder).splitlines()
    (valid,) = [line for line in lines if line.startswith("- xyz2mol-valid:")]
    assert valid.startswith("- xyz2mol-valid: **65.0 %** (62.9 to 67.1; of 2,000 attempts); below G-SchNet (75.0), ")
    assert valid.endswith("above G-SphereNet (26.9); QM9 itself 99.99 %.")
    (unique,) = [line for line in lines if line.startswith("- valid × unique:")]
    assert "G-SchNet" not in unique  # of 10,000 molecules, and uniqueness falls with their number


def test_how_molecules_were_made_is_told(folder):
    keep(folder, "quality", QUALITY)
    page = render(folder)
    assert "impossible valence 25.00 %, no neutral bond orders 9.50 %, unfinished 0.50 %" in page
    assert "unique 99.50 ± 0.71 % over 2 blocks of 1,000 attempts" in page
    assert "17.94 atoms on average, 12 to 24 from 5 to 95 % (QM9: 18.03, 13 to 23)" in page
    assert "50 molecules/s, 40 s in all, warm, on cpu with 2 processes (Some CPU, 2 cores, 100 GFLOP/s" in page
    assert "against QM9 of 130,831 molecules (data fedcba987654); suite full, 12.3 s (Some CPU" in page


def test_molecules_from_a_file_have_no_pace(folder):
    keep(folder, "quality", {**QUALITY, "growing": None})
    assert "- Pace: not measured: the molecules were read from a file." in render(folder)


def test_conditions_that_differ_are_named(folder):
    cooled = copy.deepcopy(QUALITY)
    cooled |= {"weights": "other", "start": "H", "seed": 7}
    cooled["temperatures"] = {"focus": 1.0, "position": 0.5, "tempering": "coefficients"}
    keep(folder, "other", cooled)
    page = render(folder)
    assert "2,000 molecules; temperatures 0.5 (position), else 1, coefficients tempering; from H; seed 7" in page
    assert "**Atomweave** `symphony-qm9`: not measured." in page


def test_molecules_of_other_data_stand_apart_from_those_of_qm9(folder):
    other = copy.deepcopy(QUALITY) | {"weights": "weaver-drugs"}
    other["evaluation"]["reference"] |= {"name": "drugs", "values": {"valid": 0.993}}
    keep(folder, "quality", QUALITY, other)
    ours, _, apart = render(folder).partition("## Other data: drugs\n\n")
    apart = apart.partition("\n## ")[0]
    assert "weaver-drugs" not in ours
    assert "| measure | counted | **Atomweave** `weaver-drugs` | drugs, here |" in apart
    assert "| xyz2mol-valid ↑ | % of 2,000 attempts | 65.00 (62.88 – 67.06) | 99.30 |" in apart
    assert "17.94 atoms on average, 12 to 24 from 5 to 95 %;" in apart.replace(".\n", ";\n")
    assert "symphony-qm9" not in apart


def test_several_weights_stand_side_by_side(folder):
    other = copy.deepcopy(QUALITY) | {"weights": "other"}
    valid = other["evaluation"]["sets"][0]["measures"]["valid"]
    valid |= {"value": 0.8, "total": 1000, "interval": [0.77, 0.82]}
    del other["evaluation"]["sets"][0]["measures"]["openbabel_valid"]
    keep(folder, "quality", QUALITY, other)
    lines = section(render(folder), "symphony-table-5.1")
    assert "| xyz2mol-valid ↑ | % of attempts | 65.00 (62.88 – 67.06) | 80.00 (77.00 – 82.00) | 99.99 |" in "".join(
        line for line in lines if line.startswith("| xyz2mol-valid")
    )
    assert "| 50.00 (47.00 – 53.00) | not measured |" in "".join(lines)


def test_goals_are_met_or_not_by_the_records(folder):
    of_qm9 = {"sample": "QM9", "molecules": 10_000, **MOMENT}
    keep(
        folder, "speed",
        {"benchmark": "training", "fragments_per_second": 240.0, "preset": "symphony", **MOMENT},
        {"benchmark": "training", "fragments_per_second": 2400.0, "preset": "symphony-small", **MOMENT},
        {"benchmark": "memory", "peak_memory_gb": 1.1, **MOMENT},
        {"benchmark": "startup", "what": "import_atomweave", "seconds": 0.05, **MOMENT},
        {"benchmark": "evaluation", "what": "stability", "seconds": 0.11, **of_qm9},
        {"benchmark": "evaluation", "what": "posebusters", "seconds": 120.0, "measured_on": 1_000,
         **(of_qm9 | {"sample": "mine"})},
        {"benchmark": "naive_stability", "ratio": 400.0, **of_qm9},
    )  # fmt: skip
    lines = render(folder).splitlines()
    moment = "Some CPU, 2 cores, 100 GFLOP/s with 2 threads, abc1234, 2026-11-22"
    assert f"| training | fragments/s | 16 | 160 | 320 | **240** | 15 × | {moment} |" in lines
    assert f"| training, `symphony-small` | fragments/s |  |  |  | **2,400** |  | {moment} |" in lines
    assert f"| peak memory, training, 64 fragments a step | GB | 3.3 | 3 | 1.5 | **1.1** | 3 × | {moment} |" in lines
    assert f"| `import atomweave` | s |  | 0.3 |  | **0.05** |  | {moment} |" in lines
    assert f"| look-up stability alone, 10,000 of QM9 | s | 44 | 0.5 |  | **0.11** | 400 × | {moment} |" in lines
    measured = "PoseBusters without energies, 10,000 of mine (1,000 measured)"
    assert f"| {measured} | s |  | 180 |  | **120** |  | {moment} |" in lines
    assert "| bispectra with their MMD | s |  | 15 |  | not measured |  |  |" in lines
    naive = "look-up stability, fast over naive, 10,000 of QM9"
    assert f"| {naive} | ratio |  |  |  | **400** |  | {moment} |" in lines
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
    common = {"benchmark": "scaling", "preset": "symphony", "task": "training", **MOMENT}
    keep(
        folder, "scaling",
        {**common, "axis": "n_atoms", "n_atoms": 100, "batch": 8, "fragments_per_second": 40.0},
        {**common, "axis": "n_atoms", "n_atoms": 10, "batch": 8, "fragments_per_second": 800.0},
        {**common, "task": "growing", "axis": "batch", "n_atoms": 18, "batch": 1, "molecules_per_second": 5.0},
        {**common, "preset": "gspherenet", "axis": "n_atoms", "n_atoms": 10, "batch": 8, "fragments_per_second": 400.0},
    )  # fmt: skip
    page = render(folder)
    assert "Training, 8 molecules at a time:" in page
    assert "| atoms of each molecule | 10 | 100 |" in page
    assert "| ms a fragment | 1.25 | 25 |" in page
    assert "| ms a molecule | 200 |" in page
    assert "| ms a fragment | 2.5 |" in page.partition("### Preset `gspherenet`")[2]
    write_page(folder)
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == page
    figure = (folder / "scaling.svg").read_text(encoding="utf-8")
    assert figure.count("<svg") == 1
    assert "symphony: growing, one molecule" in figure
    assert "gspherenet: training, one fragment" in figure


def tiny_weights(path: Path) -> None:
    torch.manual_seed(0)
    config = SymphonyConfig(
        focus_embedder=E3SchNetConfig(channels=4, lmax=0, n_layers=1, n_filters=4),
        position_embedder=NequIPConfig(channels=2, lmax=1, lmax_out=1, n_layers=1, radial_width=4),
        position_head={"radius": "bins", "angular": {"channels": 1, "n_polar_drawing": 20, "n_azimuth_drawing": 40}},
    )
    save_weights(path, Symphony(config), config, Card(data="toy"))


def measured(out: Path, weights: Path, *options: object) -> dict:
    """Run the command that measures quality, on as little as can be, and return its record."""
    few = ["-n", "6", "--max-atoms", "5", "--suite", "edm", "--reference", "none", "-o", out, *options]
    command = [sys.executable, ROOT / "benchmarks" / "results", "measure", "quality", weights, *few]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads(out.read_text(encoding="utf-8"))


def test_measuring_leaves_records_that_the_page_shows(folder, tmp_path):
    weights, samples, out = tmp_path / "tiny.safetensors", tmp_path / "grown.xyz", folder / "quality-tiny.json"
    tiny_weights(weights)
    quality = measured(out, weights)
    sizes = ["--max-atoms", "3", "--molecules", "2", "4", "--limit", "0"]
    run_benchmark(ROOT / "benchmarks" / "throughput.py", [str(weights), *sizes], folder / "throughput-tiny.json")
    (judged,) = quality["evaluation"]["sets"]
    assert judged["measures"]["attempted"]["count"] == 6
    assert judged["measures"]["atom_stable"]["total"] <= 30
    assert quality["growing"]["molecules_per_second"] > 0
    assert quality["sizes"]["p95"] <= 5
    page = render(folder)
    assert "| measure | counted | **Atomweave** `tiny` | QM9 itself ¹ |" in page
    assert "6 molecules; temperatures 1; from any atom; seed 1; at most 5 atoms." in page
    (row,) = [line for line in page.splitlines() if line.startswith("| 3 |")]
    assert "left out: about" in row
    assert str(tmp_path) not in page

    grown_before = ["-n", "6", "--max-atoms", "5", "--seed", "1", "--no-table", "-o", samples]
    subprocess.run([sys.executable, "-m", "atomweave", "sample", weights, *grown_before], check=True)
    from_file = measured(out, weights, "--samples", samples)
    assert from_file["growing"] == quality["growing"]  # the record that was there is of the same molecules
    assert from_file["sizes"] == quality["sizes"]
    assert str(tmp_path) not in json.dumps(from_file)
    with pytest.raises(UsageError, match="was grown from seed 1, wanted --seed 2"):
        read_samples(samples, 6, seed=2)
    with pytest.raises(UsageError, match="has 6 attempts, wanted 7"):
        read_samples(samples, 7, seed=1)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"weights_sha256": "f"}, {"max_atoms": 9}, {"start": "H"}])
def test_only_the_record_of_the_same_molecules_lends_its_pace(folder, changed):
    keep(folder, "quality", QUALITY)
    names = ("weights", "weights_sha256", "trained", "seed", "start", "temperatures", "max_atoms")
    settings = {name: QUALITY[name] for name in names}
    path = folder / "quality.json"
    assert earlier_growing(path, settings, 2000) == QUALITY["growing"]
    assert earlier_growing(path, settings | changed, 2000) is None
    assert earlier_growing(path, settings, 1000) is None
    assert earlier_growing(folder / "other.json", settings, 2000) is None


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
