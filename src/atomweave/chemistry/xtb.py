"""A molecule relaxed with GFN2-xTB: neutral, closed shell, in vacuum (tblite).

C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019). Energies are not free energies and the
method is semi-empirical: QM9's own B3LYP geometries move by some hundredths of an ångström.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingDependencyError
from .minimiser import minimise, model_hessian

if TYPE_CHECKING:
    from .minimiser import Energy

HARTREE = 27.211386245988  # eV, CODATA 2018
BOHR = 0.529177210903  # Å, CODATA 2018
HEAVIEST = 86
"""GFN2-xTB has parameters from hydrogen to radon."""

ODD_ELECTRONS = "odd number of electrons"
NO_PARAMETERS = "element without parameters"
NO_FIELD = "no self-consistent field"
NOT_RELAXED = "not relaxed"


@dataclass(frozen=True, eq=False)
class Relaxation:
    """What became of one molecule.

    Attributes:
        reason: why there is no minimum, one of this module's constants; empty if there is one.
        positions: (n_atoms, 3) Å, the minimum, or the last point reached; none if there was no energy at all.
        energy_start: eV; NaN if there is none.
        energy_end: eV; NaN if there is none.
        n_energies: how many energies it took.
    """

    reason: str
    positions: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    energy_start: float = float("nan")
    energy_end: float = float("nan")
    n_energies: int = 0

    @property
    def energy_drop(self) -> float:
        """How far the energy fell; eV."""
        return self.energy_start - self.energy_end


def relax(numbers: np.ndarray, positions: np.ndarray, threshold: float = 0.01, max_energies: int = 300) -> Relaxation:
    """Follow GFN2-xTB's forces to the nearest minimum, in this process and without a time limit.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        threshold: largest force (eV/Å) on any atom at which a molecule counts as relaxed.
        max_energies: energies after which a molecule counts as not relaxed.
    """
    require_tblite()
    if int(np.sum(numbers, dtype=np.int64)) % 2:
        return Relaxation(ODD_ELECTRONS)
    if int(np.max(numbers)) > HEAVIEST:
        return Relaxation(NO_PARAMETERS)
    energy_of = _gfn2(numbers, positions)
    start = energy_of(positions)
    if start is None:
        return Relaxation(NO_FIELD)
    end = minimise(energy_of, positions, model_hessian(numbers, positions), threshold, max_energies)
    assert end is not None, "the start has an energy"
    reason = "" if end.largest_force <= threshold else NOT_RELAXED
    return Relaxation(reason, end.positions, start[0], end.energy, end.n_energies)


def frontier_gap(numbers: np.ndarray, positions: np.ndarray) -> float:
    """Return GFN2-xTB's HOMO-LUMO gap of a geometry as it stands, eV; NaN if there is none.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
    """
    if int(np.sum(numbers, dtype=np.int64)) % 2 or int(np.max(numbers)) > HEAVIEST:
        return float("nan")
    found = single_point(numbers, positions)
    if found is None:
        return float("nan")
    highest, lowest = frontier_orbitals(found)
    return lowest - highest


def single_point(numbers: np.ndarray, positions: np.ndarray, field: np.ndarray | None = None) -> Any:
    """Return tblite's result for a neutral closed shell, in atomic units; None if its field does not converge.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        field: (3,) Hartree/(e Bohr), a uniform electric field.
    """
    from tblite.exceptions import TBLiteRuntimeError

    calculator = _calculator(numbers, positions)
    if field is not None:
        from tblite.library import ffi

        # tblite 0.7 documents an array but passes on what it is given as it is.
        calculator.add("electric-field", ffi.from_buffer("double[]", np.ascontiguousarray(field, np.float64)))
    try:
        return calculator.singlepoint()
    except TBLiteRuntimeError:  # it says so only when the field does not converge
        return None


def frontier_orbitals(found: Any) -> tuple[float, float]:
    """Return the energies (eV) of a `single_point`'s highest occupied and lowest empty orbital, NaN if none is."""
    energies, occupied = found.get("orbital-energies") * HARTREE, found.get("orbital-occupations") > 1.0
    lowest = float(energies[~occupied].min()) if (~occupied).any() else float("nan")
    return float(energies[occupied].max()), lowest


def require_tblite() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no tblite."""
    try:
        import tblite.interface  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "GFN2-xTB needs tblite, which is not installed: pip install 'atomweave[xtb]'."
        ) from None


def _calculator(numbers: np.ndarray, positions: np.ndarray) -> Any:
    from tblite.interface import Calculator

    calculator = Calculator("GFN2-xTB", np.asarray(numbers, np.int32), positions / BOHR)
    calculator.set("verbosity", 0)
    return calculator


def _gfn2(numbers: np.ndarray, positions: np.ndarray) -> Energy:
    """Return energy and gradient by position; each self-consistent field starts from the one before."""
    from tblite.exceptions import TBLiteRuntimeError

    calculator = _calculator(numbers, positions)
    last: Any = None

    def energy_of(positions: np.ndarray) -> tuple[float, np.ndarray] | None:
        nonlocal last
        calculator.update(positions / BOHR)
        try:
            last = calculator.singlepoint(last)
        except TBLiteRuntimeError:  # it says so only when the field does not converge
            last = None
            return None
        energy, gradient = float(last.get("energy")) * HARTREE, last.get("gradient") * (HARTREE / BOHR)
        return (energy, gradient) if np.isfinite(energy) and np.isfinite(gradient).all() else None

    return energy_of
