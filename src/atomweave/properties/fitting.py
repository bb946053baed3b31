"""Coulomb and exchange potentials of fitted integrals, for densities that are known by their orbitals.

With the orbitals, half of each integral's indices go over the few that hold electrons. That is what PySCF does as well;
here the products are those of numpy's library, which is twice as fast, and the symmetric one is half as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 32  # fitting functions at a time: their integrals stay in the cache


def coulomb_exchange(integrals: Any, density: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both, (n_functions, n_functions) each, Hartree.

    Args:
        integrals: PySCF's `DF` object.
        density: (n_functions, n_functions), tagged with `mo_coeff` and `mo_occ`, the orbitals that make it.
    """
    from pyscf import lib

    orbitals = np.asarray(density.mo_coeff) * np.sqrt(density.mo_occ)
    density = np.asarray(density)
    twice = lib.pack_tril(2 * density - np.diag(density.diagonal()))
    coulomb, exchange = np.zeros_like(twice), np.zeros_like(density)
    for packed in integrals.loop(BLOCK):
        coulomb += (packed @ twice) @ packed
        halves = (orbitals.T @ lib.unpack_tril(packed)).reshape(-1, len(density))
        exchange += halves.T @ halves
    return lib.unpack_tril(coulomb), exchange


def response(integrals: Any, occupied: np.ndarray, mixed: np.ndarray, share: float) -> np.ndarray:
    """Return how Coulomb potential and exchange change as the occupied orbitals do, times these orbitals.

    The change 2 (Y O^T + O Y^T) of the density, O the orbitals and Y their changes, needs no more of the integrals B
    than B O and B Y.

    Args:
        integrals: PySCF's `DF` object.
        occupied: (n_functions, n_occupied) orbitals with two electrons each.
        mixed: (3, n_functions, n_occupied) their changes, one set a field.
        share: of exact exchange.

    Returns:
        (3, n_functions, n_occupied), Hartree.
    """
    from pyscf import lib

    n_functions, n_occupied = occupied.shape
    columns = np.concatenate([occupied, *mixed], 1).T
    rows = np.zeros((3, n_occupied, n_functions))
    exchanged = np.zeros_like(mixed)
    for packed in integrals.loop(BLOCK):
        halves = (columns @ lib.unpack_tril(packed)).reshape(-1, 4, n_occupied, n_functions)
        own = np.ascontiguousarray(halves[:, 0])
        charges = 4 * own.reshape(len(own), -1) @ mixed.transpose(0, 2, 1).reshape(3, -1).T
        rows += np.tensordot(charges, own, ((0,), (0,)))
        if share:
            crossed = np.ascontiguousarray((halves @ occupied).transpose(1, 0, 2, 3)).reshape(4, -1, n_occupied)
            own = own.reshape(-1, n_functions)
            for d in range(3):
                changed = halves[:, d + 1].reshape(-1, n_functions)
                exchanged[d] += changed.T @ crossed[0] + own.T @ crossed[d + 1]
    return rows.transpose(0, 2, 1) - share * exchanged
