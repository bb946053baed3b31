"""The metrics that say what share of all attempts is valid, four times over, on molecules worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.chemistry import openbabel
from atomweave.chemistry.bonds import CHARGE
from atomweave.chemistry.lookup import NOT_IN_TABLE
from atomweave.errors import MissingDependencyError
from atomweave.evaluation.headline import summarise
from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.metrics import gspherenet, lookup, open_babel, shares
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import UNFINISHED, assess
from reference import worked_molecules as worked
from reference.worked_verdicts import WORKED

METRICS = [shares.Validity(), lookup.LookUp(), gspherenet.GSphereNet()]
if openbabel.available():
    METRICS.append(open_babel.OpenBabel())

by_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def sample_of(molecules, finished=None, reasons=None, lookup=True):
    return Sample("worked", tuple(assess(molecules, finished, reasons, lookup=lookup)))


@pytest.fixture(scope="module")
def attempts():
    """Twelve attempts: methane three times, once unfinished; every way of failing one verdict and not another."""
    molecules = [
        worked.methane(), worked.methane(), worked.water(), worked.methane_and_water(), worked.glycine_zwitterion(),
        worked.methyl(), worked.benzene(), worked.linear("OO", 1.21), worked.linear(["Na", "Cl"], 2.36),
        worked.methane(), None, worked.linear("HCCCCH", 1.06, 1.20, 1.38, 1.20, 1.06),
    ]  # fmt: skip
    finished = [True] * 9 + [False, False, True]
    return sample_of(molecules, finished, [""] * 10 + ["out of time", ""])


def counted(result):
    return {measure.name: (measure.count, measure.total, measure.of) for measure in result.measures}


def test_validity_and_its_columns(attempts):
    result = shares.Validity().measure(attempts, Reference())
    # Sodium chloride: RDKit gives sodium no valence, and the methyl radical no neutral set of bond orders.
    assert counted(result) == {
        "attempted": (12, 12, ""),
        "finished": (10, 12, "attempts"),
        "valid": (8, 12, "attempts"),
        "strict": (6, 12, "attempts"),
        "unique": (7, 8, "valid"),
        "valid_unique": (7, 12, "attempts"),
    }
    assert result.columns["valid"] == [True] * 5 + [False, True, True, False, False, False, True]
    assert result.columns["strict"] == [True] * 3 + [False] * 3 + [True, True, False, False, False, True]
    assert result.columns["finished"] == [True] * 9 + [False, False, True]
    assert result.columns["reason"][5] == CHARGE
    assert result.columns["reason"][9:11] == [UNFINISHED, "out of time"]
    assert result.columns["smiles"][2] == "[H]O[H]"
    assert result.columns["smiles"][8] is None


def test_look_up_and_its_columns(attempts):
    result = lookup.LookUp().measure(attempts, Reference())
    assert counted(result) == {
        # 5 + 5 + 3 + 8 + 8 (zwitterion) + 3 + 6 + 2 + 0 + 0 (unfinished) + 4, of the atoms of all that was grown.
        "atom_stable": (44, 5 + 5 + 3 + 8 + 10 + 4 + 12 + 2 + 2 + 5 + 6, "atoms"),
        "molecule_stable": (5, 12, "attempts"),
        "lookup_valid": (7, 12, "attempts"),
        "lookup_unique": (5, 7, "look-up-valid"),  # methane, twice and as the larger fragment, is one of them
        "lookup_valid_unique": (5, 12, "attempts"),
        "lookup_fragmented": (1, 7, "look-up-valid"),
    }
    assert result.columns["lookup_valid"] == [True] * 4 + [False] + [True] * 3 + [False] * 4
    assert result.columns["lookup_smiles"][3] == "[H]C([H])([H])[H]"
    assert result.columns["lookup_reason"][8:11] == [NOT_IN_TABLE, UNFINISHED, "out of time"]
    assert result.columns["atoms_stable"] == [5, 5, 3, 8, 8, 3, 6, 2, 0, 0, None, 4]
    assert result.columns["n_atoms"] == [5, 5, 3, 8, 10, 4, 12, 2, 2, 5, None, 6]
    assert result.columns["molecule_stable"] == [True] * 4 + [False] * 3 + [True] + [False] * 4
    assert "attempts with other elements fail (1)" in result.measures[0].note


def test_gspherenet_and_its_columns(attempts):
    result = gspherenet.GSphereNet().measure(attempts, Reference())
    # The radical passes; dioxygen, fragments, the zwitterion and salt do not; both hydrocarbons do.
    assert counted(result) == {"gspherenet_valid": (6, 12, "attempts")}
    assert result.columns["gspherenet_valid"] == [True] * 3 + [False] * 2 + [True] * 2 + [False] * 4 + [True]
    assert result.columns["gspherenet_reason"][9:11] == [UNFINISHED, "out of time"]


@pytest.mark.skipif(not openbabel.available(), reason="Open Babel is an optional extra")
def test_open_babel_and_its_columns(attempts):
    result = open_babel.OpenBabel().measure(attempts, Reference())
    assert counted(result) == {
        "openbabel_valid": (7, 12, "attempts"),
        "openbabel_unique": (6, 7, "Open Babel-valid"),
    }
    assert result.columns["openbabel_valid"] == [True] * 4 + [False] * 2 + [True] * 2 + [False] * 3 + [True]
    assert result.columns["openbabel_smiles"][3] == "C.O"
    assert result.columns["openbabel_reason"][9:11] == [UNFINISHED, "out of time"]
    assert openbabel.open_babel_version() in result.measures[0].note


def test_look_up_verdicts_that_did_not_come_with_the_bonds_are_sought():
    molecules = [case.molecule for case in WORKED]
    with_bonds, without = (sample_of(molecules, lookup=given) for given in (True, False))
    assert without.verdicts[0].lookup is None
    first, second = (lookup.LookUp(workers=1).measure(sample, Reference()) for sample in (with_bonds, without))
    assert counted(first) == counted(second)
    assert first.columns == second.columns


@by_metric
def test_columns_have_one_entry_an_attempt(metric, attempts):
    for values in metric.measure(attempts, Reference()).columns.values():
        assert len(values) == len(attempts)


@by_metric
@pytest.mark.parametrize("verdicts", [(), tuple(assess([None, None]))], ids=["no attempts", "nothing grown"])
def test_nothing_to_judge_is_no_error(metric, verdicts):
    for measure in metric.measure(Sample("empty", verdicts), Reference()).measures:
        assert measure.count == 0 or measure.name == "attempted"
        assert math.isnan(measure.value) == (measure.total == 0) or measure.name == "attempted"
        assert measure.value_text


@by_metric
def test_nothing_is_kept_of_reference_data(metric, attempts):
    kept = metric.describe(attempts)
    assert not kept.arrays
    assert not kept.counts


@by_metric
def test_shares_have_wilsons_interval_and_uniqueness_has_none(metric, attempts):
    for measure in metric.measure(attempts, Reference()).measures:
        if "unique" in measure.name:
            assert measure.interval is None
        elif measure.kind == "share" and measure.of != "atoms":
            assert measure.interval == wilson(measure.count, measure.total)


def test_uniqueness_is_followed_over_disjoint_blocks():
    # Blocks of 100: in block b, 10 b of the attempts are the same molecule, the others differ from all; 20 are invalid.
    smiles = []
    for block in range(5):
        smiles += ["same"] * (10 * block) + [f"{block}-{index}" for index in range(80 - 10 * block)] + [""] * 20
    found = shares.unique_share("unique", "unique", smiles, "valid")
    per_block = [1.0, 71 / 80, 61 / 80, 51 / 80, 41 / 80]
    assert (found.count, found.total) == (sum(80 - 10 * block for block in range(5)) + 1, 400)
    assert found.spread.mean == pytest.approx(np.mean(per_block))
    assert found.spread.deviation == pytest.approx(np.std(per_block, ddof=1))
    assert (found.spread.n_parts, found.spread.of) == (5, "blocks of 100 attempts")
    assert found.value < found.spread.mean  # the more molecules, the fewer of them are new
    both = shares.valid_unique_share("valid_unique", "", smiles)
    assert both.spread.mean == pytest.approx(0.8 * np.mean(per_block))
    assert (both.count, both.total) == (found.count, 500)


def test_few_attempts_have_no_spread_and_blocks_without_valid_molecules_none():
    assert shares.unique_share("unique", "", ["a"] * 150, "valid").spread is None
    assert shares.unique_share("unique", "", ["a"] * 100 + [""] * 100, "valid").spread is None


def test_the_headline_shows_the_same_figures(attempts):
    covered = attempts.part(np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11]))  # without salt, which the table lacks
    shown = {measure.name: measure for measure in summarise(covered.verdicts).measures}
    for metric in (shares.Validity(), lookup.LookUp()):
        for measure in metric.measure(covered, Reference()).measures:
            assert shown.get(measure.name, measure) == measure
    assert {"valid", "unique", "atom_stable", "molecule_stable"} <= set(shown)


def test_open_babel_is_asked_for_by_name_only(monkeypatch, attempts):
    monkeypatch.setattr(openbabel, "find_spec", lambda name: None)
    assert not open_babel.OpenBabel.available()
    with pytest.raises(MissingDependencyError, match="openbabel"):
        open_babel.OpenBabel().measure(attempts, Reference())


def test_progress_is_told_where_work_is_long():
    told = []
    assess([worked.methane()] * 130, lookup=True, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (130, 130)
    assert len(told) == 3
