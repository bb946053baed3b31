from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from atomweave.errors import UsageError
from atomweave.evaluation.headline import QM9, judge, summarise
from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.validity import MISSING, UNFINISHED, assess
from atomweave.molecule import Molecule
from reference import worked_molecules as worked


@pytest.fixture(scope="module")
def sample():
    """Ten attempts: five valid ones, of which two are alike and two not strict; every way of failing."""
    molecules = [
        worked.methane(),
        worked.methane(),
        worked.water(),
        worked.methane_and_water(),
        worked.glycine_zwitterion(),
        worked.methyl(),
        worked.garbage(),
        None,
        worked.benzene(),  # would be valid, but the model never ended it
        worked.hydrogen_cyanide(),
    ]
    finished = [True] * 7 + [False, False, False]
    reasons = [""] * 9 + ["too many atoms"]
    return molecules, finished, reasons


@pytest.fixture(scope="module")
def headline(sample):
    return judge(*sample)


def test_every_share_has_its_denominator(headline):
    counts = {measure.name: (measure.count, measure.total, measure.of) for measure in headline.measures}
    assert counts["attempted"][0] == 10
    assert counts["finished"] == (7, 10, "attempts")
    assert counts["valid"] == (5, 10, "attempts")
    assert counts["strict"] == (3, 10, "attempts")
    assert counts["unique"] == (4, 5, "valid")
    assert counts["valid_unique"] == (4, 10, "attempts")


def test_every_failure_is_in_the_table_of_reasons(headline):
    assert sum(headline.reasons.values()) == 5
    assert {MISSING: 1, UNFINISHED: 1, "too many atoms": 1}.items() <= headline.reasons.items()


def test_stability_counts_unfinished_atoms_as_unstable(sample):
    molecules, _, _ = sample
    whole = judge([molecules[0], molecules[2]])
    broken = judge([molecules[0], molecules[2]], [True, False])
    assert (whole["atom_stable"].count, whole["atom_stable"].total) == (8, 8)
    assert (broken["atom_stable"].count, broken["atom_stable"].total) == (5, 8)
    assert (whole["molecule_stable"].count, broken["molecule_stable"].count) == (2, 1)


def test_stability_is_left_out_where_the_table_lacks_an_element():
    names = [measure.name for measure in judge([Molecule(["Cl", "H"], [[0, 0, 0], [0, 0, 1.27]])]).measures]
    assert "valid" in names
    assert "atom_stable" not in names


def test_intervals_are_wilsons_and_uniqueness_has_none(headline):
    assert headline["valid"].interval == wilson(5, 10)
    assert headline["unique"].interval is None
    assert headline["valid_unique"].interval is None


def test_an_empty_sample_has_a_table_too():
    empty = summarise([])
    assert empty["valid"].value_text == "–"
    assert empty.reasons == {}


def test_json_and_terminal_show_the_same_figures(headline):
    read = json.loads(json.dumps(headline.as_dict()))
    assert read["measures"]["valid"]["value"] == 0.5
    assert read["reference"]["name"] == "QM9"
    assert read["reference"]["valid"] == QM9["valid"]
    assert "rdkit" in read["tools"]
    console = Console(file=io.StringIO(), width=140)
    console.print(headline.as_table("sample"))
    text = " ".join(console.file.getvalue().split())
    for expected in ("50.00 %", "5 of 10 attempts", "4 of 5 valid", "99.99 %", "too many atoms: 1"):
        assert expected in text


def test_a_molecule_without_a_flag_is_taken_as_finished(sample):
    verdicts = assess([worked.benzene(), None])
    assert [(verdict.finished, verdict.valid) for verdict in verdicts] == [(True, True), (False, False)]


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(UsageError, match="got 2 molecules, 1 finished"):
        assess([worked.water(), worked.water()], [True])
