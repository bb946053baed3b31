"""The self-consistent field of Kohn-Sham orbitals, in two passes over the exact integrals where others take ten.

The four-centre integrals take nearly all the time of an ordinary calculation. Fitted with an auxiliary basis they take
a tenth, and on a coarse grid the gap comes out a hundredth of an eV off. So these equations are solved first. Then the
exact Fock matrix of their solution is made, what it has beyond the fitted one is added to the fitted equations, and
these are solved again. That correction hardly depends on the density: the orbitals of the second round usually satisfy
the exact equations, which is what decides. The second exact Fock matrix comes from the first and the small change of
the density, so that many integrals are screened away. Nothing fitted is left in the result.

Of that hundredth of an eV the coarse grid makes nine tenths. Where orbitals and their energies are all
that is wanted, the fine grid is therefore all that is corrected for, in the same way, and no four-centre integral is
made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import grid
from .fitting import coulomb_exchange
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
GOOD_FOR = 3e-3
"""To which part of the gradient that is left a correction made at one density lowers it."""
MAX_ROUNDS = 8
MAX_CYCLES = 60
SHIFTED_CYCLES = 400
SHIFT = 0.5  # Hartree
NEAR_COINCIDENCE = 1e-7
"""Smallest eigenvalue of the overlap: combinations of functions that nearly cancel are left out."""


@dataclass(frozen=True, eq=False)
class Equations:
    """The Kohn-Sham equations of a neutral closed shell over the functions that its orbitals may be made of.

    Attributes:
        exact: PySCF's `RKS` with exact integrals on the fine grid.
        fitted: the same with fitted integrals on the coarse grid.
        core: (n_functions, n_functions) kinetic energy and nuclei, Hartree.
        basis: (n_functions, n_orbitals), orthonormal.
        n_occupied: how many orbitals hold two electrons.
    """

    exact: Any
    fitted: Any
    core: np.ndarray
    basis: np.ndarray
    n_occupied: int

    @classmethod
    def of(cls, mol: Any, functional: str, functions: np.ndarray, settings: Mapping[str, Setting]) -> Equations:
        """Return the equations of a molecule.

        Args:
            mol: `pyscf.gto.Mole` with an even number of electrons.
            functional: PySCF's name of it.
            functions: (n_functions, n_span) combinations of the molecule's functions that orbitals may be made of.
            settings: `grid_level` and `screening`, see `methods.DFT_SETTINGS`.

        Raises:
            Unavailable: if there are more electrons than orbitals.
        """
        exact, fitted = _engines(mol, functional, settings)
        core, basis = exact.get_hcore(), _orthonormal(exact.get_ovlp(), functions)
        n_occupied = mol.nelectron // 2
        if n_occupied > basis.shape[1]:  # atoms so near each other that their functions coincide
            raise Unavailable(NOT_CONVERGED)
        return cls(exact, fitted, core, basis, n_occupied)

    def begun(self, guess: Any = None) -> Orbitals:
        """Return orbitals to begin with, from a density (n_functions, n_functions) or that of free atoms."""
        first = self.fitted.get_init_guess(self.exact.mol, "minao") if guess is None else guess
        return Orbitals.of(self.fock(self.fitted_potential(first)), self.n_occupied)

    def fitted_potential(self, density: Any) -> np.ndarray:
        """Return the potential (n_functions, n_functions), Hartree, of a density: fitted integrals, coarse grid.

        Where exchange is not one share at every range, or no orbitals are tagged to the density, PySCF makes it.
        """
        range_parameter, _, share = self.fitted._numint.rsh_and_hybrid_coeff(self.fitted.xc)  # noqa: SLF001
        if range_parameter or not share or self.fitted.do_nlc() or not hasattr(density, "mo_coeff"):
            return np.asarray(self.fitted.get_veff(self.exact.mol, density))
        coulomb, exchange = coulomb_exchange(self.fitted.with_df, density)
        return grid.potential(self.fitted, density) + coulomb - share / 2 * exchange

    def fock(self, potential: Any) -> np.ndarray:
        """Return the Fock matrix (n_orbitals, n_orbitals) of a potential (n_functions, n_functions)."""
        return np.asarray(self.basis.T @ (self.core + potential) @ self.basis)

    def density(self, orbitals: Orbitals) -> Any:
        """Return their (n_functions, n_functions), tagged with the orbitals, which PySCF contracts faster."""
        from pyscf import lib

        occupied = np.ascontiguousarray(self.basis @ orbitals.occupied)
        occupations = np.full(orbitals.n_occupied, 2.0)
        return lib.tag_array(2 * occupied @ occupied.T, mo_coeff=occupied, mo_occ=occupations)

    def solved(self, start: Orbitals, tolerance: float, correction: np.ndarray | float = 0.0) -> Orbitals:
        """Solve the fitted equations with a correction of their potential; where the quick way fails, in short steps.

        Raises:
            Unavailable: if they are not solved.
        """

        def fock_of(orbitals: Orbitals) -> np.ndarray:
            return self.fock(correction + self.fitted_potential(self.density(orbitals)))

        found = self_consistent(fock_of, start, tolerance, MAX_CYCLES)
        if found is None:
            found = self_consistent(fock_of, start, tolerance, SHIFTED_CYCLES, SHIFT)
        if found is None:
            raise Unavailable(NOT_CONVERGED)
        return found


@dataclass(frozen=True, eq=False)
class Field:
    """Orbitals that make their own field, of a neutral closed shell.

    Attributes:
        exact: PySCF's `RKS` with exact integrals on the fine grid.
        fitted: the same with fitted integrals on the coarse grid.
        coefficients: (n_functions, n_orbitals), orbitals in ascending order over the molecule's functions.
        energies: (n_orbitals,) Hartree.
        n_occupied: how many orbitals hold two electrons.
    """

    exact: Any
    fitted: Any
    coefficients: np.ndarray
    energies: np.ndarray
    n_occupied: int

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


@dataclass(frozen=True, eq=False)
class ExactField(Field):
    """The field of the exact integrals.

    Attributes:
        density: (n_functions, n_functions), tagged with its orbitals.
        energy: total, Hartree.
    """

    density: Any
    energy: float


def fitted_field(equations: Equations, tolerance: float) -> Field:
    """Return the field of fitted integrals with exchange and correlation of the fine grid.

    In QM9's basis its gap was that of the exact integrals to 0.74 meV for twelve molecules that had been grown.

    Args:
        equations: of the molecule.
        tolerance: largest element of the orbital gradient, Hartree.

    Raises:
        Unavailable: if the equations are not solved, with an ordinary start nor with a cautious one.
    """
    exact, fitted = equations.exact, equations.fitted
    orbitals = equations.solved(equations.begun(), FIRST_TOLERANCE)
    for _ in range(MAX_ROUNDS):
        density = equations.density(orbitals)
        correction = grid.potential(exact, density) - grid.potential(fitted, density)
        gradient = orbitals.gradient(equations.fock(correction + equations.fitted_potential(density)))
        orbitals = equations.solved(orbitals, tolerance, correction)
        if GOOD_FOR * gradient < tolerance:
            fock = equations.fock(correction + equations.fitted_potential(equations.density(orbitals)))
            final = _same_occupied(Orbitals.of(fock, equations.n_occupied), orbitals)
            coefficients = equations.basis @ final.coefficients
            return Field(exact, fitted, coefficients, final.energies, equations.n_occupied)
    raise Unavailable(NOT_CONVERGED)


def exact_field(equations: Equations, tolerance: float, guess: Any = None) -> ExactField:
    """Solve the Kohn-Sham equations of the exact integrals.

    Args:
        equations: of the molecule.
        tolerance: largest element of the orbital gradient, Hartree.
        guess: (n_functions, n_functions) density to start from, by default one of free atoms.

    Raises:
        Unavailable: if the equations are not solved, with an ordinary start nor with a cautious one.
    """
    exact, fitted, mol, n_occupied = equations.exact, equations.fitted, equations.exact.mol, equations.n_occupied
    orbitals, first = equations.begun(guess), FIRST_TOLERANCE
    correction: np.ndarray | float = 0.0
    density = potential = None
    for _ in range(MAX_ROUNDS):
        orbitals = equations.solved(orbitals, first, correction)
        density, before = equations.density(orbitals), density
        potential = exact.get_veff(mol, density, before, potential)
        fock = equations.fock(potential)
        gradient = orbitals.gradient(fock)
        if gradient < tolerance:
            energy = float(exact.energy_tot(density, equations.core, potential))
            final = _same_occupied(Orbitals.of(fock, n_occupied), orbitals)
            coefficients = equations.basis @ final.coefficients
            return ExactField(exact, fitted, coefficients, final.energies, n_occupied, density, energy)
        correction = np.asarray(potential) - equations.fitted_potential(density)
        first = max(0.3 * tolerance, GOOD_FOR * gradient)
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


def _same_occupied(final: Orbitals, orbitals: Orbitals) -> Orbitals:
    """Return the eigenfunctions if their lowest are the orbitals that make the density.

    Raises:
        Unavailable: if an occupied orbital lies above an empty one: no ground state, however well it is converged.
    """
    overlaps = np.linalg.svd(final.occupied.T @ orbitals.occupied, compute_uv=False)
    if overlaps.min(initial=1.0) < 0.9:
        raise Unavailable(NOT_CONVERGED)
    return final


def _orthonormal(overlap: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (n_functions, n_basis) of what the columns of `functions` span."""
    values, vectors = np.linalg.eigh(functions.T @ overlap @ functions)
    kept = values > NEAR_COINCIDENCE
    return functions @ (vectors[:, kept] / np.sqrt(values[kept]))
