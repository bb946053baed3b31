"""What an evaluation leaves behind says all that was found, and no name in it can do harm."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from atomweave.errors import RefusedFileError
from atomweave.evaluation.evaluation import Evaluation, Scored
from atomweave.evaluation.measure import share
from atomweave.evaluation.outputs import as_table, print_tables, read_metrics, write_metrics, write_molecules
from evaluation.judged import HOSTILE, evaluation, sample


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(judged: Evaluation, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(as_table(judged, judged.suites[0], width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_metrics_hold_every_figure_and_come_back(tmp_path: Path):
    judged = evaluation()
    write_metrics(tmp_path / "metrics.json", judged)
    found = read_metrics(tmp_path / "metrics.json")
    assert list(found) == ["schema", "made", "tools", "reference", "sets", "suites"]
    (ours,) = found["sets"]
    assert (ours["name"], ours["attempts"]) == ("ours", 6)
    valid = ours["measures"]["valid"]
    assert (valid["value"], valid["count"], valid["total"], valid["of"]) == (0.5, 3, 6, "attempts")
    assert valid["interval"] == pytest.approx([0.1876, 0.8124], abs=1e-4)  # Wilson, 3 of 6
    rough = ours["measures"]["rough"]
    assert (rough["value"], rough["floor"], rough["unit"], rough["note"]) == (0.1234, 0.05, "Å", "of two")
    assert ours["measures"]["empty"]["value"] is None
    assert ours["invalid"] == {"atom limit": 1, "no bonds": 1, "unreadable: unknown element": 1}
    assert found["reference"]["values"] == {"valid": 0.9999, "rough": 0.01}
    assert found["suites"][0]["rows"] == ["valid", "unique", "rough", "empty"]
    assert found["suites"][0]["published"][0]["values"] == {"valid": 0.835}
    assert found["tools"] == {"rdkit": "2026.9"}
    assert found["made"]["seconds"] == 1.5


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path):
    for name in "ab":
        write_metrics(tmp_path / f"{name}.json", evaluation())
        write_molecules(tmp_path / f"{name}.csv", evaluation())
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "b.json", "a.csv", "b.csv"}


def test_numbers_that_json_has_not_become_null_and_arrays_lists(tmp_path: Path):
    made = {
        "nan": float("nan"),
        "inf": -np.inf,
        "array": np.array([1.0, np.nan]),
        "whole": np.int64(3),
        "path": Path("x"),
    }
    write_metrics(tmp_path / "m.json", replace(evaluation(), made=made))
    text = (tmp_path / "m.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["made"] == {"nan": None, "inf": None, "array": [1.0, None], "whole": 3, "path": "x"}


def test_several_files_of_one_set_keep_their_own_figures(tmp_path: Path):
    first, second = evaluation(sample("a")).sets[0], evaluation(sample("b")).sets[0]
    both = Scored("both", first.samples + second.samples, first.results + second.results, first.measures)
    write_metrics(tmp_path / "m.json", replace(evaluation(), sets=(both,)))
    (found,) = read_metrics(tmp_path / "m.json")["sets"]
    assert found["attempts"] == 12
    assert [one["measures"]["valid"]["count"] for one in found["samples"]] == [3, 3]
    assert found["invalid"]["no bonds"] == 2


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, "cannot be read as metrics"),
        (b"", "cannot be read as metrics"),
        (b"\xff\xfe\x00", "cannot be read as metrics"),
        (b"[" * 100_000, "cannot be read as metrics"),
        (b'{"schema": NaN}', "NaN, which is not JSON"),
        (b"[1, 2]", "got schema 'list', wanted 1"),
        (b'{"schema": 2}', "got schema 2, wanted 1"),
        (b'{"schema": 1}', "made is missing"),
        (b'{"schema": 1, "made": {}, "tools": {}, "reference": {}, "sets": [1], "suites": []}', "has no measures"),
        (
            b"""{"schema": 1, "made": {}, "tools": {}, "reference": {}, "suites": [],
            "sets": [{"name": "a", "measures": {"valid": {"value": "much", "total": 3}}}]}""",
            "valid of 'a' has no value",
        ),
    ],
)
def test_what_is_no_metrics_file_is_refused(tmp_path: Path, content: bytes | None, wanted: str):
    if content is not None:
        (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(RefusedFileError, match=wanted):
        read_metrics(tmp_path / "m.json")


def test_molecules_have_one_row_an_attempt(tmp_path: Path):
    write_molecules(tmp_path / "m.csv", evaluation(sample("a"), sample("b")))
    rows = rows_of(tmp_path / "m.csv")
    assert len(rows) == 12
    assert [row["set"] for row in rows] == ["a"] * 6 + ["b"] * 6
    assert [row["index"] for row in rows[:6]] == list("012345")
    assert [row["formula"] for row in rows[:6]] == ["CH4", "C6H6", "CH6O", "Ar", "H2O", ""]
    assert [row["n_atoms"] for row in rows[:6]] == ["5", "12", "8", "1", "3", ""]
    assert [row["valid"] for row in rows[:6]] == ["True"] * 3 + ["False"] * 3
    assert [row["strict"] for row in rows[:6]] == ["True", "True"] + ["False"] * 4
    assert [row["finished"] for row in rows[:6]] == ["True"] * 4 + ["False"] * 2
    assert [row["reason"] for row in rows[3:6]] == ["no bonds", "atom limit", "unreadable: unknown element"]
    assert rows[0]["smiles"] == "[H]C([H])([H])[H]"
    assert rows[2]["label"] == "ours.xyz, frame 2"
    # Two metrics have a column "score": each is named after its metric.
    assert [row["rough/score"] for row in rows[:3]] == ["0.25", "-1.5", ""]
    assert [row["other/score"] for row in rows[:3]] == [""] * 3
    assert [row["passes"] for row in rows[:3]] == ["True", "False", ""]


def test_a_set_that_lacks_a_metric_has_empty_cells(tmp_path: Path):
    judged = evaluation(sample("a"), sample("b"))
    bare = replace(judged.sets[1], results=({},))
    write_molecules(tmp_path / "m.csv", replace(judged, sets=(judged.sets[0], bare)))
    assert [row["passes"] for row in rows_of(tmp_path / "m.csv")] == ["True", "False"] + [""] * 10


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula_and_numbers_stay_numbers(tmp_path: Path, start: str):
    write_molecules(tmp_path / "m.csv", evaluation(sample(f"{start}cmd()"), hostile=f"{start}SUM(A1)"))
    rows = rows_of(tmp_path / "m.csv")
    assert {row["set"] for row in rows} == {f"'{start}cmd()"}
    assert {row[f"'{start}SUM(A1)"] for row in rows} == {f"'{start}SUM(A1)"}
    assert rows[1]["rough/score"] == "-1.5"


def test_hostile_text_is_spelt_out_in_csv_and_on_the_terminal(tmp_path: Path):
    judged = evaluation(sample(HOSTILE), hostile=HOSTILE)
    write_molecules(tmp_path / "m.csv", judged)
    text = (tmp_path / "m.csv").read_text()
    assert "\x1b" not in text
    assert len(rows_of(tmp_path / "m.csv")) == 6  # the line break is spelt out
    assert rows_of(tmp_path / "m.csv")[0]["set"] == "'=1+1\"<script>\\x1b[2J\\n"
    table = shown(judged)
    assert "\x1b" not in table
    assert "\\x1b[2J" in table


def test_lone_surrogates_of_file_names_can_be_written(tmp_path: Path):
    judged = evaluation(sample("caf\udce9"))
    write_metrics(tmp_path / "m.json", judged)
    write_molecules(tmp_path / "m.csv", judged)
    assert read_metrics(tmp_path / "m.json")["sets"][0]["name"] == "caf\udce9"  # as JSON escapes it
    assert rows_of(tmp_path / "m.csv")[0]["set"] == "caf\\udce9"
    assert "caf\\udce9" in shown(judged)


def test_the_table_shows_sets_reference_floor_and_published_figures():
    text = shown(evaluation(sample("ours"), sample("theirs")))
    heading = next(line for line in text.splitlines() if "ours" in line)
    assert [word for word in heading.split() if word != "┃"] == ["ours", "theirs", "QM9", "floor", "Symphony"]
    assert "Other" not in text  # a published row without any of these figures
    valid = next(line for line in text.splitlines() if "xyz2mol-valid" in line)
    assert valid.count("50.00 %") == 2
    assert "99.99 %" in valid
    assert "83.50 %" in valid
    rough = next(line for line in text.splitlines() if "roughness ↓" in line)
    assert "0.1234 Å" in rough
    assert "0.0500 Å" in rough
    nothing = next(line for line in text.splitlines() if "nothing" in line)
    assert nothing.count("–") == 2
    for told in ("Core figures", "18.76 – 81.24", "± 0.20 %", "6 attempts", "Read this.", "roughness: of two"):
        assert told in text
    assert "ours, invalid: atom limit 1; no bonds 1; unreadable: unknown element 1" in text
    assert "Symphony: thesis, table 5.1, 10,000 molecules" in text


def test_published_systems_that_do_not_fit_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("COLUMNS", raising=False)  # which would set the width where there is no terminal
    judged = evaluation()
    (row, _) = judged.suites[0].published
    many = tuple(replace(row, system=f"System number {index}") for index in range(30))
    judged = replace(judged, suites=(replace(judged.suites[0], published=many),))
    text = shown(judged, 100)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    heading = text.splitlines()[2]
    assert ("System number 0" in heading, "System number 2" in heading) == (True, False)
    assert "also published, but too wide for this terminal" in text
    assert "System number 29" in text
    print_tables(judged)
    wider = capsys.readouterr().out.splitlines()[2]  # no terminal, so more columns
    assert wider.count("System number") > heading.count("System number") > 0


def test_a_column_that_every_row_has_is_not_repeated(tmp_path: Path):
    judged = evaluation()
    results = judged.sets[0].results[0]
    repeated = {**results, "other": replace(results["other"], columns={"smiles": ["C"] * 6, "kept": [1] * 6})}
    write_molecules(tmp_path / "m.csv", replace(judged, sets=(replace(judged.sets[0], results=(repeated,)),)))
    heading = (tmp_path / "m.csv").read_text().splitlines()[0].split(",")
    assert heading.count("smiles") == 1
    assert heading[-1] == "kept"


def test_a_long_list_of_reasons_is_summed_up():
    one = sample()
    verdicts = tuple(replace(one.verdicts[3], reason=f"reason {index:02d}") for index in range(20))
    text = shown(evaluation(replace(one, verdicts=verdicts, labels=())))
    assert "reason 07 1; other 12" in text
    assert "reason 08" not in text


def test_a_table_without_figures_says_so():
    judged = evaluation()
    empty = replace(judged, suites=(replace(judged.suites[0], rows=("unheard of",)),))
    assert "none of this table's figures could be measured" in shown(empty)


def test_of_a_large_family_stands_what_sums_it_up_unless_there_is_nothing_else():
    tests = [share(f"tests/{name}", name, 5, 6, "attempts") for name in (*map(str, range(20)), "all_pass")]
    judged = evaluation()
    measures = judged.sets[0].measures | {measure.name: measure for measure in tests}
    judged = replace(judged, sets=(replace(judged.sets[0], measures=measures),))
    families = replace(judged.suites[0], rows=("tests/",))
    assert judged.rows(families, at_most=9) == [measure.name for measure in tests]
    among_others = replace(families, rows=("valid", "tests/"))
    assert judged.rows(among_others, at_most=9) == ["valid", "tests/all_pass"]
    assert judged.rows(among_others) == ["valid", *(measure.name for measure in tests)]


def test_markup_in_names_is_text():
    assert "[bold]x[/bold]" in shown(evaluation(sample("[bold]x[/bold]")))
