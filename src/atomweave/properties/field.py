"""The self-consistent field of Kohn-Sham orbitals, in two passes over the exact integrals where others take ten.

The four-centre integrals take nearly all the time of an ordinary calculation. Fitted with an auxiliary basis they take
a tenth, and on a coarse grid the gap comes out a hundredth of an eV off. So these equations are solved first. Then the
exact Fock matrix of their solution is made, what it has beyond the fitted one is added to the fitted equations, and
these are solved again. That correction hardly depends on the density: the orbitals of the second round usually satisfy
the exact equations, which is what decides. The second exact Fock matrix comes from the first and the small change of
the density, so that many integrals are screened away. Nothing fitted is left in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .reasons import NOT_CONVERGED, Unavailable
from .self_consistency import Orbitals, self_consistent

if TYPE_CHECKING:
    from .methods import Setting

FITTING_BASIS = "def2-universal-jkfit"
"""F. Weigend, J. Comput. Chem. 29, 167 (2008)."""

SAME_EVERYWHERE = {"b3lyp": "b3lypg"}
"""Functional -> PySCF's name of Gaussian's form; what `b3lyp` means there is open to a user's settings."""

COARSE_GRID = 0
FIRST_TOLERANCE = 3e-4  # Hartree; the fitted equations are off by ten times as much
MAX_ROUNDS = 8
MAX_CYCLES = 60
SHIFTED_CYCLES = 400
SHIFT = 0.5  # Hartree
NEAR_COINCIDENCE = 1e-7
"""Smallest eigenvalue of the overlap: combinations of functions that nearly cancel are left out."""


@dataclass(frozen=True, eq=False)
class Field:
    """A converged field of a neutral closed shell.

    Attributes:
        exact: PySCF's `RKS` with exact integrals on the fine grid.
        fitted: the same with fitted integrals on the coarse grid.
        coefficients: (n_functions, n_orbitals), orbitals in ascending order over the molecule's functions.
        energies: (n_orbitals,) Hartree.
        n_occupied: how many orbitals hold two electrons.
        density: (n_functions, n_functions).
        energy: total, Hartree.
    """

    exact: Any
    fitted: Any
    coefficients: np.ndarray
    energies: np.ndarray
    n_occupied: int
    density: np.ndarray
    energy: float

    @property
    def occupied(self) -> np.ndarray:
        """Orbitals with electrons, (n_functions, n_occupied)."""
        return self.coefficients[:, : self.n_occupied]

    @property
    def empty(self) -> np.ndarray:
        """Orbitals without, (n_functions, n_orbitals - n_occupied)."""
        return self.coefficients[:, self.n_occupied :]

    @property
    def occupations(self) -> np.ndarray:
        """Electrons in every orbital, (n_orbitals,)."""
        return np.where(np.arange(len(self.energies)) < self.n_occupied, 2.0, 0.0)


def converged_field(
    mol: Any,
    functional: str,
    functions: np.ndarray,
    settings: Mapping[str, Setting],
    guess: np.ndarray | None = None,
) -> Field:
    """Solve the Kohn-Sham equations.

    Args:
        mol: `pyscf.gto.Mole` with an even number of electrons.
        functional: PySCF's name of it.
        functions: (n_functions, n_span) combinations of the molecule's functions that orbitals may be made of.
        settings: `grid_level`, `screening` and `orbital_gradient`, see `methods.DFT_SETTINGS`.
        guess: (n_functions, n_functions) density to start from, by default one of free atoms.

    Raises:
        Unavailable: if the equations are not solved, with an ordinary start nor with a cautious one.
    """
    exact, fitted = _engines(mol, functional, settings)
    core, basis = exact.get_hcore(), _orthonormal(exact.get_ovlp(), functions)
    n_occupied = mol.nelectron // 2
    if n_occupied > basis.shape[1]:  # atoms so near each other that their functions coincide
        raise Unavailable(NOT_CONVERGED)

    correction = np.zeros_like(core)
    first = fitted.get_init_guess(mol, "minao") if guess is None else guess
    orbitals = Orbitals.of(basis.T @ (core + fitted.get_veff(mol, np.asarray(first))) @ basis, n_occupied)
    tolerance, goal = FIRST_TOLERANCE, float(settings["orbital_gradient"])
    density = potential = None

    def fitted_fock(orbitals: Orbitals) -> np.ndarray:
        return basis.T @ (core + correction + fitted.get_veff(mol, _density(basis, orbitals))) @ basis

    for _ in range(MAX_ROUNDS):
        orbitals = _solved(fitted_fock, orbitals, tolerance)
        density, before = _density(basis, orbitals), density
        potential = exact.get_veff(mol, density, before, potential)
        fock = basis.T @ (core + potential) @ basis
        gradient = orbitals.gradient(fock)
        if gradient < goal:
            energy = float(exact.energy_tot(density, core, potential))
            final = _same_occupied(Orbitals.of(fock, n_occupied), orbitals)
            coefficients = basis @ final.coefficients
            return Field(exact, fitted, coefficients, final.energies, n_occupied, np.asarray(density), energy)
        correction = np.asarray(potential) - np.asarray(fitted.get_veff(mol, density))
        tolerance = max(0.3 * goal, 3e-3 * gradient)  # the correction is good for no more
    raise Unavailable(NOT_CONVERGED)


def _engines(mol: Any, functional: str, settings: Mapping[str, Setting]) -> tuple[Any, Any]:
    """Return PySCF's objects that make exact and fitted Fock matrices."""
    from pyscf import dft

    name = SAME_EVERYWHERE.get(functional, functional)
    exact = dft.RKS(mol, xc=name)
    exact.grids.level, exact.direct_scf_tol = int(settings["grid_level"]), float(settings["screening"])
    fitted = dft.RKS(mol, xc=name).density_fit(auxbasis=FITTING_BASIS)
    fitted.grids.level = COARSE_GRID
    return exact, fitted


def _solved(fock_of: Callable[[Orbitals], np.ndarray], start: Orbitals, tolerance: float) -> Orbitals:
    """Solve the fitted equations; where the quick way fails, with short steps."""
    found = self_consistent(fock_of, start, tolerance, MAX_CYCLES)
    if found is None:
        found = self_consistent(fock_of, start, tolerance, SHIFTED_CYCLES, SHIFT)
    if found is None:
        raise Unavailable(NOT_CONVERGED)
    return found


def _same_occupied(final: Orbitals, orbitals: Orbitals) -> Orbitals:
    """Return the eigenfunctions if their lowest are the orbitals that make the density.

    Raises:
        Unavailable: if an occupied orbital lies above an empty one: no ground state, however well it is converged.
    """
    overlaps = np.linalg.svd(final.occupied.T @ orbitals.occupied, compute_uv=False)
    if overlaps.min(initial=1.0) < 0.9:
        raise Unavailable(NOT_CONVERGED)
    return final


def _density(basis: np.ndarray, orbitals: Orbitals) -> Any:
    """Return the density matrix (n_functions, n_functions), tagged with its orbitals, which PySCF contracts faster."""
    from pyscf import lib

    occupied = np.ascontiguousarray(basis @ orbitals.occupied)
    return lib.tag_array(2 * occupied @ occupied.T, mo_coeff=occupied, mo_occ=np.full(orbitals.n_occupied, 2.0))


def _orthonormal(overlap: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (n_functions, n_basis) of what the columns of `functions` span."""
    values, vectors = np.linalg.eigh(functions.T @ overlap @ functions)
    kept = values > NEAR_COINCIDENCE
    return functions @ (vectors[:, kept] / np.sqrt(values[kept]))
