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

from . import fitting, grid
from .field import ExactField, Field
from .reasons import NOT_CONVERGED, Unavailable

MAX_CYCLES = 60
MAX_ROUNDS = 6
RESIDUAL = 1e-3
"""To which part of its start the residual of the fitted equations falls; what is left in alpha is its square."""

Linear = Callable[[np.ndarray], np.ndarray]
"""Amplitudes (3, n_empty, n_occupied), one set a field -> as many."""

CoulombExchange = Callable[[Field, np.ndarray], np.ndarray]
"""Changes (3, n_functions, n_occupied) of the occupied orbitals -> those of Coulomb potential and exchange, times these
orbitals."""


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
    dipoles = field.empty.T @ field.exact.mol.intor_symmetric("int1e_r", comp=3) @ field.occupied
    fitted = _response(field, rises, _fitted_coulomb_exchange, field.fitted)
    coulomb_exchange = _exact_coulomb_exchange if isinstance(field, ExactField) else _fitted_coulomb_exchange
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


def _response(field: Field, rises: np.ndarray, coulomb_exchange: CoulombExchange, engine: Any) -> Linear:
    """Return A, with the grid of `engine`."""

    def apply(amplitudes: np.ndarray) -> np.ndarray:
        mixed = field.empty @ amplitudes
        potentials = grid.response(engine, field.occupied, mixed) + coulomb_exchange(field, mixed)
        return rises * amplitudes + field.empty.T @ potentials

    return apply


def _exact_coulomb_exchange(field: Field, mixed: np.ndarray) -> np.ndarray:
    engine = field.exact
    range_parameter, far, near = engine._numint.rsh_and_hybrid_coeff(engine.xc)  # noqa: SLF001
    changes = grid.density_changes(field.occupied, mixed)
    if not (near or far):
        return np.asarray(engine.get_j(engine.mol, changes, 1) @ field.occupied)
    coulomb, exchange = engine.get_jk(engine.mol, changes, 1)
    exchange = near * exchange
    if range_parameter:
        exchange = exchange + (far - near) * engine.get_k(engine.mol, changes, 1, omega=range_parameter)
    return np.asarray((coulomb - exchange / 2) @ field.occupied)


def _fitted_coulomb_exchange(field: Field, mixed: np.ndarray) -> np.ndarray:
    """Return the same with fitted integrals; a functional with ranges is taken for one with exchange at near range."""
    engine = field.fitted
    share = engine._numint.rsh_and_hybrid_coeff(engine.xc)[2]  # noqa: SLF001
    return fitting.response(engine.with_df, field.occupied, mixed, share)


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
