"""Properties by GFN2-xTB (tblite), for screening: quick, and not those of density functional theory.

Its gaps lie some eV below those of hybrid functionals. Its basis is minimal, so that its polarizabilities, central
differences of the dipole in a uniform field, are far too small; both follow the others in order rather than in value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..chemistry.xtb import HARTREE, HEAVIEST, frontier_orbitals, relax, require_tblite, single_point
from .methods import PROPERTIES
from .reasons import NO_EMPTY_ORBITAL, NO_PARAMETERS, NOT_CONVERGED, Unavailable
from .units import DEBYE

if TYPE_CHECKING:
    from .methods import Method


def values(numbers: np.ndarray, positions: np.ndarray, properties: Sequence[str], method: Method) -> dict[str, float]:
    """Return properties of a neutral closed shell; arguments and units as `calculate.calculate` has them.

    Raises:
        Unavailable: with the reason, if there are none.
        MissingDependencyError: if tblite is not installed.
    """
    require_tblite()
    if int(np.max(numbers)) > HEAVIEST:
        raise Unavailable(NO_PARAMETERS)
    found = _field(numbers, positions)
    homo, lumo = frontier_orbitals(found)
    if np.isnan(lumo) and {"gap", "lumo"} & set(properties):
        raise Unavailable(NO_EMPTY_ORBITAL)
    calculated = {
        "gap": lumo - homo,
        "homo": homo,
        "lumo": lumo,
        "energy": float(found.get("energy")) * HARTREE,
        "dipole": float(np.linalg.norm(found.get("dipole"))) * DEBYE,
    }
    if "polarizability" in properties:
        calculated["polarizability"] = _polarizability(numbers, positions, float(method.settings["field"]))
    for name in set(properties) - set(calculated):
        calculated[name] = float(PROPERTIES[name].read["tblite"](found))
    return {name: calculated[name] for name in properties}


def minimum(numbers: np.ndarray, positions: np.ndarray, method: Method) -> np.ndarray:
    """Return the positions (n_atoms, 3) in Å of the nearest minimum.

    Raises:
        Unavailable: with the reason, if none is reached.
        MissingDependencyError: if tblite is not installed.
    """
    settings = method.settings
    found = relax(numbers, positions, float(settings["relaxed_force"]), int(settings["relaxed_energies"]))
    if found.reason:
        raise Unavailable(found.reason)
    return found.positions


def _polarizability(numbers: np.ndarray, positions: np.ndarray, strength: float) -> float:
    """Return a third of the trace of the dipole's central differences, Bohr^3."""
    fields = strength * np.eye(3)
    rises = [
        _field(numbers, positions, field).get("dipole") - _field(numbers, positions, -field).get("dipole")
        for field in fields
    ]
    return float(np.trace(rises)) / (6 * strength)


def _field(numbers: np.ndarray, positions: np.ndarray, field: np.ndarray | None = None) -> Any:
    found = single_point(numbers, positions, field)
    if found is None:
        raise Unavailable(NOT_CONVERGED)
    return found
