"""A suite's rows are figures that its metrics really give, and what is published is among them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import atomweave
from atomweave.errors import MissingDependencyError, UsageError
from atomweave.evaluation import suites
from atomweave.evaluation.building import ReferenceData, Work, build_reference
from atomweave.evaluation.evaluate import distinct
from atomweave.evaluation.evaluation import Evaluation
from atomweave.evaluation.suites import REQUIRED, SUITES, Settings, suite_named
from evaluation.small_set import molecules

SETTINGS = Settings(energies=3, relaxed=3, workers=1)
WORK = Work(workers=1)


@pytest.fixture(scope="module")
def everything() -> Mapping[str, Evaluation]:
    """Every suite on its own, against a reference made of the same molecules."""
    halves = np.arange(30), np.arange(30, 60)  # what a model may have learnt from, and what it has not seen
    metrics = distinct([suite_named(name, SETTINGS) for name in SUITES])
    reference = build_reference(ReferenceData(molecules(), "ours", "abc", *halves), metrics, WORK)
    found = {}
    for name in SUITES:
        found[name] = atomweave.evaluate([*molecules(), None], reference, name, settings=SETTINGS, work=WORK)
    return found


@pytest.mark.parametrize("name", SUITES)
def test_every_row_is_a_figure_that_was_measured(everything: Mapping[str, Evaluation], name: str):
    (suite,) = everything[name].suites
    measures = everything[name].sets[0].measures
    for row in suite.rows:
        # Of the thesis's kinds of bond and environment only those are known that the reference has.
        given = [known for known in measures if known == row or (row.endswith("/") and known.startswith(row))]
        kind = row.rpartition("/")[0]
        assert given or row.startswith(("bispectrum_mmd/", "bond_mmd/")), row
        assert given or any(known.startswith(f"{kind}/") for known in measures), row
    assert everything[name].rows(suite)


@pytest.mark.parametrize("name", SUITES)
def test_every_figure_has_a_denominator_and_what_it_counts(everything: Mapping[str, Evaluation], name: str):
    for measure in everything[name].sets[0].measures.values():
        assert measure.kind == "count" or measure.of, measure.name
        assert measure.label, measure.name
        assert measure.total >= measure.count or measure.kind == "number", measure.name
        assert (
            measure.kind != "share"
            or measure.interval is not None
            or "unique" in measure.name
            or measure.name == "most_frequent"
        ), measure.name
        if measure.interval is not None and measure.total:
            low, high = measure.interval
            assert low <= measure.value <= high, measure.name


@pytest.mark.parametrize("name", SUITES)
def test_what_is_published_is_among_the_rows(name: str):
    suite = suite_named(name, SETTINGS)
    for published in suite.published:
        families = tuple(row for row in suite.rows if row.endswith("/"))
        shown = [known for known in published.values if known in suite.rows or known.startswith(families)]
        assert shown, published.system
        if name not in ("core", "full", "edm"):  # these show what several sources have in common
            assert len(shown) == len(published.values)


def test_figures_that_several_suites_show_are_the_same(everything: Mapping[str, Evaluation]):
    whole = everything["full"].sets[0].measures
    for name, evaluation in everything.items():
        for measure in evaluation.sets[0].measures.values():
            if not (name == "posebusters" and "energy" in measure.name):
                assert str(whole[measure.name]) == str(measure)


def test_the_full_suite_has_all_metrics_and_rows():
    whole = suite_named("full", SETTINGS)
    for name in SUITES:
        suite = suite_named(name, SETTINGS)
        assert {metric.name for metric in suite.metrics} <= {metric.name for metric in whole.metrics}
        assert set(suite.rows) <= set(whole.rows)


def test_the_data_themselves_reach_what_the_reference_says(everything: Mapping[str, Evaluation]):
    evaluation = everything["edm"]
    assert evaluation["valid"].count == 60
    assert evaluation.reference.values["valid"] == 1
    assert evaluation["molecule_stable"].count == round(60 * evaluation.reference.values["molecule_stable"])


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    def absent(*packages: str) -> None:
        monkeypatch.setattr(suites, "find_spec", lambda package: None if package in packages else object())

    return absent


@pytest.mark.parametrize(("metric", "package", "extra"), [(m, *needed) for m, needed in REQUIRED.items()])
def test_a_missing_package_leaves_its_metric_out_and_the_note_says_so(without, metric: str, package: str, extra: str):
    without(package)
    suite = suite_named("full", SETTINGS)
    assert metric not in {one.name for one in suite.metrics}
    assert f"{package} is not installed, which leaves out" in suite.note
    assert f"pip install 'atomweave[{extra}]'" in suite.note
    assert len(suite.metrics) > 10
    without()
    assert metric in {one.name for one in suite_named("full", SETTINGS).metrics}


@pytest.mark.parametrize(
    ("name", "package"), [("energy", "tblite"), ("posebusters", "posebusters"), ("symphony-table-5.2", "posebusters")]
)
def test_a_suite_of_which_nothing_is_left_says_what_to_install(without, name: str, package: str):
    without(package)
    with pytest.raises(MissingDependencyError, match=f"suite {name}: {package} is not installed.*pip install"):
        suite_named(name, SETTINGS)


def test_table_5_1_does_without_open_babel(without):
    without("openbabel")
    evaluation = atomweave.evaluate(molecules()[:4], None, "symphony-table-5.1", work=WORK)
    assert "openbabel is not installed" in " ".join(str(evaluation).split())
    assert evaluation["lookup_valid"].total == 4
    assert "openbabel_valid" not in evaluation.sets[0].measures


def test_every_suite_has_a_line_that_says_what_it_is():
    titles = [make(SETTINGS).title for make in SUITES.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    with pytest.raises(UsageError, match="did you mean 'memorisation'"):
        suite_named("memorization", SETTINGS)
