from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from atomweave.chemistry import bonds
from atomweave.chemistry.bonds import perceive, perceive_many
from atomweave.chemistry.workers import CHUNK, perceive_isolated
from atomweave.errors import AtomweaveError
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

TROUBLED = (sys.executable, "-P", str(Path(__file__).with_name("troubled_worker.py")))
HANGS = Molecule(["He"], [[0, 0, 0]])
DIES = Molecule(["Ne"], [[0, 0, 0]])


def test_many_are_as_one_in_any_number_of_workers():
    makers = [worked.methane, worked.argon, worked.carbon_dioxide, worked.methyl, worked.methane_and_water]
    molecules = [make() for make in makers] * (CHUNK // 2)
    alone = [perceive(molecule) for molecule in molecules]
    for workers in (1, 2):
        together = perceive_many(molecules, workers=workers)
        assert [(p.reason, p.smiles, p.strict, p.binary) for p in together] == [
            (p.reason, p.smiles, p.strict, p.binary) for p in alone
        ]


def test_no_molecules_need_no_worker():
    assert perceive_many([]) == []


def test_a_hang_costs_its_molecule_only_and_in_time():
    molecules = [worked.methane(), HANGS, worked.water(), HANGS]
    start = time.perf_counter()
    found = perceive_isolated(molecules, 1, 0.5, TROUBLED)
    assert time.perf_counter() - start < 30
    assert [p.reason for p in found] == ["", bonds.TIME_OUT, "", bonds.TIME_OUT]
    assert "0.5 s" in found[1].detail


def test_a_crash_costs_its_molecule_only():
    molecules = [DIES, *[worked.methane()] * 3, DIES, worked.water()] + [worked.water()] * CHUNK + [DIES]
    found = perceive_isolated(molecules, 2, 60.0, TROUBLED)
    assert [p.reason for p in found] == [bonds.CRASH if m is DIES else "" for m in molecules]
    assert found[2].smiles == "[H]C([H])([H])[H]"


def test_a_worker_that_cannot_start_says_so():
    with pytest.raises(AtomweaveError, match=r"did not start: .*boom"):
        perceive_isolated([worked.water()], 1, 10.0, (sys.executable, "-c", "raise SystemExit('boom')"))
