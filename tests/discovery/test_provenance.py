from __future__ import annotations

import csv
import sqlite3

import pytest

from atomweave.discovery.provenance import COLUMNS, FAILED, INVALID, PICKED, SCORED, Entry, Provenance


def entry(index: int, name: str = "round 1", round_: int = 1, **further) -> Entry:
    return Entry(name, round_, index, 3, "f" * 64, "CH4", "[H]C([H])([H])[H]", SCORED, **further)


def test_what_is_kept_comes_back(tmp_path):
    kept = Provenance(tmp_path / "p.sqlite")
    rows = [entry(0, value=3.5, novel=True, drawn=PICKED, predicted=3.7), entry(1, novel=False), entry(2)]
    kept.replace("round 1", rows)
    assert Provenance(tmp_path / "p.sqlite").entries("round 1") == rows


def test_a_set_replaces_itself_and_no_other(tmp_path):
    kept = Provenance(tmp_path / "p.sqlite")
    kept.replace("fine-tuned", [entry(0, "fine-tuned", 0)])
    kept.replace("round 1", [entry(0), entry(1)])
    kept.replace("round 1", [entry(5)])
    assert [(one.set, one.index) for one in kept.entries()] == [("fine-tuned", 0), ("round 1", 5)]
    assert kept.entries("round 2") == []


def test_a_set_is_there_whole_or_not_at_all(tmp_path):
    kept = Provenance(tmp_path / "p.sqlite")
    kept.replace("round 1", [entry(0)])

    def broken():
        yield entry(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.replace("round 1", broken())
    with pytest.raises(sqlite3.IntegrityError):
        kept.replace("round 1", [entry(2), entry(2)])
    assert [one.index for one in kept.entries()] == [0]


def test_an_outcome_decides_the_fate():
    asked = entry(0)
    assert (asked.told(3.5, "").fate, asked.told(3.5, "").value) == (SCORED, 3.5)
    assert (asked.told(None, "time-out").fate, asked.told(None, "time-out").reason) == (FAILED, "time-out")


def test_the_csv_has_every_row_and_no_formula(tmp_path):
    kept = Provenance(tmp_path / "p.sqlite")
    kept.replace("round 1", [entry(0, value=3.5), Entry("round 1", 1, 1, 3, "", "", "", INVALID, "=1+1")])
    kept.write_csv(tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["value"], rows[0]["seed"]) == ("3.5", "3")
    assert not rows[1]["reason"].startswith("=")
