"""Bonds and validity as Open Babel perceives them: a second opinion, by a program that shares nothing with RDKit.

Valid as in the Symphony thesis: at least one bond, and every atom's valence exactly that of its element, H 1, C 4, N 3,
O 2, F 1. Only valences are asked for: fragments pass, zwitterions and nitro groups fail. QM9 itself is 94.6 to 95.4 %
valid, by version. Open Babel is under the GPL: an optional extra that runs in worker processes only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MissingDependencyError
from ..isolation import CRASH, MEMORY, TIME_OUT, Failure, run_isolated
from ..species import NUMBERS, SYMBOLS
from .atoms_frame import pack_atoms
from .bonds import NO_BONDS, OTHER, VALENCE
from .tables import VALENCES

if TYPE_CHECKING:
    from ..molecule import Molecule

PACKAGES = ("openbabel-wheel", "openbabel")
"""Names under which Open Babel for Python is installed."""


@dataclass(frozen=True)
class BabelVerdict:
    """What Open Babel makes of a molecule.

    Attributes:
        reason: why it is invalid; empty if valid.
        smiles: Open Babel's SMILES, hydrogens implicit, in the order of the atoms (not canonical); empty if invalid.
    """

    reason: str = ""
    smiles: str = ""

    @property
    def valid(self) -> bool:
        """Whether there are bonds and every valence is right."""
        return not self.reason


def available() -> bool:
    """Return whether Open Babel is installed."""
    return find_spec("openbabel") is not None


def open_babel_version() -> str:
    """Return the installed version, e.g. "3.1.1.23"; empty if there is none."""
    for package in PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def require_open_babel() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no Open Babel."""
    if not available():
        raise MissingDependencyError(
            "Open Babel validity needs Open Babel, which is not installed: pip install 'atomweave[openbabel]'."
        )


def babel_many(
    molecules: Sequence[Molecule],
    workers: int | None = None,
    timeout: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[BabelVerdict]:
    """Return Open Babel's verdicts on many molecules from worker processes; arguments as `bonds.perceive_many`.

    Raises:
        MissingDependencyError: if Open Babel is not installed.
    """
    from .openbabel_task import unpack_verdict

    require_open_babel()
    requests = [pack_atoms(molecule.numbers, molecule.positions) for molecule in molecules]
    answers = run_isolated("openbabel", requests, workers=workers, timeout=timeout, progress=progress)
    return [_failed(found) if isinstance(found, Failure) else unpack_verdict(found) for found in answers]


def babel_atoms(numbers: np.ndarray, positions: np.ndarray) -> BabelVerdict:
    """Return Open Babel's verdict on (n_atoms,) atomic numbers at (n_atoms, 3) Å, in this process."""
    from openbabel import openbabel as ob

    reader = ob.OBConversion()
    reader.SetInAndOutFormats("xyz", "smi")
    mol = ob.OBMol()
    reader.ReadString(mol, _xyz(numbers, positions))  # reading coordinates perceives bonds and their orders
    if mol.NumAtoms() != len(numbers):
        return BabelVerdict(OTHER)
    if not mol.NumBonds():
        return BabelVerdict(NO_BONDS)
    wanted = {NUMBERS[symbol]: valence for symbol, valence in VALENCES.items()}
    if any(atom.GetExplicitValence() != wanted.get(atom.GetAtomicNum()) for atom in ob.OBMolAtomIter(mol)):
        return BabelVerdict(VALENCE)
    return BabelVerdict("", reader.WriteString(mol).split()[0])


def silence() -> None:
    """Stop Open Babel's own messages in this process, which it prints for every molecule it finds odd."""
    from openbabel import openbabel as ob

    ob.obErrorLog.StopLogging()


def _xyz(numbers: np.ndarray, positions: np.ndarray) -> str:
    lines = [
        f"{SYMBOLS[number]} {x:.8f} {y:.8f} {z:.8f}"
        for number, (x, y, z) in zip(numbers.tolist(), positions.tolist(), strict=True)
    ]
    return "\n".join([str(len(lines)), "", *lines, ""])


def _failed(failure: Failure) -> BabelVerdict:
    return BabelVerdict(failure.reason if failure.reason in {TIME_OUT, CRASH, MEMORY} else OTHER)
