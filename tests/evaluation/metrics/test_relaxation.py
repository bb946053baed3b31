from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from atomweave.chemistry.xtb import NOT_RELAXED, relax
from atomweave.errors import MissingDependencyError, UsageError
from atomweave.evaluation.metrics.relaxation import KCAL_PER_MOL, Xtb
from atomweave.evaluation.reference import Reference
from atomweave.isolation import TIME_OUT
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.judged import judged


def stretched_water() -> Molecule:
    return Molecule(worked.water().numbers, 1.1 * worked.water().positions)


@pytest.fixture(scope="module")
def sample():
    """Ten attempts, seven of them valid; of those the zwitterion loses its graph."""
    return judged(
        [
            worked.methane(),
            stretched_water(),
            None,
            worked.carbon_dioxide(),
            worked.methyl(),
            worked.glycine_zwitterion(),
            worked.hydrogen_cyanide(),
            worked.garbage(),
            worked.benzene(),
            Molecule(["N", "N"], [[0, 0, 0], [0, 0, 1.2]]),
        ]
    )


@pytest.fixture(scope="module")
def result(sample):
    return Xtb(workers=1).measure(sample, Reference())


def named(result):
    return {measure.name: measure for measure in result.measures}


def test_shares_count_every_molecule_that_was_tried(sample, result):
    assert sample.valid.tolist() == [0, 1, 3, 5, 6, 8, 9]
    found = named(result)
    assert (found["xtb/graph_kept"].count, found["xtb/graph_kept"].total) == (6, 7)
    assert (found["xtb/converged"].count, found["xtb/converged"].total) == (7, 7)
    assert result.columns["xtb_graph_kept"] == [True, True, None, True, None, False, True, None, True, True]
    assert result.columns["xtb_reason"] == ["", "", None, "", None, "", "", None, "", ""]


def test_numbers_are_those_of_the_molecules(sample, result):
    drops = result.columns["xtb_energy_drop"]
    for index in sample.valid:
        molecule = sample.verdicts[index].molecule
        assert drops[index] == pytest.approx(relax(molecule.numbers, molecule.positions).energy_drop, abs=1e-6)
    found = named(result)
    known = [drop for drop in drops if drop is not None]
    assert found["xtb/energy_drop"].value == pytest.approx(np.median(known))
    assert found["xtb/energy_drop_mean"].value == pytest.approx(np.mean(known))
    assert f"{KCAL_PER_MOL * np.median(known):.2f} kcal/mol" in found["xtb/energy_drop"].note
    rmsds = [rmsd for rmsd in result.columns["xtb_rmsd"] if rmsd is not None]
    assert found["xtb/rmsd"].value == pytest.approx(np.median(rmsds))
    assert found["xtb/rmsd_mean"].value == pytest.approx(np.mean(rmsds))
    assert found["xtb/bond_change"].total == 7
    assert found["xtb/torsion_change"].total == 2  # only glycine and benzene have any
    for name, measure in found.items():
        assert measure.interval[0] <= measure.value <= measure.interval[1], name


def test_the_changes_are_pooled_over_bonds():
    """Nitrogen of 1.2 Å and hydrogen cyanide: one bond changes by a tenth of an ångström, two by hundredths."""
    nitrogen = Molecule(["N", "N"], [[0, 0, 0], [0, 0, 1.2]])
    sample = judged([nitrogen, worked.hydrogen_cyanide()])
    found = named(Xtb(workers=1, threshold=1e-3).measure(sample, Reference()))
    ends = [relax(m.numbers, m.positions, 1e-3).positions for m in (nitrogen, worked.hydrogen_cyanide())]
    lengths = np.array([np.linalg.norm(ends[0][1] - ends[0][0]), *np.linalg.norm(np.diff(ends[1], axis=0), axis=1)])
    assert found["xtb/bond_change"].value == pytest.approx(np.abs(lengths - [1.2, 1.065, 1.153]).mean(), abs=1e-6)
    assert found["xtb/angle_change"].value == pytest.approx(0, abs=1e-3)
    assert math.isnan(found["xtb/torsion_change"].value)


def test_a_random_part_is_stated_and_repeats(sample):
    first, again = (Xtb(n=3, workers=1).measure(sample, Reference()) for _ in range(2))
    other = Xtb(n=3, workers=1, seed=1).measure(sample, Reference())
    assert named(first)["xtb/graph_kept"].total == 3
    assert "random 3 of the valid" in named(first)["xtb/rmsd"].note
    assert first.columns == again.columns
    assert first.columns["xtb_rmsd"] != other.columns["xtb_rmsd"]
    assert named(Xtb(n=7, workers=1).measure(sample, Reference()))["xtb/graph_kept"].note == ""


def test_what_does_not_relax_counts_as_not_kept():
    found = Xtb(workers=1, max_energies=2).measure(judged([worked.benzene(), stretched_water()]), Reference())
    measures = named(found)
    assert (measures["xtb/graph_kept"].count, measures["xtb/graph_kept"].total) == (0, 2)
    assert f"{NOT_RELAXED}: 2" in measures["xtb/converged"].note
    assert measures["xtb/rmsd"].total == 0
    assert found.columns["xtb_energy_drop"] == [None, None]


def test_a_molecule_that_takes_too_long_costs_itself_only():
    """Polyethylene of 50 carbons takes half a minute and more."""
    long = worked.embedded("C" * 50)
    found = Xtb(workers=1, timeout=5).measure(judged([worked.water(), long, worked.methane()]), Reference())
    assert found.columns["xtb_graph_kept"] == [True, False, True]
    assert found.columns["xtb_reason"] == ["", TIME_OUT, ""]


@pytest.mark.parametrize("molecules", [[], [None, worked.methyl()]])
def test_nothing_valid_gives_empty_figures(molecules):
    for measure in Xtb().measure(judged(molecules), Reference()).measures:
        assert (measure.total, measure.value_text) == (0, "–"), measure.name


def test_a_reference_needs_nothing_of_it(sample):
    assert Xtb().describe(sample).arrays == {}


@pytest.mark.parametrize("settings", [{"n": -1}, {"threshold": 0.0}, {"max_energies": 0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="xtb: got"):
        Xtb(**settings)


def test_without_tblite_the_extra_is_named(monkeypatch, sample):
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    with pytest.raises(MissingDependencyError, match=r"atomweave\[xtb\]"):
        Xtb().measure(sample, Reference())
