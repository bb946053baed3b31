"""Molecules at their minima, by GFN2-xTB itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomweave.discovery.drawn import Drawn
from atomweave.discovery.measured import Measured
from atomweave.discovery.minima import ANOTHER, NO_MINIMUM, at_minima, can_tell_strain, strain
from atomweave.discovery.plan import Plan
from atomweave.discovery.provenance import RANDOM, SCORED, Entry
from atomweave.discovery.work import Work
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule
from atomweave.properties import scoring
from reference import worked_molecules as worked

PLAN = Plan(target="gap", direction="minimize", threshold=4.5, model="m", model_sha256="", data_sha256="")
XTB = "gfn2-xtb"


def stretched(molecule: Molecule, factor: float) -> Molecule:
    return replace(molecule, positions=molecule.positions * factor)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Ethene, ethene 7 % too large, propynal, and water that was not finished."""
    ethene = worked.embedded("C=C")
    molecules = [ethene, stretched(ethene, 1.07), worked.embedded("C#CC=O"), worked.water()]
    return Drawn("round 1", tuple(assess(molecules, [True, True, True, False], workers=1)), 7, "w", Path("m.sdf"))


def test_the_same_molecule_is_found_from_two_beginnings(drawn, tmp_path, in_process):
    found = at_minima(drawn, [0, 1], XTB, tmp_path / "scores.sqlite", Work(workers=1))
    assert not found.lost
    lengths = [
        np.linalg.norm(found.molecule(index).positions[0] - found.molecule(index).positions[1]) for index in (0, 1)
    ]
    assert lengths[0] == pytest.approx(lengths[1], abs=2e-3)
    assert lengths[0] == pytest.approx(1.33, abs=0.02)  # Å, a double bond
    assert found.verdicts[2] is drawn.verdicts[2]
    assert [found.refusals[index] for index in (0, 1)] == ["", ""]


def test_what_becomes_another_molecule_or_none_is_refused(drawn, tmp_path, monkeypatch):
    def score(molecules, *rest, **options):
        methane = worked.embedded("C")
        return [scoring.Score(relaxed=methane), scoring.Score(reason="not converged")]

    monkeypatch.setattr(scoring, "score", score)
    found = at_minima(drawn, [0, 2], XTB, tmp_path / "scores.sqlite", Work(workers=1))
    assert found.lost == {0: ANOTHER, 2: NO_MINIMUM}
    assert found.verdicts[0] is drawn.verdicts[0]
    assert [found.refusals[index] for index in (0, 1, 2)] == [ANOTHER, "", NO_MINIMUM]


def test_strain_is_what_the_property_owes_to_the_geometry(drawn, tmp_path, in_process):
    entries = [
        Entry("round 1", 1, index, 7, "w", "", verdict.smiles, SCORED if index < 2 else "", drawn=RANDOM, value=5.0)
        for index, verdict in enumerate(drawn.verdicts)
    ]
    both = strain(Measured(drawn, tuple(entries), PLAN), PLAN, tmp_path / "scores.sqlite", Work(workers=1))
    wide = strain(
        Measured(drawn, (replace(entries[0], fate="passed over"), *entries[1:]), PLAN), PLAN,
        tmp_path / "scores.sqlite", Work(workers=1),
    )  # fmt: skip
    assert (both.n, both.same, wide.n, wide.same) == (2, 2, 1, 1)
    assert wide.change > 0.3  # eV: a longer double bond has a smaller gap
    assert abs(both.change) < wide.change


def test_nothing_to_relax_is_no_strain(drawn, tmp_path):
    found = strain(Measured(drawn, (), PLAN), PLAN, tmp_path / "scores.sqlite", Work(workers=1))
    assert (found.n, found.same) == (0, 0)
    assert np.isnan(found.change)


def test_without_the_program_nothing_is_said_of_strain(monkeypatch):
    assert can_tell_strain(PLAN)
    assert not can_tell_strain(PLAN.model_copy(update={"relax_by": None}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tblite" else name)
    assert not can_tell_strain(PLAN)
