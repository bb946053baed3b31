"""Every molecule has its score or its reason, and nothing that is known is calculated again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3

import numpy as np
import pytest

import atomweave
from atomweave.chemistry.atoms_frame import pack_atoms
from atomweave.errors import IncompleteError, UsageError
from atomweave.isolation import CRASH, ERROR, MEMORY, TIME_OUT, Failure, Limits, LocalExecutor
from atomweave.molecule import Molecule
from atomweave.properties.calculate import Calculation, calculate
from atomweave.properties.calculation_task import pack
from atomweave.properties.methods import XTB, Method, parse_method
from atomweave.properties.reasons import CHARGED, NOT_CONVERGED, ODD_ELECTRONS, RADICAL
from atomweave.properties.results import Results
from atomweave.properties.scoring import score
from reference.molecules import qm9_molecules
from reference.worked_molecules import methyl

ALL = qm9_molecules()
MOLECULES = [ALL[formula] for formula in ("CH4O", "H2O", "C2H6")]
METHYLENE = Molecule(["C", "H", "H"], np.array([[0, 0, 0], [0, 0.99, 0.4], [0, -0.99, 0.4]]))


def line(n_atoms: int) -> np.ndarray:
    return np.arange(n_atoms)[:, None] * np.array([1.0, 0, 0])


class Recorded:
    """An executor that calculates nothing: a gap is the number of the request, unless something is to go wrong."""

    def __init__(self, fates: dict[int, Failure | str] | None = None, limits: Limits | None = None) -> None:
        self.fates, self.limits = fates or {}, limits or Limits(10.0)
        self.asked: list[tuple[int, dict]] = []
        self.requests: list[bytes] = []

    def run(self, task, requests, options, on_answer, stop=lambda: False):
        assert task == "property"
        for index, request in requests:
            if stop():
                return
            self.asked.append((index, json.loads(json.dumps(options))))
            self.requests.append(request)
            fate = self.fates.get(index, "")
            if isinstance(fate, Failure):
                on_answer(index, fate)
            elif fate:
                on_answer(index, pack(Calculation(reason=fate, seconds=0.5)))
            else:
                at = line(len(request) // 25) if options["relax"] else None
                values = dict.fromkeys(options["properties"], float(index))
                on_answer(index, pack(Calculation(values, positions=at, seconds=0.5)))

    @contextlib.contextmanager
    def connected(self):
        yield self

    @property
    def indexes(self) -> list[int]:
        return [index for index, _ in self.asked]


def test_scores_are_those_of_calculate_in_order():
    found = atomweave.score(MOLECULES, ["gap", "energy", "gap"], "GFN2-xTB", executor=LocalExecutor(Limits(60.0), 2))
    for molecule, entry in zip(MOLECULES, found, strict=True):
        alone = calculate(molecule.numbers, molecule.positions, ["gap", "energy"], parse_method(XTB))
        assert entry.values == pytest.approx(alone.values, rel=1e-9)
        assert (entry.reason, entry.relaxed, entry.cached) == ("", None, False)
        assert entry.seconds > 0


def test_every_molecule_has_its_row_whatever_happens():
    charged = Molecule(MOLECULES[0].numbers, MOLECULES[0].positions, {"charge": -2})
    fates = {
        0: Failure(TIME_OUT, "no answer within 10 s"), 1: Failure(CRASH, "status -9"), 2: Failure(MEMORY, ""),
        3: Failure(ERROR, "ValueError: so"), 4: NOT_CONVERGED, 5: RADICAL,
    }  # fmt: skip
    molecules = [*MOLECULES, ALL["CH4"], ALL["C2H2"], METHYLENE, charged, ALL["CHN"]]
    executor = Recorded(fates)
    found = score(molecules, ["gap"], XTB, executor=executor)
    reasons = [TIME_OUT, CRASH, MEMORY, ERROR, NOT_CONVERGED, RADICAL, CHARGED, ""]
    assert [entry.reason for entry in found] == reasons
    assert [entry.values for entry in found] == [{}] * 7 + [{"gap": 7.0}]
    assert (found[0].detail, found[3].detail) == ("no answer within 10 s", "ValueError: so")
    assert sorted(executor.indexes) == [0, 1, 2, 3, 4, 5, 7]


def test_a_real_radical_and_a_real_time_out_cost_themselves_only():
    executor = LocalExecutor(Limits(60.0), 1)
    found = score([methyl(), METHYLENE, MOLECULES[1]], ["gap"], XTB, executor=executor)
    assert [entry.reason for entry in found] == [ODD_ELECTRONS, RADICAL, ""]
    found = score([MOLECULES[1]], ["gap"], XTB, executor=LocalExecutor(Limits(1e-9), 1))
    assert found[0].reason == TIME_OUT


def test_equal_geometries_are_calculated_once_and_scored_each():
    twice = [MOLECULES[0], MOLECULES[1], Molecule(MOLECULES[0].numbers, MOLECULES[0].positions, {"name": "again"})]
    executor = Recorded()
    found = score(twice, ["gap"], XTB, executor=executor)
    assert executor.indexes == [0, 1]
    assert [entry.values["gap"] for entry in found] == [0.0, 1.0, 0.0]


def test_what_is_known_is_not_calculated_again(tmp_path):
    path = tmp_path / "r.sqlite"
    score(MOLECULES[:2], ["gap"], XTB, results=path, executor=Recorded())
    executor = Recorded()
    found = score([MOLECULES[2], MOLECULES[1], MOLECULES[0]], ["gap"], XTB, results=path, executor=executor)
    assert executor.indexes == [0]
    assert [entry.values["gap"] for entry in found] == [0.0, 1.0, 0.0]
    assert [entry.cached for entry in found] == [False, True, True]
    assert [entry.seconds for entry in found] == [0.5] * 3
    # Only what is missing of a molecule is asked for, and another method knows nothing of it.
    executor = Recorded()
    score(MOLECULES, ["energy", "gap"], XTB, results=path, executor=executor)
    assert [options["properties"] for _, options in executor.asked] == [["energy"]] * 3
    executor = Recorded()
    score(MOLECULES, ["gap"], "b3lyp/6-31g(2df,p)", results=path, executor=executor)
    assert len(executor.asked) == 3


def test_a_failure_is_tried_again_only_where_it_might_pass(tmp_path):
    path = tmp_path / "r.sqlite"
    fates = {0: Failure(TIME_OUT, ""), 1: NOT_CONVERGED, 2: Failure(ERROR, "")}
    score(MOLECULES, ["gap"], XTB, results=path, executor=Recorded(fates))

    def asked(retry: bool = False, timeout: float = 10.0) -> list[int]:
        executor = Recorded(fates, Limits(timeout))
        score(MOLECULES, ["gap"], XTB, results=path, executor=executor, retry=retry)
        return executor.indexes

    assert asked() == []
    assert asked(timeout=20.0) == [0]
    assert asked(timeout=20.0) == []  # the larger limit is what it failed under now
    assert asked(retry=True) == [0, 2]
    executor = Recorded()
    assert [entry.reason for entry in score(MOLECULES, ["gap"], XTB, results=path, executor=executor, retry=True)] == [
        "", NOT_CONVERGED, "",
    ]  # fmt: skip


def test_a_minimum_is_found_once_and_serves_later_properties(tmp_path):
    path = tmp_path / "r.sqlite"
    found = score(MOLECULES[:1], ["gap"], XTB, relax=True, results=path, executor=Recorded())
    assert np.array_equal(found[0].relaxed.positions, line(6))
    assert found[0].relaxed.numbers.tolist() == MOLECULES[0].numbers.tolist()
    executor = Recorded()
    found = score(MOLECULES[:1], ["gap", "energy"], XTB, relax=True, results=path, executor=executor)
    assert [(options["properties"], options["relax"]) for _, options in executor.asked] == [(["energy"], False)]
    assert executor.requests == [pack_atoms(MOLECULES[0].numbers, line(6))]
    assert found[0].seconds == 1.0
    executor = Recorded()
    score(MOLECULES[:1], ["gap"], XTB, results=path, executor=executor)
    assert len(executor.asked) == 1  # the geometry as it stands is another


def test_an_interrupt_keeps_what_is_done(tmp_path):
    path = tmp_path / "r.sqlite"

    def interrupt(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(IncompleteError, match=r"interrupted with 2 of 3 molecules calculated\. .*r\.sqlite keeps"):
        score(MOLECULES, ["gap"], XTB, results=path, executor=Recorded(), progress=interrupt)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    executor = Recorded()
    score(MOLECULES, ["gap"], XTB, results=path, executor=executor)
    assert executor.indexes == [2]


def test_results_hold_versions_limits_and_settings(tmp_path):
    path = tmp_path / "r.sqlite"
    score(MOLECULES[:1], ["gap"], XTB, results=path, executor=Recorded(limits=Limits(7.0, 123456789)))
    with sqlite3.connect(path) as database:
        ((versions, timeout, memory),) = database.execute("SELECT versions, timeout, memory FROM calculation")
        ((name, settings),) = database.execute("SELECT name, settings FROM level")
    database.close()
    assert {"python", "atomweave", "numpy"} <= set(json.loads(versions))
    assert (timeout, memory, name) == (7.0, 123456789, XTB)
    assert json.loads(settings) == [dict(parse_method(XTB).settings)]


def test_mistakes_are_told_before_the_work():
    for properties, method in ((["gaps"], XTB), ([], XTB), (["gap"], "gfn3-xtb")):
        with pytest.raises(UsageError):
            score(MOLECULES, properties, method, executor=Recorded())
    altered = Method(XTB, "tblite", "", "", ("gap",), {"field": 1.0})
    with pytest.raises(UsageError, match="its settings are not those of its name"):
        score(MOLECULES, ["gap"], altered, executor=Recorded())


def test_no_molecules_have_no_scores():
    assert score([], ["gap"], XTB, executor=Recorded()) == []
    with Results(None) as results:
        assert score([], ["gap"], XTB, results=results) == []
