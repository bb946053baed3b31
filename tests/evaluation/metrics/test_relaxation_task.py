from __future__ import annotations

import numpy as np
import pytest
from tblite.interface import Calculator

from atomweave.chemistry.atoms_frame import pack_atoms
from atomweave.chemistry.xtb import BOHR, HARTREE, NO_FIELD, Relaxation, frontier_gap, relax
from atomweave.evaluation.metrics.gap import frontier_gaps
from atomweave.evaluation.metrics.relaxation_task import answer, pack_relaxation, unpack_relaxation
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules

OPTIONS = {"threshold": 0.01, "max_energies": 300}


def test_the_task_tells_the_same_and_bytes_keep_it():
    water = worked.water()
    found, kept = unpack_relaxation(answer(pack_atoms(water.numbers, 1.1 * water.positions), OPTIONS))
    here = relax(water.numbers, 1.1 * water.positions)
    assert kept
    assert (found.reason, found.n_energies, found.energy_drop) == ("", here.n_energies, here.energy_drop)
    np.testing.assert_array_equal(found.positions, here.positions)
    failed, kept = unpack_relaxation(pack_relaxation(Relaxation(NO_FIELD), False))
    assert (failed.reason, kept, failed.positions.shape) == (NO_FIELD, False, (0, 3))
    assert np.isnan(failed.energy_drop)


def test_gaps_come_back_in_order_and_are_those_of_the_orbitals():
    molecules = [qm9_molecules()["CH4O"], Molecule(["O", "H"], np.array([[0, 0, 0], [0, 0, 0.97]])), water()]
    found = frontier_gaps(molecules, workers=1)
    assert np.isnan(found[1])  # an odd number of electrons
    calculator = Calculator("GFN2-xTB", molecules[2].numbers, molecules[2].positions / BOHR)
    calculator.set("verbosity", 0)
    orbitals = calculator.singlepoint().get("orbital-energies") * HARTREE
    assert found[2] == pytest.approx(orbitals[4] - orbitals[3], abs=1e-3)  # four pairs of valence electrons
    assert found[0] == frontier_gap(molecules[0].numbers, molecules[0].positions)
    assert found[0] < found[2]


def water() -> Molecule:
    return Molecule(["O", "H", "H"], np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]]))
