"""Bonds and validity by the look-up table of EDM: orders read from distances, no charges, no aromaticity.

A molecule is valid if RDKit can sanitise it with these bonds; atoms without enough bonds get implicit hydrogens, so
that only too many bonds are an error. As published, its SMILES, by which uniqueness is counted, is that of its largest
fragment. Source: E. Hoogeboom et al., ICML 2022; numbers in `tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..isolation import CRASH, MEMORY, TIME_OUT, Failure, run_isolated
from ..species import NUMBERS
from .atoms_frame import pack_atoms
from .bonds import OTHER, SANITISATION, VALENCE, require_rdkit
from .close_pairs import ClosePairs, close_pairs
from .identity import canonical_smiles
from .tables import LENGTHS, MARGINS, VALENCES

if TYPE_CHECKING:
    from rdkit import Chem

    from ..molecule import Molecule

NOT_IN_TABLE = "element not in the table"

KNOWN = frozenset(NUMBERS[symbol] for symbol in VALENCES)
"""Atomic numbers that the table covers."""


@dataclass(frozen=True)
class LookUp:
    """The verdict by the look-up table.

    Attributes:
        reason: why the molecule is invalid; empty if it is valid.
        detail: the same in RDKit's own words, where it spoke.
        smiles: canonical SMILES of the largest fragment (the first of equal ones); empty if invalid.
        n_fragments: number of connected parts, 0 if invalid.
    """

    reason: str = ""
    detail: str = ""
    smiles: str = ""
    n_fragments: int = 0

    @property
    def valid(self) -> bool:
        """Whether RDKit can sanitise the molecule."""
        return not self.reason


def look_up(molecule: Molecule) -> LookUp:
    """Return the verdict on one molecule in this process."""
    return look_up_atoms(molecule.numbers, molecule.positions)


def look_up_many(
    molecules: Sequence[Molecule],
    workers: int | None = None,
    timeout: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[LookUp]:
    """Return the verdicts on many molecules from worker processes; arguments as `bonds.perceive_many`.

    Where bonds are sought as well, `bonds.perceive_many(..., lookup=True)` gives both for little more than one.
    """
    from .lookup_task import unpack_look_up

    require_rdkit()
    requests = [pack_atoms(molecule.numbers, molecule.positions) for molecule in molecules]
    answers = run_isolated("lookup", requests, workers=workers, timeout=timeout, progress=progress)
    return [_failed(found) if isinstance(found, Failure) else unpack_look_up(found) for found in answers]


def look_up_atoms(numbers: np.ndarray, positions: np.ndarray, close: ClosePairs | None = None) -> LookUp:
    """Return the verdict on atoms that need no further check.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        close: their close pairs, if known, reaching to `longest_look_up()` at least.
    """
    require_rdkit()
    from rdkit import Chem, rdBase

    if not KNOWN.issuperset(numbers.tolist()):
        return LookUp(NOT_IN_TABLE)
    try:
        close = close_pairs(positions, longest_look_up()) if close is None else close
    except InputError as error:
        return LookUp(VALENCE, str(error))
    mol = _built(numbers, close)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(mol)
            smiles = canonical_smiles(mol)
            n_fragments = smiles.count(".") + 1
            if n_fragments > 1:
                fragments = Chem.GetMolFrags(mol, asMols=True)
                smiles = canonical_smiles(max(fragments, key=lambda fragment: fragment.GetNumAtoms()))
        except (ValueError, RuntimeError) as error:
            said = str(error).strip().partition("\n")[0]
            return LookUp(VALENCE if "valence" in said.lower() else SANITISATION, said)
    return LookUp("", "", smiles, n_fragments)


def orders_of(numbers: np.ndarray, close: ClosePairs) -> np.ndarray:
    """Return the bond orders of close pairs by the table, 0 for no bond; (n_pairs,) int64.

    Args:
        numbers: (n_atoms,) atomic numbers.
        close: pairs of these atoms.
    """
    kinds = _kinds()[numbers]
    pair = kinds[close.first] * (len(VALENCES) + 1) + kinds[close.second]
    picometres = 100 * close.distances
    # The limits fall from order to order, so whatever is below one is below those before.
    return sum((picometres < limit[pair] for limit in _limits()), np.zeros(len(close), np.int64))


@cache
def longest_look_up() -> float:
    """Return the distance (Å) at which no pair is bonded any more."""
    return float(_limits().max()) / 100


def _built(numbers: np.ndarray, close: ClosePairs) -> Chem.RWMol:
    from rdkit import Chem

    orders = orders_of(numbers, close)
    bonded = orders.nonzero()[0]
    kinds = _bond_types()
    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(_prototype(number))
    first, second = close.first[bonded].tolist(), close.second[bonded].tolist()
    for a, b, order in zip(first, second, orders[bonded].tolist(), strict=True):
        mol.AddBond(a, b, kinds[order])
    return mol


@cache
def _bond_types() -> dict[int, Chem.BondType]:
    from rdkit import Chem

    return {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}


@cache
def _prototype(number: int) -> Chem.Atom:
    from rdkit import Chem

    return Chem.Atom(number)


@cache
def _kinds() -> np.ndarray:
    """Row of the table by atomic number, (119,) int64; 0 for elements that the table leaves out."""
    kinds = np.zeros(max(NUMBERS.values()) + 1, np.int64)
    for kind, symbol in enumerate(VALENCES, 1):
        kinds[NUMBERS[symbol]] = kind
    return kinds


@cache
def _limits() -> np.ndarray:
    """Length plus margin by order and pair of kinds, (3, n_kinds * n_kinds) pm; 0 where there is no such bond."""
    kind = {symbol: index for index, symbol in enumerate(VALENCES, 1)}
    limits = np.zeros((len(LENGTHS), len(kind) + 1, len(kind) + 1))
    for limit, lengths, margin in zip(limits, LENGTHS, MARGINS, strict=True):
        for pair, length in lengths.items():
            first, second = pair[0], pair[1]
            limit[kind[first], kind[second]] = limit[kind[second], kind[first]] = length + margin
    return limits.reshape(len(LENGTHS), -1)


def _failed(failure: Failure) -> LookUp:
    reason = failure.reason if failure.reason in {TIME_OUT, CRASH, MEMORY} else OTHER
    return LookUp(reason, failure.detail)
