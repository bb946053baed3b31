"""Occupied orbitals that make their own field, found by extrapolating Fock matrices (DIIS).

P. Pulay, J. Comput. Chem. 3, 556 (1982): the next Fock matrix is the mean of the last ones, weighted such that their
errors cancel best. The error of a Fock matrix is its commutator with the density that it was made of, which is zero
when the two belong together. All matrices here are over one orthonormal basis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

N_KEPT = 8  # Fock matrices to extrapolate from


@dataclass(frozen=True, eq=False)
class Orbitals:
    """Eigenfunctions of a Fock matrix in ascending order; the first ones hold two electrons each.

    Attributes:
        coefficients: (n_basis, n_basis), one orbital a column.
        energies: (n_basis,) Hartree.
        n_occupied: how many hold electrons.
    """

    coefficients: np.ndarray
    energies: np.ndarray
    n_occupied: int

    @classmethod
    def of(cls, fock: np.ndarray, n_occupied: int) -> Orbitals:
        """Return the eigenfunctions of a Fock matrix (n_basis, n_basis) in Hartree."""
        energies, coefficients = np.linalg.eigh(fock)
        return cls(coefficients, energies, n_occupied)

    @property
    def occupied(self) -> np.ndarray:
        """The columns that hold electrons, (n_basis, n_occupied)."""
        return self.coefficients[:, : self.n_occupied]

    @property
    def empty(self) -> np.ndarray:
        """The other columns, (n_basis, n_basis - n_occupied)."""
        return self.coefficients[:, self.n_occupied :]

    def gradient(self, fock: np.ndarray) -> float:
        """Return the largest element (Hartree) of a Fock matrix between an occupied and an empty orbital."""
        return float(abs(self.empty.T @ fock @ self.occupied).max(initial=0.0))


def self_consistent(
    fock_of: Callable[[Orbitals], np.ndarray],
    start: Orbitals,
    tolerance: float,
    max_cycles: int,
    shift: float = 0.0,
) -> Orbitals | None:
    """Return orbitals that are the eigenfunctions of the Fock matrix they make; None if they are not found.

    Args:
        fock_of: orbitals -> Fock matrix (n_basis, n_basis) in Hartree.
        start: orbitals to begin with.
        tolerance: `Orbitals.gradient` of a solution, at most; Hartree.
        max_cycles: Fock matrices that are made at most.
        shift: by which empty orbitals are raised on the way (Hartree): steps become shorter and safer. It leaves the
            solution as it is.
    """
    orbitals = start
    focks: list[np.ndarray] = []
    errors: list[np.ndarray] = []
    for _ in range(max_cycles):
        fock = fock_of(orbitals)
        if orbitals.gradient(fock) < tolerance:
            return Orbitals.of(fock, start.n_occupied)
        product = fock @ orbitals.occupied @ orbitals.occupied.T
        focks, errors = [*focks, fock][-N_KEPT:], [*errors, product - product.T][-N_KEPT:]
        extrapolated = np.tensordot(_weights(errors), focks, 1)
        orbitals = Orbitals.of(extrapolated + shift * orbitals.empty @ orbitals.empty.T, start.n_occupied)
    return None


def _weights(errors: list[np.ndarray]) -> np.ndarray:
    """Return the weights, summing to one, with which matrices (n_basis, n_basis) add up to the smallest one."""
    products = np.array([[np.vdot(first, second) for second in errors] for first in errors])
    n = len(errors)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = products / products.diagonal().min()  # errors fall by many orders of magnitude
    system[n, n] = 0
    wanted = np.zeros(n + 1)
    wanted[n] = 1
    return np.linalg.lstsq(system, wanted, rcond=1e-12)[0][:n]
