"""What is written for chemiscope is what chemiscope's own reader takes, and says the same as its own writer."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import chemiscope
import pytest

from atomweave.errors import InputError, UsageError
from atomweave.evaluation.chemiscope import write_chemiscope
from evaluation.judged import HOSTILE, evaluation, sample


def content(path: Path) -> dict:
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


@pytest.mark.parametrize("name", ["c.json.gz", "c.json"])
def test_chemiscope_reads_the_file(tmp_path: Path, name: str):
    write_chemiscope(tmp_path / name, evaluation())
    widget = chemiscope.show_input(tmp_path / name)
    assert isinstance(widget, chemiscope.widget.ChemiscopeWidget)


def test_chemiscope_itself_would_write_the_same(tmp_path: Path):
    judged = evaluation()
    write_chemiscope(tmp_path / "c.json.gz", judged)
    found = content(tmp_path / "c.json.gz")
    structures = [verdict.molecule.to_ase() for verdict in judged.sets[0].sample.verdicts if verdict.molecule]
    own = chemiscope.create_input(
        structures, metadata=found["meta"], properties=found["properties"], settings=found["settings"]
    )
    assert own["properties"].keys() == found["properties"].keys()
    for ours, theirs in zip(found["structures"], own["structures"], strict=True):
        assert (ours["size"], ours["names"]) == (theirs["size"], theirs["names"])
        for axis in "xyz":
            assert ours[axis] == pytest.approx(theirs[axis], abs=5.1e-5)


def test_properties_say_what_became_of_each_molecule(tmp_path: Path):
    write_chemiscope(tmp_path / "c.json.gz", evaluation(sample("a"), sample("b")))
    found = content(tmp_path / "c.json.gz")
    values = {name: entry["values"] for name, entry in found["properties"].items()}
    assert len(found["structures"]) == 10  # an attempt without a molecule has nothing to show
    assert values["attempt"][:6] == [0, 1, 2, 3, 4, 0]
    assert values["n_atoms"][:5] == [5, 12, 8, 1, 3]
    assert values["valid"][:5] == [1, 1, 1, 0, 0]
    assert values["verdict"][:5] == ["strict", "strict", "valid", "invalid", "invalid"]
    assert values["reason"][3:5] == ["no bonds", "atom limit"]
    assert values["set"] == ["a"] * 5 + ["b"] * 5
    assert values["rough/score"][:2] == [0.25, -1.5]
    assert math.isnan(values["rough/score"][2])
    assert values["told"][0] == "C1"


def test_bonds_are_those_that_were_perceived(tmp_path: Path):
    write_chemiscope(tmp_path / "c.json.gz", evaluation())
    structures = content(tmp_path / "c.json.gz")["structures"]
    assert structures[0]["bonds"] == [[0, 1, 1], [0, 2, 1], [0, 3, 1], [0, 4, 1]]
    assert len(structures[1]["bonds"]) == 12
    assert "bonds" not in structures[3]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path):
    for name in ("a.json.gz", "b.json.gz"):
        write_chemiscope(tmp_path / name, evaluation())
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_what_is_not_finite_is_nan_and_hostile_text_printable(tmp_path: Path):
    judged = evaluation(hostile=HOSTILE)
    results = judged.sets[0].results[0]
    endless = replace(results["other"], columns={"far": [math.inf] * 6})
    sets = (replace(judged.sets[0], results=({**results, "other": endless},)),)
    write_chemiscope(tmp_path / "c.json", replace(judged, sets=sets))
    text = (tmp_path / "c.json").read_text()
    assert "Infinity" not in text
    assert "\\u001b" not in text
    assert len(content(tmp_path / "c.json")["structures"]) == 5


def test_nothing_to_show_and_wrong_names_are_refused(tmp_path: Path):
    one = sample()
    nothing = evaluation(replace(one, verdicts=one.verdicts[5:] * 2, labels=()))
    with pytest.raises(InputError, match="there is no molecule to show"):
        write_chemiscope(tmp_path / "c.json.gz", nothing)
    with pytest.raises(UsageError, match=r"files that end in \.json or \.json\.gz"):
        write_chemiscope(tmp_path / "c.zip", evaluation())
    assert list(tmp_path.iterdir()) == []
