"""Properties by density functional theory, held to published values and to the plain way of calculating them."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.chemistry.xtb import relax as relax_xtb
from atomweave.properties import dft, field, grid
from atomweave.properties.calculate import calculate
from atomweave.properties.methods import QM9_LEVEL, parse_method
from atomweave.properties.reasons import NO_EMPTY_ORBITAL, NO_PARAMETERS, NOT_CONVERGED
from atomweave.properties.response import polarizability
from atomweave.properties.units import BOHR, DEBYE, HARTREE
from reference import kohn_sham

QM9 = parse_method(QM9_LEVEL)
SMALL = parse_method("b3lyp/sto-3g")
WATER = np.array([8, 1, 1])
WATER_POSITIONS = np.array([[-0.0344, 0.9775, 0.0076], [0.0648, 0.0206, 0.0015], [0.8718, 1.3008, 0.0007]])
"""As QM9 has it."""

PUBLISHED = {"gap": 9.8369, "homo": -7.9675, "lumo": 1.8694, "dipole": 1.8511, "polarizability": 6.31}
HYDROGEN = np.array([1, 1])


def hydrogen(length=0.74):
    return np.array([[0, 0, 0], [0, 0, length]])


def hydrogen_fluoride():
    return np.array([9, 1]), np.array([[0, 0, 0], [0.3, 0.5, 0.71]])


@pytest.fixture(scope="module")
def water():
    return calculate(WATER, WATER_POSITIONS, [*PUBLISHED, "energy"], QM9)


def test_water_comes_out_as_qm9_has_it(water):
    assert water.reason == ""
    assert water.positions is None
    for name, value in PUBLISHED.items():
        assert water.values[name] == pytest.approx(value, abs=0.005 if name == "polarizability" else 0.0015), name
    assert water.values["gap"] == pytest.approx(water.values["lumo"] - water.values["homo"], abs=1e-12)


def test_fluorine_agrees_with_the_plain_way():
    numbers, positions = hydrogen_fluoride()
    mol, mixed = kohn_sham.qm9_molecule(numbers, positions)
    energy, orbitals, dipole = kohn_sham.solve(mol, mixed)
    found = calculate(numbers, positions, ["energy", "homo", "lumo", "dipole"], QM9).values
    assert mixed.shape == (36, 33)
    assert found["energy"] == pytest.approx(energy * HARTREE, abs=1e-5)
    assert found["homo"] == pytest.approx(orbitals[4] * HARTREE, abs=6e-4)  # of fitted integrals
    assert found["lumo"] == pytest.approx(orbitals[5] * HARTREE, abs=6e-4)
    assert found["dipole"] == pytest.approx(np.linalg.norm(dipole) * DEBYE, abs=2e-4)


@pytest.mark.parametrize(
    "molecule",
    [
        pytest.param((HYDROGEN, hydrogen()), id="H2"),
        pytest.param(hydrogen_fluoride(), id="HF", marks=pytest.mark.long),
        pytest.param((WATER, WATER_POSITIONS), id="H2O", marks=pytest.mark.long),
    ],
)
def test_analytic_polarizabilities_are_those_of_finite_fields(molecule):
    found = calculate(*molecule, ["polarizability"], QM9).values["polarizability"]
    assert found == pytest.approx(kohn_sham.polarizability(*kohn_sham.qm9_molecule(*molecule)), abs=2e-3)


def test_the_packaged_basis_is_another_one(water):
    packaged = calculate(WATER, WATER_POSITIONS, ["gap", "polarizability"], parse_method("b3lyp/pyscf-6-31g(2df,p)"))
    assert packaged.values["gap"] - water.values["gap"] == pytest.approx(0.021, abs=0.002)
    assert packaged.values["polarizability"] - water.values["polarizability"] == pytest.approx(-0.85, abs=0.02)


@pytest.mark.parametrize(
    "name",
    ["pbe/sto-3g", *(pytest.param(f"{name}/sto-3g", marks=pytest.mark.long) for name in ("cam-b3lyp", "hf", "tpss"))],
)
def test_other_kinds_of_functionals_agree_with_pyscf_alone(name):
    from pyscf import dft as pyscf_dft

    method = parse_method(name)
    mol = dft._mol(WATER, WATER_POSITIONS, method.basis)
    plain = pyscf_dft.RKS(mol, xc=method.functional)

    def dipole(electric_field):
        core = plain.get_hcore() + np.einsum("d,dpq->pq", electric_field, mol.intor("int1e_r"))
        engine = pyscf_dft.RKS(mol, xc=method.functional)
        engine.get_hcore = lambda *_: core
        engine.conv_tol = 1e-11
        engine.kernel()
        return engine.dip_moment(unit="AU", verbose=0)

    plain.kernel()
    found = calculate(WATER, WATER_POSITIONS, ["energy", "homo", "polarizability"], method).values
    assert found["energy"] == pytest.approx(plain.e_tot * HARTREE, abs=1e-5)
    assert found["homo"] == pytest.approx(plain.mo_energy[4] * HARTREE, abs=5e-4)
    rises = [dipole(step) - dipole(-step) for step in 1e-3 * np.eye(3)]
    assert found["polarizability"] == pytest.approx(np.trace(rises) / 6e-3, abs=5e-3)


def test_inner_shells_are_replaced_where_the_basis_needs_it():
    method = parse_method("hf/def2-svp")
    found = calculate(np.array([53, 1]), np.array([[0, 0, 0], [0, 0, 1.61]]), ["energy", "gap"], method)
    assert found.reason == ""
    assert -310 < found.values["energy"] / HARTREE < -295  # 28 of iodine's electrons are left out; with them -6,900


@pytest.mark.parametrize(
    ("numbers", "method"),
    [([17, 1], QM9_LEVEL), ([2, 2], QM9_LEVEL), ([35, 1], "b3lyp/6-31g"), ([92, 1, 1], "b3lyp/sto-3g")],
)
def test_elements_without_a_basis_have_their_reason(numbers, method):
    positions = 1.5 * np.arange(len(numbers))[:, None] * np.ones(3)
    assert calculate(np.array(numbers), positions, ["gap"], parse_method(method)).reason == NO_PARAMETERS


def test_helium_has_an_energy_but_no_gap_in_a_minimal_basis():
    atom = (np.array([2]), np.zeros((1, 3)))
    assert calculate(*atom, ["energy", "homo"], SMALL).values["energy"] == pytest.approx(-2.85 * HARTREE, abs=2)
    for name in ("gap", "lumo", "polarizability"):
        assert calculate(*atom, [name], SMALL).reason == NO_EMPTY_ORBITAL


def test_a_field_that_fails_is_tried_again_with_short_steps(monkeypatch):
    wanted = calculate(WATER, WATER_POSITIONS, ["gap"], SMALL).values["gap"]
    monkeypatch.setattr(field, "MAX_CYCLES", 1)
    assert calculate(WATER, WATER_POSITIONS, ["gap"], SMALL).values["gap"] == pytest.approx(wanted, abs=5e-4)
    monkeypatch.setattr(field, "SHIFTED_CYCLES", 1)
    failed = calculate(WATER, WATER_POSITIONS, ["gap"], SMALL)
    assert (failed.reason, failed.values) == (NOT_CONVERGED, {})


def test_a_field_whose_rounds_run_out_is_not_converged(monkeypatch):
    monkeypatch.setattr(field, "MAX_ROUNDS", 1)
    assert calculate(WATER, WATER_POSITIONS, ["energy"], QM9).reason == NOT_CONVERGED
    monkeypatch.setattr(field, "MAX_ROUNDS", 0)
    assert calculate(WATER, WATER_POSITIONS, ["gap"], QM9).reason == NOT_CONVERGED


@pytest.mark.parametrize("molecule", [(WATER, WATER_POSITIONS), hydrogen_fluoride()])
def test_fitted_integrals_give_levels_and_polarizabilities_of_the_exact_ones(molecule):
    equations = dft._equations(*molecule, QM9)
    fitted, exact = field.fitted_field(equations, 2e-5), field.exact_field(equations, 2e-5)
    frontier = slice(equations.n_occupied - 1, equations.n_occupied + 1)
    np.testing.assert_allclose(fitted.energies[frontier], exact.energies[frontier], atol=2e-5)
    assert polarizability(fitted, 1e-4) == pytest.approx(polarizability(exact, 1e-4), abs=2e-3)


@pytest.mark.parametrize("functional", ["svwn", "b3lyp", "tpss"])
def test_exchange_and_correlation_of_orbitals_are_pyscfs_of_matrices(functional):
    equations = dft._equations(WATER, WATER_POSITIONS, parse_method(f"{functional}/6-31g"))
    engine, density = equations.exact, equations.density(equations.begun())
    numint, occupied = engine._numint, density.mo_coeff
    found = grid.potential(engine, density)
    wanted = numint.nr_rks(engine.mol, engine.grids, engine.xc, np.array(density))[2]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    mixed = np.random.default_rng(0).normal(size=(3, *occupied.shape))
    changes = 2 * mixed @ occupied.T
    kernel = numint.cache_xc_kernel(engine.mol, engine.grids, engine.xc, occupied, np.full(occupied.shape[1], 2.0))
    wanted = numint.nr_rks_fxc(
        engine.mol, engine.grids, engine.xc, None, changes + changes.transpose(0, 2, 1), 0, 1, *kernel
    )
    np.testing.assert_allclose(grid.response(engine, occupied, mixed), wanted @ occupied, atol=1e-12)


def test_a_level_is_the_same_whatever_else_is_asked_for(water):
    alone = calculate(WATER, WATER_POSITIONS, ["polarizability", "homo"], QM9).values
    assert alone == {name: water.values[name] for name in ("polarizability", "homo")}


def test_forces_are_the_slope_of_the_energy():
    numbers, positions = hydrogen_fluoride()
    step = 1e-3  # Å

    def field_of(positions):
        return field.exact_field(dft._equations(numbers, positions, QM9), 1e-7)

    slope = dft.energy_gradient(field_of(positions))[1] / BOHR
    moved = np.array([[0, 0, 0], [0, 0, step]])
    energies = [field_of(positions + sign * moved).energy for sign in (1, -1)]
    assert slope[2] == pytest.approx((energies[0] - energies[1]) / (2 * step), abs=3e-4)
    assert slope[2] * 0.3 == pytest.approx(slope[0] * 0.71, abs=1e-4)  # along the bond


def test_stretched_hydrogen_relaxes_to_the_length_of_a_scan():
    found = calculate(HYDROGEN, hydrogen(0.9), ["energy"], SMALL, relax=True)
    scan = np.arange(0.715, 0.745, 0.005)
    energies = [calculate(HYDROGEN, hydrogen(length), ["energy"], SMALL).values["energy"] for length in scan]
    length = np.linalg.norm(found.positions[1] - found.positions[0])
    assert length == pytest.approx(scan[np.argmin(energies)], abs=0.004)
    assert found.values["energy"] == pytest.approx(min(energies), abs=1e-3)


def test_calculated_at_the_minimum_of_another_method():
    stretched = 1.1 * WATER_POSITIONS
    minimum = relax_xtb(WATER, stretched).positions
    found = calculate(WATER, stretched, ["energy"], SMALL, relax="gfn2-xtb")
    np.testing.assert_array_equal(found.positions, minimum)
    assert found.values == calculate(WATER, minimum, ["energy"], SMALL).values


@pytest.mark.parametrize("threads", [1, 2])
def test_pyscf_keeps_to_its_threads(monkeypatch, threads):
    from pyscf import lib

    before, seen = lib.num_threads(), []
    solve = dft.exact_field
    monkeypatch.setattr(dft, "exact_field", lambda *given: seen.append(lib.num_threads()) or solve(*given))
    calculate(HYDROGEN, hydrogen(), ["energy"], SMALL, relax=True, threads=threads)
    assert set(seen) == {threads}
    assert lib.num_threads() == before
