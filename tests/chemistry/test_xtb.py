from __future__ import annotations

import sys

import numpy as np
import pytest
from tblite.interface import Calculator

from atomweave.chemistry.bonds import perceive
from atomweave.chemistry.xtb import (
    BOHR,
    HARTREE,
    NO_FIELD,
    NO_PARAMETERS,
    NOT_RELAXED,
    ODD_ELECTRONS,
    Relaxation,
    relax,
)
from atomweave.errors import MissingDependencyError
from atomweave.evaluation.metrics.relaxation_task import same_graph
from atomweave.evaluation.metrics.superposition import best_fit_rmsd
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.molecules import qm9_molecules

OPTIONS = {"threshold": 0.01, "max_energies": 300}


def energy(numbers, positions) -> float:
    """eV, by tblite's own interface at its own settings, from nothing."""
    calculator = Calculator("GFN2-xTB", np.array(numbers), np.array(positions) / BOHR)
    calculator.set("verbosity", 0)
    return calculator.singlepoint().get("energy") * HARTREE


def relaxed(molecule: Molecule, **settings: float) -> Relaxation:
    return relax(molecule.numbers, molecule.positions, **settings)


def length(positions, first=0, second=1) -> float:
    return float(np.linalg.norm(positions[first] - positions[second]))


def test_stretched_water_comes_back():
    water = worked.water()
    stretched = Molecule(water.numbers, 1.15 * water.positions)
    found = relaxed(stretched, threshold=1e-3)
    assert found.reason == ""
    assert [length(found.positions, 0, hydrogen) for hydrogen in (1, 2)] == pytest.approx([0.96, 0.96], abs=0.005)
    assert found.energy_start == pytest.approx(energy(water.numbers, stretched.positions), abs=1e-4)
    assert found.energy_end == pytest.approx(energy(water.numbers, found.positions), abs=1e-4)
    scan = [
        energy(water.numbers, bent(distance, angle))
        for distance in np.arange(0.950, 0.971, 0.002)
        for angle in np.arange(105, 110, 0.5)
    ]
    assert found.energy_drop == pytest.approx(found.energy_start - min(scan), abs=2e-4)
    assert same_graph(water.numbers, stretched.positions, found.positions)


def bent(distance: float, angle: float) -> np.ndarray:
    half = np.radians(angle) / 2
    return distance * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])


def test_long_hydrogen_finds_the_length_of_a_scan():
    found = relax(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 1.0]]), threshold=1e-3)
    scan = np.arange(0.70, 0.85, 0.001)
    energies = [energy([1, 1], [[0, 0, 0], [0, 0, distance]]) for distance in scan]
    assert length(found.positions) == pytest.approx(scan[np.argmin(energies)], abs=0.0015)
    assert found.energy_drop == pytest.approx(found.energy_start - min(energies), abs=1e-4)


@pytest.mark.parametrize("formula", sorted(qm9_molecules()))
def test_molecules_of_qm9_stay(formula):
    molecule = qm9_molecules()[formula]
    found = relaxed(molecule)
    assert found.reason == ""
    assert 0 < found.energy_drop < 0.2
    assert best_fit_rmsd(molecule.positions, found.positions) < 0.3
    assert same_graph(molecule.numbers, molecule.positions, found.positions)


def test_as_ase_relaxes_with_tblites_own_calculator():
    from ase.optimize import BFGS
    from tblite.ase import TBLite

    molecule = worked.embedded("CC=O")
    atoms = molecule.to_ase()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    with BFGS(atoms, logfile=None) as optimiser:
        optimiser.run(fmax=0.002)
    found = relaxed(molecule, threshold=0.002)
    assert found.energy_end == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
    assert best_fit_rmsd(found.positions, atoms.positions) < 0.02


def test_two_waters_far_apart_stay_two():
    water = worked.water()
    pair = Molecule(
        [*water.symbols, *water.symbols], np.vstack([water.positions, water.positions + np.array([60, 0, 0])])
    )
    alone, found = relaxed(water, threshold=1e-3), relaxed(pair, threshold=1e-3)
    assert length(found.positions, 0, 3) == pytest.approx(60, abs=0.01)
    assert found.energy_drop == pytest.approx(2 * alone.energy_drop, abs=2e-3)
    assert same_graph(pair.numbers, pair.positions, found.positions)


def test_methane_with_a_hydrogen_far_away_becomes_methane_and_is_not_kept():
    methane = worked.methane()
    positions = methane.positions.copy()
    positions[1] *= 2.5 / 1.09
    found = relax(methane.numbers, positions)
    assert found.reason == ""
    assert length(found.positions) == pytest.approx(1.09, abs=0.01)
    assert not same_graph(methane.numbers, positions, found.positions)


def test_a_zwitterion_that_has_no_minimum_in_vacuum_is_not_kept():
    """Glycine's proton goes over from nitrogen to oxygen."""
    zwitterion = worked.glycine_zwitterion()
    found = relaxed(zwitterion)
    after = perceive(Molecule(zwitterion.numbers, found.positions))
    assert perceive(zwitterion).valid
    assert not perceive(zwitterion).strict
    assert after.strict
    assert not same_graph(zwitterion.numbers, zwitterion.positions, found.positions)


def test_one_atom_is_at_its_minimum():
    found = relaxed(Molecule(["He"], [[1, 2, 3]]))
    assert (found.reason, found.n_energies, found.energy_drop) == ("", 1, 0)
    assert not same_graph(np.array([2]), np.zeros((1, 3)), np.zeros((1, 3)))  # no bonds, no graph to keep


@pytest.mark.parametrize(
    ("molecule", "reason"),
    [
        (worked.methyl(), ODD_ELECTRONS),
        (Molecule(["N", "O"], [[0, 0, 0], [0, 0, 1.15]]), ODD_ELECTRONS),
        (Molecule(["Ra", "H", "H"], [[0, 0, 0], [0, 0, 2.5], [0, 2.5, 0]]), NO_PARAMETERS),
    ],
)
def test_what_cannot_be_computed_has_its_reason(molecule, reason):
    found = relaxed(molecule)
    assert found.reason == reason
    assert np.isnan(found.energy_drop)
    assert len(found.positions) == 0


def test_too_few_energies_are_no_minimum():
    found = relaxed(worked.embedded("CCCO"), max_energies=3)
    assert (found.reason, found.n_energies) == (NOT_RELAXED, 3)
    assert found.energy_drop > 0


def test_atoms_that_nearly_coincide_fly_apart_or_have_a_reason():
    found = relax(np.array([8, 1, 1]), np.array([[0, 0, 0], [0, 0, 0.02], [0, 0.96, 0]]))
    assert found.reason == ""
    assert min(length(found.positions, 0, 1), length(found.positions, 0, 2)) > 0.9
    assert found.energy_drop > 100


def test_a_field_that_does_not_converge_has_its_reason(monkeypatch):
    construct = Calculator.__init__

    def impatient(self, *arguments, **options):
        construct(self, *arguments, **options)
        self.set("max-iter", 2)

    monkeypatch.setattr(Calculator, "__init__", impatient)
    assert relaxed(worked.water()).reason == NO_FIELD


def test_without_tblite_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    with pytest.raises(MissingDependencyError, match=r"atomweave\[xtb\]"):
        relaxed(worked.water())


def test_nothing_is_printed(capfd):
    relaxed(worked.water())
    assert capfd.readouterr() == ("", "")
