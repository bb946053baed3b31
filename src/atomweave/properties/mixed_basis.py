"""QM9's basis: 6-31G(2df,p) as Gaussian has it, with six Cartesian d functions a shell beside seven pure f functions.

Gaussian's standard for 6-31G is Cartesian d and pure f. Integral libraries know one kind at a time, so integrals are
computed over Cartesian functions throughout and orbitals are restricted to the span of the mixed ones: a Cartesian f
shell holds seven pure functions and three of p symmetry, which are left out.

Exponents: P. C. Hariharan, J. A. Pople, Theor. Chim. Acta 28, 213 (1973) for hydrogen's p and the single d shell, 0.8;
M. J. Frisch, J. A. Pople, J. S. Binkley, J. Chem. Phys. 80, 3265 (1984) for two d shells in place of one, with twice
and half its exponent, and for f. PySCF's packaged basis of the same name has others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..species import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterable

P_EXPONENT = 1.1
"""Of hydrogen's polarisation shell."""

D_EXPONENTS = (1.6, 0.4)

F_EXPONENTS = {6: 0.8, 7: 1.0, 8: 1.4, 9: 1.85}
"""By atomic number."""

ELEMENTS = frozenset((1, *F_EXPONENTS))
"""Atomic numbers for which the basis is written down here: those of QM9."""


def shells(numbers: Iterable[int]) -> dict[str, list[Any]]:
    """Return the basis of each of these elements as PySCF takes it, by symbol; all must be among `ELEMENTS`."""
    from pyscf.gto import basis

    return {SYMBOLS[number]: [*basis.load("6-31g", SYMBOLS[number]), *_polarisation(number)] for number in set(numbers)}


def span(mol: Any) -> np.ndarray:
    """Return the mixed functions as combinations of a molecule's Cartesian ones.

    Args:
        mol: a `pyscf.gto.Mole` with `cart=True`.

    Returns:
        (n_cartesian, n_mixed): the identity for shells up to d, seven pure functions for every f shell.
    """
    from pyscf.gto import cart2sph
    from scipy.linalg import block_diag

    blocks = []
    for shell in range(mol.nbas):
        degree = mol.bas_angular(shell)
        block = np.eye((degree + 1) * (degree + 2) // 2) if degree <= 2 else cart2sph(degree, normalized="sp")
        blocks += [block] * mol.bas_nctr(shell)
    return block_diag(*blocks)


def _polarisation(number: int) -> list[Any]:
    if number == 1:
        return [[1, [P_EXPONENT, 1.0]]]
    return [*([2, [exponent, 1.0]] for exponent in D_EXPONENTS), [3, [F_EXPONENTS[number], 1.0]]]
