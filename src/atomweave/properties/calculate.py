"""Properties of one molecule, neutral and with paired electrons: the numbers, or the reason why there are none.

An open shell, an ion or a field that does not converge would all give numbers, too, and they are what makes lists of
best molecules worthless: none of them passes here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..chemistry.bonds import perceive_atoms
from ..chemistry.close_pairs import close_pairs
from .methods import Method, check_properties, relaxing_method
from .reasons import CHARGED, COINCIDENT, ODD_ELECTRONS, OPEN_SHELL_ATOM, RADICAL, Unavailable

CLOSEST = 0.4
"""Å; atoms nearer than this are no molecule. Even hydrogen, which has no inner shells, is pushed apart there: below
0.41 Å, H2 has a higher energy than two free atoms (W. Kolos, L. Wolniewicz, J. Chem. Phys. 43, 2429 (1965))."""

CLOSED_SHELL_ATOMS = frozenset((2, 4, 10, 12, 18, 20, 30, 36, 38, 46, 48, 54, 56, 70, 80, 86))
"""Atomic numbers of free atoms whose ground state is a singlet with one configuration."""


@dataclass(frozen=True, eq=False)
class Calculation:
    """What became of one molecule.

    Attributes:
        values: property -> number, in the units of `methods.PROPERTIES`; empty if there is a reason.
        reason: why there are no numbers, one of `reasons`; empty if there are.
        positions: (n_atoms, 3) Å of the minimum, if one was asked for and found.
        seconds: of wall-clock time.
    """

    values: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    positions: np.ndarray | None = None
    seconds: float = 0.0


def calculate(
    numbers: np.ndarray,
    positions: np.ndarray,
    properties: Sequence[str],
    method: Method,
    relax: bool | str | Method = False,
    *,
    charge: int = 0,
    threads: int = 1,
) -> Calculation:
    """Calculate properties in this process, without a time limit.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        properties: some of `method.properties`.
        method: see `methods.parse_method`.
        relax: calculate at the nearest minimum: of this method (True), or of another method or its name; the name
            `gfn2-xtb` costs little.
        charge: of the molecule; anything but 0 is refused, with a reason.
        threads: that PySCF may use. The linear algebra of numpy and tblite take theirs from OMP_NUM_THREADS.

    Raises:
        UsageError: if the method has no such property.
        MissingDependencyError: if the program of the method is not installed.
    """
    check_properties(properties, method)
    relaxing = relaxing_method(relax, method)
    began = time.perf_counter()
    minimum: np.ndarray | None = None
    try:
        _refuse(numbers, positions, charge)
        if relaxing is not None:
            positions = minimum = _minimum(numbers, positions, relaxing, threads)
        values = _values(numbers, positions, properties, method, threads)
    except Unavailable as unavailable:
        return Calculation(reason=unavailable.reason, seconds=time.perf_counter() - began)
    return Calculation(values, "", minimum, time.perf_counter() - began)


def _refuse(numbers: np.ndarray, positions: np.ndarray, charge: int) -> None:
    """Raise `Unavailable` if this is no neutral closed shell, or no molecule."""
    if charge:
        raise Unavailable(CHARGED)
    if int(np.sum(numbers, dtype=np.int64)) % 2:
        raise Unavailable(ODD_ELECTRONS)
    if len(numbers) == 1 and int(numbers[0]) not in CLOSED_SHELL_ATOMS:
        raise Unavailable(OPEN_SHELL_ATOM)
    if len(close_pairs(positions, CLOSEST)):
        raise Unavailable(COINCIDENT)
    if perceive_atoms(numbers, positions).radical:
        raise Unavailable(RADICAL)


def _minimum(numbers: np.ndarray, positions: np.ndarray, method: Method, threads: int) -> np.ndarray:
    from . import xtb

    if method.program == "tblite":
        return xtb.minimum(numbers, positions, method)
    from . import dft

    return dft.minimum(numbers, positions, method, threads)


def _values(
    numbers: np.ndarray, positions: np.ndarray, properties: Sequence[str], method: Method, threads: int
) -> dict[str, float]:
    from . import xtb

    if method.program == "tblite":
        return xtb.values(numbers, positions, properties, method)
    from . import dft

    return dft.values(numbers, positions, properties, method, threads)
