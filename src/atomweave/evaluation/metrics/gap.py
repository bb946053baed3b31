"""HOMO-LUMO gaps of GFN2-xTB, a quick stand-in for those of density functional theory.

It is another property: xTB's gaps are orbital energies of a semi-empirical method, some eV below those of hybrid
functionals such as B3LYP, and follow them in order rather than in value.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...chemistry.atoms_frame import pack_atoms, unpack_atoms
from ...chemistry.xtb import frontier_gap, require_tblite
from ...isolation import Failure, run_isolated

if TYPE_CHECKING:
    from ...molecule import Molecule


def frontier_gaps(molecules: Sequence[Molecule], workers: int | None = None, timeout: float = 60.0) -> np.ndarray:
    """Return the gap of each molecule as it stands, eV; NaN where there is none: odd electrons, no field, a time-out.

    Args:
        molecules: neutral ones.
        workers: processes; by default one for each CPU.
        timeout: seconds of wall-clock time for one molecule.

    Raises:
        MissingDependencyError: if tblite is not installed.
    """
    require_tblite()
    answers = run_isolated(
        "xtb_gap",
        [pack_atoms(molecule.numbers, molecule.positions) for molecule in molecules],
        workers=workers,
        timeout=timeout,
        min_per_worker=8,
    )
    return np.array([np.nan if isinstance(found, Failure) else struct.unpack("<d", found)[0] for found in answers])


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - what every task offers
    """Import tblite."""
    require_tblite()


def answer(request: bytes, options: dict[str, Any]) -> bytes:  # noqa: ARG001 - what every task offers
    """Return the gap of packed atoms as eight bytes."""
    return struct.pack("<d", frontier_gap(*unpack_atoms(request)))
