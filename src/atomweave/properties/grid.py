"""Exchange and correlation on a grid, for densities that are known by their orbitals.

A density then takes one column of products for each of the few orbitals that hold electrons, where PySCF, given the
change of a density as a matrix, takes one for every function; and the products are those of numpy's library, which is
twice as fast, over blocks of points that stay in the cache. PySCF does what is not covered: functionals of the kinetic
energy density, and densities without orbitals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 896
"""Points at a time; PySCF wants a multiple of 56."""

KINDS = {"LDA": 0, "GGA": 1}
"""What PySCF calls a kind of functional -> derivatives of the density that it needs."""


def potential(engine: Any, density: Any) -> np.ndarray:
    """Return exchange and correlation of a density, without exact exchange, (n_functions, n_functions) Hartree.

    Args:
        engine: PySCF's `RKS` object.
        density: (n_functions, n_functions), best tagged with `mo_coeff` and `mo_occ`, the orbitals that make it.
    """
    if engine.grids.coords is None:
        engine.initialize_grids(engine.mol, density)
    if _kind(engine) not in KINDS or not hasattr(density, "mo_coeff"):
        numint = engine._numint  # noqa: SLF001 - PySCF's own modules reach for it, too
        return np.asarray(numint.nr_rks(engine.mol, engine.grids, engine.xc, density)[2])
    orbitals = np.asarray(density.mo_coeff) * np.sqrt(density.mo_occ)
    half = np.zeros(density.shape)
    for functions, weights in _blocks(engine):
        amplitudes = orbitals.T @ functions
        strengths = weights * _derivatives(engine, _products(amplitudes, amplitudes), 1)
        strengths[0] /= 2
        half += functions[0] @ np.einsum("cg,cpg->pg", strengths, functions).T
    return half + half.T


def response(engine: Any, occupied: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Return how that changes as the occupied orbitals do, times these orbitals: (3, n_functions, n_occupied), Hartree.

    Args:
        engine: as above, its grid made.
        occupied: (n_functions, n_occupied) orbitals with two electrons each.
        mixed: (3, n_functions, n_occupied) their changes, one set a field.
    """
    if _kind(engine) not in KINDS:
        return _response_by_pyscf(engine, occupied, mixed)
    n_occupied = occupied.shape[1]
    columns = np.concatenate([occupied, *mixed], 1).T
    result = np.zeros_like(mixed)
    for functions, weights in _blocks(engine):
        amplitudes = columns @ functions
        held = amplitudes[:, :n_occupied]
        stiffness = weights * _derivatives(engine, 2 * _products(held, held), 2)
        for d in range(3):
            change = 4 * _products(held, amplitudes[:, (d + 1) * n_occupied : (d + 2) * n_occupied])
            strengths = np.einsum("cg,ceg->eg", change, stiffness)
            result[d] += functions[0] @ np.einsum("cg,cig->gi", strengths, held)
            for axis in range(1, len(functions)):
                result[d] += functions[axis] @ (strengths[axis] * held[0]).T
    return result


def density_changes(occupied: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Return the change 2 (Y O^T + O Y^T) of the density for each field, (3, n_functions, n_functions).

    Args:
        occupied: O, (n_functions, n_occupied) orbitals with two electrons each.
        mixed: Y, (3, n_functions, n_occupied) their changes.
    """
    half = 2 * mixed @ occupied.T
    return np.asarray(half + half.transpose(0, 2, 1))


def _response_by_pyscf(engine: Any, occupied: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    numint = engine._numint  # noqa: SLF001
    kernel = numint.cache_xc_kernel(engine.mol, engine.grids, engine.xc, occupied, np.full(occupied.shape[1], 2.0))
    changes = density_changes(occupied, mixed)
    potentials = numint.nr_rks_fxc(engine.mol, engine.grids, engine.xc, None, changes, 0, 1, *kernel)
    return np.asarray(potentials) @ occupied


def _kind(engine: Any) -> str:
    return str(engine._numint._xc_type(engine.xc))  # noqa: SLF001


def _blocks(engine: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the functions and where needed their gradients, (1 or 4, n_functions, n_points), and weights of points."""
    numint, deriv = engine._numint, KINDS[_kind(engine)]  # noqa: SLF001
    for functions, _, weights, _ in numint.block_loop(engine.mol, engine.grids, deriv=deriv, blksize=BLOCK):
        yield (functions if deriv else functions[None]).transpose(0, 2, 1), weights


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return sums of products of amplitudes (1 or 4, n_orbitals, n_points) and their gradients, (1 or 4, n_points)."""
    sums = np.einsum("ig,cig->cg", first[0], second)
    sums[1:] += np.einsum("cig,ig->cg", first[1:], second[0])
    return sums


def _derivatives(engine: Any, densities: np.ndarray, order: int) -> np.ndarray:
    """Return the energy's derivatives of an order by densities (1 or 4, n_points), each index over 1 or 4."""
    given = densities if len(densities) > 1 else densities[0]
    return np.asarray(engine._numint.eval_xc_eff(engine.xc, given, deriv=order)[order])  # noqa: SLF001
