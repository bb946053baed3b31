from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atomweave.chemistry.atoms_frame import pack_atoms
from atomweave.chemistry.xtb import frontier_gap, relax
from atomweave.errors import UsageError
from atomweave.isolation import run_isolated
from atomweave.properties.calculate import Calculation, calculate
from atomweave.properties.calculation_task import pack, unpack
from atomweave.properties.methods import NAMED, PROPERTIES, parse_method
from atomweave.properties.reasons import (
    CHARGED,
    COINCIDENT,
    NO_PARAMETERS,
    NOT_RELAXED,
    ODD_ELECTRONS,
    OPEN_SHELL_ATOM,
    REASONS,
)
from reference import worked_molecules as worked

XTB = parse_method("gfn2-xtb")


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("numbers", "positions", "charge", "reason"),
    [
        ([8, 1, 1], [[0, 0, 0], [0, 0, 1], [0, 1, 0]], -1, CHARGED),
        ([8, 1], [[0, 0, 0], [0, 0, 1]], 0, ODD_ELECTRONS),
        ([6], [[0, 0, 0]], 0, OPEN_SHELL_ATOM),
        ([1, 1], [[0, 0, 0], [0, 0, 0.39]], 0, COINCIDENT),
        ([88, 1, 1], [[0, 0, 0], [0, 0, 2.5], [0, 2.5, 0]], 0, NO_PARAMETERS),
    ],
)
def test_what_is_no_neutral_closed_shell_has_its_reason(name, numbers, positions, charge, reason):
    found = calculate(np.array(numbers), np.array(positions, float), ["gap"], parse_method(name), charge=charge)
    assert (found.reason, found.values, found.positions) == (reason, {}, None)
    assert reason in REASONS


def test_xtb_gives_every_property():
    water = worked.water()
    found = calculate(water.numbers, water.positions, list(PROPERTIES), XTB)
    assert (found.reason, list(found.values)) == ("", list(PROPERTIES))
    assert found.values["gap"] == pytest.approx(frontier_gap(water.numbers, water.positions), abs=1e-9)
    assert found.values["gap"] == pytest.approx(found.values["lumo"] - found.values["homo"], abs=1e-9)
    assert 2.0 < found.values["dipole"] < 2.5  # measured 1.85 D
    assert 2.0 < found.values["polarizability"] < 3.0  # measured 9.6 Bohr^3: the basis is minimal
    assert found.seconds > 0


def test_xtb_relaxes_first_if_told_to():
    water = worked.water()
    stretched = 1.15 * water.positions
    found = calculate(water.numbers, stretched, ["energy"], XTB, relax=True)
    end = relax(water.numbers, stretched)
    np.testing.assert_array_equal(found.positions, end.positions)
    assert found.values["energy"] == pytest.approx(end.energy_end, abs=1e-5)


def test_what_does_not_relax_has_its_reason():
    impatient = replace(XTB, settings={**XTB.settings, "relaxed_energies": 2})
    molecule = worked.embedded("CCCO")
    assert calculate(molecule.numbers, molecule.positions, ["gap"], impatient, relax=True).reason == NOT_RELAXED


def test_a_property_there_is_not_is_the_callers_mistake():
    water = worked.water()
    with pytest.raises(UsageError, match="colour"):
        calculate(water.numbers, water.positions, ["colour"], XTB)


@pytest.mark.parametrize("method", ["gfn2-xtb", "b3lyp/sto-3g"])
def test_workers_answer_the_same_to_the_last_digits(method):
    water = worked.water()
    options = {"properties": ["gap", "energy"], "method": method, "relax": "gfn2-xtb", "threads": 1}
    radical = worked.methyl()
    requests = [pack_atoms(one.numbers, one.positions) for one in (water, radical)]
    found = [unpack(answer) for answer in run_isolated("property", requests, options=options, workers=1, timeout=100)]
    here = calculate(water.numbers, water.positions, ["gap", "energy"], parse_method(method), "gfn2-xtb")
    assert found[0].values == pytest.approx(here.values, abs=1e-8)
    np.testing.assert_allclose(found[0].positions, here.positions, atol=1e-8)
    assert (found[1].reason, found[1].positions) == (ODD_ELECTRONS, None)


@pytest.mark.parametrize(
    "calculation",
    [Calculation({"gap": 0.1 + 0.2}, "", np.array([[0.1, 1 / 3, 2]]), 1.5), Calculation(reason=COINCIDENT)],
)
def test_bytes_keep_a_calculation(calculation):
    back = unpack(pack(calculation))
    assert (back.values, back.reason, back.seconds) == (calculation.values, calculation.reason, calculation.seconds)
    if calculation.positions is None:
        assert back.positions is None
    else:
        np.testing.assert_array_equal(back.positions, calculation.positions)
