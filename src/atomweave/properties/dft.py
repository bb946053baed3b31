"""Properties by density functional theory (PySCF): restricted Kohn-Sham, neutral, closed shell, in vacuum."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from ..chemistry.minimiser import minimise, model_hessian
from ..errors import MissingDependencyError
from ..species import SYMBOLS
from . import mixed_basis
from .field import Equations, ExactField, Field, exact_field, fitted_field
from .methods import PACKAGED, PROPERTIES, QM9_BASIS
from .reasons import NO_EMPTY_ORBITAL, NO_PARAMETERS, NOT_CONVERGED, NOT_RELAXED, Unavailable
from .response import polarizability
from .units import BOHR, DEBYE, HARTREE

if TYPE_CHECKING:
    from .methods import Method

FITTED = {"homo", "lumo", "gap", "polarizability"}
"""What orbitals and their energies say; in the basis where that was tried, integrals are fitted for it."""

MEMORY = 3_000
"""MB; integrals that need no more are kept, others made again whenever they are needed."""


def values(
    numbers: np.ndarray, positions: np.ndarray, properties: Sequence[str], method: Method, threads: int = 1
) -> dict[str, float]:
    """Return properties of a neutral closed shell; arguments and units as `calculate.calculate` has them.

    Raises:
        Unavailable: with the reason, if there are none.
        MissingDependencyError: if PySCF is not installed.
    """
    require_pyscf()
    from pyscf import lib

    with lib.with_omp_threads(threads):
        equations = _equations(numbers, positions, method)
        if {"gap", "lumo", "polarizability"} & set(properties) and equations.n_occupied == equations.basis.shape[1]:
            raise Unavailable(NO_EMPTY_ORBITAL)
        tolerance = float(method.settings["orbital_gradient"])
        fitted = set(properties) & FITTED if method.basis == method.settings["fitted"] else set()
        calculated: dict[str, float] = {}
        if fitted:
            calculated = _of_orbitals(fitted_field(equations, tolerance), fitted, method)
        if set(properties) - set(calculated):
            calculated |= _of_field(exact_field(equations, tolerance), set(properties) - set(calculated), method)
    return {name: float(calculated[name]) for name in properties}


def _of_field(field: ExactField, properties: AbstractSet[str], method: Method) -> dict[str, float]:
    """Return properties of a field."""
    found = _of_orbitals(field, properties, method)
    if "energy" in properties:
        found["energy"] = field.energy * HARTREE
    if "dipole" in properties:
        dipole = field.exact.dip_moment(field.exact.mol, field.density, unit="AU", verbose=0)
        found["dipole"] = float(np.linalg.norm(dipole)) * DEBYE
    return found | {name: PROPERTIES[name].read["pyscf"](field) for name in properties - set(found)}


def _of_orbitals(field: Field, properties: AbstractSet[str], method: Method) -> dict[str, float]:
    """Return those of the properties that orbitals and their energies say."""
    frontier = {"homo": float(field.energies[field.n_occupied - 1]) * HARTREE}
    if {"lumo", "gap"} & properties:
        frontier["lumo"] = float(field.energies[field.n_occupied]) * HARTREE
        frontier["gap"] = frontier["lumo"] - frontier["homo"]
    found = {name: value for name, value in frontier.items() if name in properties}
    if "polarizability" in properties:
        found["polarizability"] = polarizability(field, float(method.settings["polarizability_error"]))
    return found


def minimum(numbers: np.ndarray, positions: np.ndarray, method: Method, threads: int = 1) -> np.ndarray:
    """Return the positions (n_atoms, 3) in Å of the nearest minimum.

    Raises:
        Unavailable: with the reason, if none is reached.
        MissingDependencyError: if PySCF is not installed.
    """
    require_pyscf()
    from pyscf import lib

    density: Any = None

    def energy_of(positions: np.ndarray) -> tuple[float, np.ndarray] | None:
        nonlocal density
        try:
            field = exact_field(_equations(numbers, positions, method), tolerance, density)
        except Unavailable as unavailable:
            if unavailable.reason != NOT_CONVERGED:
                raise
            return None
        density = field.density
        return field.energy * HARTREE, energy_gradient(field) * (HARTREE / BOHR)

    tolerance = float(method.settings["orbital_gradient"])
    threshold, most = float(method.settings["relaxed_force"]), int(method.settings["relaxed_energies"])
    with lib.with_omp_threads(threads):
        found = minimise(energy_of, positions, model_hessian(numbers, positions), threshold, most)
    if found is None:
        raise Unavailable(NOT_CONVERGED)
    if found.largest_force > threshold:
        raise Unavailable(NOT_RELAXED)
    return found.positions


def energy_gradient(field: ExactField) -> np.ndarray:
    """Return the gradient of the energy by the positions, (n_atoms, 3) Hartree/Bohr.

    Orbitals of the mixed basis are fixed combinations of Cartesian functions, so that the ordinary formula over those
    holds for them.
    """
    engine = field.exact
    engine.mo_coeff, engine.mo_energy, engine.mo_occ = field.coefficients, field.energies, field.occupations
    return np.asarray(engine.nuc_grad_method().kernel())


def require_pyscf() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no PySCF."""
    try:
        import pyscf.dft  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "density functional theory needs PySCF, which is not installed: pip install 'atomweave[qc]'."
        ) from None


def _equations(numbers: np.ndarray, positions: np.ndarray, method: Method) -> Equations:
    mol = _mol(numbers, positions, method.basis)
    functions = mixed_basis.span(mol) if method.basis == QM9_BASIS else np.eye(mol.nao)
    return Equations.of(mol, method.functional, functions, method.settings)


def _mol(numbers: np.ndarray, positions: np.ndarray, basis: str) -> Any:
    from pyscf import gto

    elements = sorted(set(np.asarray(numbers).tolist()))
    own = basis == QM9_BASIS
    shells, cores = (_own(elements), {}) if own else _packaged(elements, basis.removeprefix(PACKAGED))
    atoms = [(SYMBOLS[number], position) for number, position in zip(numbers, positions, strict=True)]
    return gto.M(
        atom=atoms, unit="Angstrom", basis=shells, ecp=cores, cart=own, max_memory=MEMORY, verbose=0,
        parse_arg=False, dump_input=False,
    )  # fmt: skip


def _own(elements: Sequence[int]) -> dict[str, Any]:
    if not mixed_basis.ELEMENTS.issuperset(elements):
        raise Unavailable(NO_PARAMETERS)
    return mixed_basis.shells(elements)


def _packaged(elements: Sequence[int], basis: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return PySCF's basis and the potentials that stand for inner shells where the basis needs them, by symbol."""
    import warnings

    from pyscf.gto import basis as bases
    from pyscf.lib.exceptions import BasisNotFoundError

    shells, cores = {}, {}
    for symbol in (SYMBOLS[number] for number in elements):
        with warnings.catch_warnings():  # about packages that might know more bases
            warnings.simplefilter("ignore", UserWarning)
            try:
                shells[symbol] = bases.load(basis, symbol)
            except BasisNotFoundError:
                raise Unavailable(NO_PARAMETERS) from None
            try:
                core = bases.load_ecp(basis, symbol)
            except RuntimeError:  # a basis without any
                core = []
        if core:
            cores[symbol] = core
    return shells, cores
