from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomweave.discovery.discover import Discovery
from atomweave.discovery.drawn import Drawn
from atomweave.discovery.measured import Measured
from atomweave.discovery.plan import Plan
from atomweave.discovery.provenance import FAILED, INVALID, RANDOM, SCORED, Entry
from atomweave.discovery.report import best, lines, share_text, span, value_text, write_results
from atomweave.discovery.table2 import of_data
from atomweave.evaluation.validity import assess
from reference import worked_molecules as worked

HOSTILE = "</title><script>alert(1)</script>"
PLAN = Plan(
    target="gap", direction="minimize", threshold=4.5, model=f"{HOSTILE}.safetensors", model_sha256="a" * 64,
    data="qm9.safetensors", data_sha256="b" * 64,
)  # fmt: skip
VALUES = np.linspace(3.0, 11.0, 200)


@pytest.fixture(scope="module")
def verdicts():
    return tuple(assess([worked.methane(), worked.benzene(), worked.argon(), worked.benzene()], workers=1))


def found(folder: Path, verdicts, values: dict[int, float]) -> Discovery:
    drawn = Drawn("fine-tuned", verdicts, 0, "f" * 64, folder / "molecules.sdf")
    entries = []
    for index, verdict in enumerate(verdicts):
        if index in values:
            told = {"fate": SCORED, "value": values[index]}
        elif verdict.valid:
            told = {"fate": FAILED, "reason": "time-out"}
        else:
            told = {"fate": INVALID, "reason": verdict.reason}
        how = RANDOM if verdict.valid else ""
        entries.append(Entry("fine-tuned", 0, index, 0, "f" * 64, "X", verdict.smiles, drawn=how, **told))
    measured = Measured(drawn, tuple(entries), PLAN)
    row = of_data("qm9", "all", VALUES, PLAN.objective)
    return Discovery(PLAN, folder, (row, row, row), VALUES, VALUES[VALUES < 4.5], None, measured, (), None)


def test_the_page_stands_beside_table_2_and_escapes_what_it_is_told(tmp_path, verdicts):
    write_results(found(tmp_path, verdicts, {0: 5.0, 1: 4.0}))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("G-SphereNet", "82.73 %", "Luo and Ji, ICLR 2022", "4.500 eV", "33.33 %", "time-out"):
        assert text in page
    assert HOSTILE not in page
    assert page.count("<script") == 3  # the molecules, the viewer, the page's own
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["models"]["fine-tuned"]["failures"] == {"time-out": 1}
    assert told["published"][2]["mean"] == 2.907


def test_a_run_that_found_nothing_has_its_page_too(tmp_path, verdicts):
    nothing = found(tmp_path, verdicts[2:3], {})
    write_results(nothing)
    assert "nan" not in (tmp_path / "summary.json").read_text().lower()
    assert best(nothing, 5) == []
    assert any("0 scored of 0 drawn from 0 valid of 1" in line for line in lines(nothing))


def test_the_best_come_first_and_each_molecule_once(tmp_path, verdicts):
    run = found(tmp_path, verdicts, {0: 5.0, 1: 4.0, 3: 3.5})
    assert [(entry.index, entry.value) for _, entry in best(run, 5)] == [(3, 3.5), (0, 5.0)]


def test_numbers_in_words(tmp_path, verdicts):
    run = found(tmp_path, verdicts, {})
    assert (value_text(3.14159, run), value_text(None, run), value_text(float("nan"), run)) == ("3.142 eV", "–", "–")
    assert (share_text(0.8273), share_text(None)) == ("82.73 %", "–")
    assert (span((0.1, 0.25), percent=True), span(None)) == ("10.00 – 25.00", "")
