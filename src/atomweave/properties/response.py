"""Static polarizability: the first-order answer of the orbitals to a uniform field (coupled-perturbed Kohn-Sham).

A field h mixes empty orbitals a into occupied ones i with amplitudes x that solve A x = -h, where A x is (e_a - e_i) x
plus the potential of the density that x makes. As with the orbitals themselves (`field`), x is solved for with fitted
integrals on a coarse grid, and one exact A x corrects the answer:

    alpha = -8 h.x - 4 x.A x,

the Hylleraas functional, whose error is of second order in that of x. The residual A x + h says how large it still is;
where it is not small, x is improved and A x made again. Of orbitals that come from fitted integrals, A x is made with
fitted integrals, too, and on the fine grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .field import ExactField, Field
from .reasons import NOT_CONVERGED, Unavailable

MAX_CYCLES = 60
MAX_ROUNDS = 6
RESIDUAL = 1e-3
"""To which part of its start the residual of the fitted equations falls; what is left in alpha is its square."""

Linear = Callable[[np.ndarray], np.ndarray]
"""Amplitudes (3, n_empty, n_occupied), one set a field -> as many."""


def polarizability(field: Field, tolerance: float) -> float:
    """Return the isotropic polarizability, Bohr^3.

    Args:
        field: converged.
        tolerance: Bohr^3; how large the error may be.

    Raises:
        Unavailable: if the equations are not solved.
    """
    occupied = field.n_occupied
    rises = field.energies[occupied:, None] - field.energies[:occupied]
    if rises.min() <= 0:  # degenerate frontier orbitals answer without bound
        raise Unavailable(NOT_CONVERGED)
    dipoles = _between(field.exact.mol.intor_symmetric("int1e_r", comp=3), field)
    coulomb_exchange = _fitted_coulomb_exchange(field)
    fitted = _response(field, rises, coulomb_exchange, field.fitted)
    if isinstance(field, ExactField):
        coulomb_exchange = _exact_coulomb_exchange(field)
    finely = _response(field, rises, coulomb_exchange, field.exact)
    amplitudes = -_solution(fitted, dipoles, rises)
    for _ in range(MAX_ROUNDS):
        image = finely(amplitudes)
        residual = image + dipoles
        # Repulsion makes A larger than the bare rises, so that this is more than is still missing.
        missing = 4 / 3 * np.vdot(residual, residual / rises)
        if missing < tolerance:
            return float(-(8 * np.vdot(dipoles, amplitudes) + 4 * np.vdot(amplitudes, image)) / 3)
        amplitudes = amplitudes - _solution(fitted, residual, rises)
    raise Unavailable(NOT_CONVERGED)


def _response(field: Field, rises: np.ndarray, coulomb_exchange: Linear, engine: Any) -> Linear:
    """Return A, with the grid of `engine` and a function from amplitudes to Coulomb and exchange potentials."""
    numint = engine._numint  # noqa: SLF001 - PySCF's own modules reach for it, too
    kernel = numint.cache_xc_kernel(engine.mol, engine.grids, engine.xc, field.coefficients, field.occupations)

    def apply(amplitudes: np.ndarray) -> np.ndarray:
        densities = _densities(amplitudes, field)
        potentials = numint.nr_rks_fxc(engine.mol, engine.grids, engine.xc, None, densities, 0, 1, *kernel)
        return rises * amplitudes + _between(potentials, field) + coulomb_exchange(amplitudes)

    return apply


def _exact_coulomb_exchange(field: Field) -> Linear:
    engine = field.exact
    range_parameter, far, near = engine._numint.rsh_and_hybrid_coeff(engine.xc)  # noqa: SLF001

    def apply(amplitudes: np.ndarray) -> np.ndarray:
        densities = _densities(amplitudes, field)
        if not (near or far):
            return _between(engine.get_j(engine.mol, densities, 1), field)
        coulomb, exchange = engine.get_jk(engine.mol, densities, 1)
        exchange = near * exchange
        if range_parameter:
            exchange = exchange + (far - near) * engine.get_k(engine.mol, densities, 1, omega=range_parameter)
        return _between(coulomb - exchange / 2, field)

    return apply


def _fitted_coulomb_exchange(field: Field) -> Linear:
    """Return the same with fitted integrals B^Q; a functional with ranges is taken for one with exchange at near range.

    The density of amplitudes x is 2 (Y O^T + O Y^T) with O the occupied orbitals and Y = V x. Its exchange with O needs
    no more than B Y and B O, which keeps the effort to n_functions^2 n_occupied for each Q.
    """
    from pyscf import lib

    engine, occupied, empty = field.fitted, field.occupied, field.empty
    exchange = engine._numint.rsh_and_hybrid_coeff(engine.xc)[2]  # noqa: SLF001
    n_occupied = field.n_occupied

    def apply(amplitudes: np.ndarray) -> np.ndarray:
        mixed = np.einsum("pa,dai->dpi", empty, amplitudes)
        columns = np.concatenate([occupied, *mixed], 1)
        result = np.zeros((3, *occupied.shape))
        for packed in engine.with_df.loop():
            fitted = lib.unpack_tril(packed)
            halves = fitted @ columns  # (n_fitting, n_functions, 4 n_occupied)
            half = halves[:, :, :n_occupied]
            inner = np.ascontiguousarray(occupied.T @ half)
            for d in range(3):
                half_mixed = halves[:, :, (d + 1) * n_occupied : (d + 2) * n_occupied]
                charges = 4 * np.einsum("qpi,pi->q", half, mixed[d])
                result[d] += np.tensordot(charges, half, 1)
                if exchange:
                    crossed = np.tensordot(half_mixed, inner, ((0, 2), (0, 1)))
                    crossed += np.tensordot(half, mixed[d].T @ half, ((0, 2), (0, 1)))
                    result[d] -= exchange * crossed
        return np.einsum("pa,dpi->dai", empty, result)

    return apply


def _densities(amplitudes: np.ndarray, field: Field) -> np.ndarray:
    """Return the change of the density, (3, n_functions, n_functions)."""
    half = 2 * np.einsum("pa,dai,qi->dpq", field.empty, amplitudes, field.occupied, optimize=True)
    return half + half.transpose(0, 2, 1)


def _between(matrices: np.ndarray, field: Field) -> np.ndarray:
    """Return elements (3, n_empty, n_occupied) of matrices (3, n_functions, n_functions)."""
    return np.einsum("pa,dpq,qi->dai", field.empty, matrices, field.occupied, optimize=True)


def _solution(linear: Linear, wanted: np.ndarray, rises: np.ndarray) -> np.ndarray:
    """Solve linear(x) = wanted by conjugate gradients with the bare rises as preconditioner, three fields at once."""
    solution = np.zeros_like(wanted)
    residual, direction = wanted, wanted / rises
    size = _dot(residual, direction)
    goal = RESIDUAL**2 * size.max()
    for _ in range(MAX_CYCLES):
        if size.max() <= goal:
            return solution
        image = linear(direction)
        # A molecule may be blind to a field along an axis; there, nothing is to be divided by.
        step = size / np.maximum(_dot(direction, image), np.finfo(float).tiny)
        solution = solution + step * direction
        residual = residual - step * image
        steepest = residual / rises
        size, before = _dot(residual, steepest), size
        direction = steepest + size / np.maximum(before, np.finfo(float).tiny) * direction
    raise Unavailable(NOT_CONVERGED)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the products of three pairs of amplitudes, (3, 1, 1)."""
    return np.einsum("dai,dai->d", first, second)[:, None, None]
