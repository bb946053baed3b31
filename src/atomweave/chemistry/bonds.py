"""Bonds from positions (xyz2mol), with a verdict that does not change with the installed RDKit.

Connectivity is ours (`radii.bonded_pairs`, the radii that made the published figures), RDKit then finds the bond
orders of the neutral molecule: Y. Kim, W. Y. Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as `rdDetermineBonds`
implements it, and what charges other orders can do without are taken away (`uncharged`). A molecule is valid if it has
a bond and orders exist; as published, several fragments and zwitterions pass. `strict` is the verdict a chemist would
give: one fragment, every atom neutral, no radical.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, MissingDependencyError
from ..isolation import CRASH, MEMORY, TIME_OUT, Failure, run_isolated
from .atoms_frame import pack_atoms
from .close_pairs import MOST_ATOMS_IN_PAIRS, ClosePairs, close_pairs
from .identity import canonical_smiles
from .isosteres import as_isosteres, charged_groups, restore
from .radii import bonded_among, longest_bond
from .uncharged import uncharged

if TYPE_CHECKING:
    from rdkit import Chem

    from ..molecule import Molecule
    from .lookup import LookUp

MAX_ITERATIONS = 20_000
"""Combinations of valences tried before a molecule counts as invalid; dense garbage would go on for minutes."""

NO_BONDS = "no bonds"
VALENCE = "impossible valence"
CHARGE = "no neutral bond orders"
SANITISATION = "sanitisation fails"
TOO_MANY = "too many bond orders to try"
OTHER = "perception fails"

_REASONS = {
    "Unable to determine valence": VALENCE,
    "Valence of atom": VALENCE,
    "Explicit valence": VALENCE,
    "molecular charge": CHARGE,
    "Max Iterations Exceeded": TOO_MANY,
    "kekulize": SANITISATION,
}
"""Part of RDKit's sentence -> the reason under which a molecule is counted."""


@dataclass(frozen=True, eq=False)
class Perception:
    """What xyz2mol found.

    Attributes:
        reason: why there are no valid bonds, one of this module's few constants; empty if valid.
        detail: the same in RDKit's own words, where it spoke.
        smiles: canonical SMILES, see `identity`; empty if invalid.
        strict: one fragment, every atom neutral, no radical.
        binary: the molecule with bonds and one conformer in RDKit's binary format; empty if invalid.
        bonds: (n_bonds, 2) int64, bonded atoms, the first index smaller; none if invalid.
        orders: (n_bonds,) float64, bond orders 1, 1.5 (aromatic), 2 or 3.
        rings: number of atoms of each ring of the smallest set of smallest rings.
        lookup: the verdict by the look-up table, where that was asked for as well.
    """

    reason: str = ""
    detail: str = ""
    smiles: str = ""
    strict: bool = False
    binary: bytes = b""
    bonds: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    orders: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rings: tuple[int, ...] = ()
    lookup: LookUp | None = None

    @property
    def valid(self) -> bool:
        """Whether bonds and bond orders exist."""
        return not self.reason

    @property
    def n_fragments(self) -> int:
        """Number of connected parts, 0 if invalid."""
        return self.smiles.count(".") + 1 if self.smiles else 0

    @property
    def radical(self) -> bool:
        """Whether an atom has unpaired electrons; not known, and so False, if there are no valid bonds."""
        return (
            not self.strict
            and self.mol is not None
            and any(atom.GetNumRadicalElectrons() for atom in self.mol.GetAtoms())
        )

    @cached_property
    def mol(self) -> Chem.Mol | None:
        """The RDKit molecule, or None if invalid."""
        from rdkit import Chem

        return Chem.Mol(self.binary) if self.binary else None  # type: ignore[call-overload] # its stubs forget bytes

    def mol_or_raise(self) -> Chem.Mol:
        """Return the RDKit molecule.

        Raises:
            InputError: if there is none; the message says why.
        """
        if self.mol is None:
            said = f" ({self.detail})" if self.detail else ""
            raise InputError(f"the molecule has no valid set of bonds: {self.reason}{said}.")
        return self.mol


def perceive(molecule: Molecule, charge: int = 0) -> Perception:
    """Find bonds and bond orders of one molecule in this process, without a time limit (0.25 ms for one of QM9)."""
    return perceive_atoms(molecule.numbers, molecule.positions, charge=charge)


def perceive_many(
    molecules: Sequence[Molecule],
    workers: int | None = None,
    timeout: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
    lookup: bool = False,
) -> list[Perception]:
    """Find bonds and bond orders of many molecules in worker processes that a hang or a crash cannot bring down.

    Args:
        molecules: what to perceive.
        workers: number of processes; by default one for each CPU this process may use, fewer if there is little to do.
        timeout: seconds of wall-clock time for one molecule, after which it is invalid with reason `TIME_OUT`.
        progress: called with (done, total) now and then.
        lookup: give the verdict by the look-up table as well, in the same pass.

    Returns:
        One perception a molecule, in order. A molecule that kills its worker is invalid with reason `CRASH`, one that
        takes too much memory with reason `MEMORY`.
    """
    from .bonds_task import unpack_perception

    require_rdkit()
    requests = [pack_atoms(molecule.numbers, molecule.positions) for molecule in molecules]
    options = {"lookup": lookup}
    answers = run_isolated("bonds", requests, options=options, workers=workers, timeout=timeout, progress=progress)
    found = [_failed(answer) if isinstance(answer, Failure) else unpack_perception(answer) for answer in answers]
    return _with_look_ups(molecules, found, workers, timeout) if lookup else found


def _with_look_ups(
    molecules: Sequence[Molecule], found: list[Perception], workers: int | None, timeout: float
) -> list[Perception]:
    """Give those their look-up verdict whose worker ended: what xyz2mol cannot bear the table may well."""
    from .lookup import look_up_many

    lost = [index for index, perception in enumerate(found) if perception.lookup is None]
    verdicts = look_up_many([molecules[index] for index in lost], workers, timeout)
    for index, verdict in zip(lost, verdicts, strict=True):
        found[index] = replace(found[index], lookup=verdict)
    return found


def perceive_atoms(
    numbers: np.ndarray, positions: np.ndarray, close: ClosePairs | None = None, charge: int = 0
) -> Perception:
    """Find bonds and bond orders of atoms that need no further check.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        close: their close pairs, if known, reaching to `radii.longest_bond` at least.
        charge: of all atoms together; every verdict of a sample is of 0.
    """
    require_rdkit()
    from rdkit import Chem, rdBase

    try:
        pairs = bonded_among(numbers, close_pairs(positions, longest_bond(numbers)) if close is None else close)
    except InputError as error:
        return Perception(VALENCE, str(error))
    if not len(pairs):
        return Perception(NO_BONDS)
    with rdBase.BlockLogs():  # the reason is returned, so RDKit need not print it
        try:
            mol = with_orders(numbers, positions, pairs, charge)
        except (ValueError, RuntimeError) as error:
            return _refusal(str(error))
        smiles = canonical_smiles(mol)
        strict = "." not in smiles and not len(mol.GetAtomsMatchingQuery(_charged_or_radical()))
        # Nothing but what cannot be computed again: RDKit's own properties are three times the molecule.
        binary = mol.ToBinary(Chem.PropertyPickleOptions.CoordsAsDouble)
        return Perception("", "", smiles, strict, binary, pairs, _orders(mol, pairs), _ring_sizes(mol))


def with_orders(numbers: np.ndarray, positions: np.ndarray, pairs: np.ndarray, charge: int = 0) -> Chem.Mol:
    """Return a molecule with bond orders, and no charges that other orders do without.

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.
        pairs: (n_bonds, 2) bonded atoms.
        charge: of the whole molecule.

    Raises:
        ValueError, RuntimeError: of RDKit, if there are no orders.
    """
    from rdkit.Chem.rdDetermineBonds import DetermineBondOrders

    groups = charged_groups(numbers, pairs)
    if len(groups):
        mol: Chem.Mol = skeleton(as_isosteres(numbers, groups), positions, pairs)
        with contextlib.suppress(ValueError, RuntimeError):
            DetermineBondOrders(mol, charge=charge, maxIterations=MAX_ITERATIONS)
            mol = uncharged(mol)
            if restore(mol, groups):
                return mol
    mol = skeleton(numbers, positions, pairs)
    DetermineBondOrders(mol, charge=charge, maxIterations=MAX_ITERATIONS)
    return uncharged(mol)


def require_rdkit() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no RDKit."""
    try:
        import rdkit  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "bonds need RDKit, which is not installed: pip install 'atomweave[eval]'."
        ) from None


def _orders(mol: Chem.Mol, pairs: np.ndarray) -> np.ndarray:
    from rdkit import Chem

    if mol.GetNumAtoms() > MOST_ATOMS_IN_PAIRS:
        return np.array([bond.GetBondTypeAsDouble() for bond in mol.GetBonds()])
    # For a small molecule a matrix of all pairs is made faster than a Python loop runs over its bonds.
    return Chem.GetAdjacencyMatrix(mol, useBO=True)[pairs[:, 0], pairs[:, 1]].astype(np.float64)


def _ring_sizes(mol: Chem.Mol) -> tuple[int, ...]:
    from rdkit import Chem

    # Sanitisation left these rings; in cages it adds others as small, and only there they are sought again.
    rings = mol.GetRingInfo().AtomRings()
    if not rings:
        return ()
    n_independent = mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol))
    return tuple(len(ring) for ring in (rings if len(rings) == n_independent else Chem.GetSSSR(mol)))


def skeleton(numbers: np.ndarray, positions: np.ndarray, pairs: np.ndarray) -> Chem.RWMol:
    """Return an RDKit molecule whose bonds, (n_bonds, 2) `pairs`, are all single, with one conformer."""
    from rdkit import Chem

    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(_prototype(number))
    single = Chem.BondType.SINGLE
    for a, b in pairs.tolist():
        mol.AddBond(a, b, single)
    conformer = Chem.Conformer(len(numbers))
    conformer.SetPositions(np.ascontiguousarray(positions, np.float64))
    mol.AddConformer(conformer, assignId=True)
    return mol


@cache
def _prototype(number: int) -> Chem.Atom:
    from rdkit import Chem

    atom = Chem.Atom(number)
    atom.SetNoImplicit(True)  # every hydrogen is an atom; none may be invented
    return atom


@cache
def _charged_or_radical() -> Chem.QueryAtom:
    # A query runs over the atoms in C++; a Python loop over them costs more than the bond orders.
    from rdkit import Chem
    from rdkit.Chem import rdqueries

    query = rdqueries.FormalChargeEqualsQueryAtom(0, negate=True)
    query.ExpandQuery(rdqueries.NumRadicalElectronsGreaterQueryAtom(0), Chem.CompositeQueryType.COMPOSITE_OR)
    return query


def _failed(failure: Failure) -> Perception:
    """Return the perception of a molecule to which no worker had an answer."""
    reason = failure.reason if failure.reason in {TIME_OUT, CRASH, MEMORY} else OTHER
    return Perception(reason, failure.detail)


def _refusal(said: str) -> Perception:
    said = said.strip().splitlines()[0] if said.strip() else ""
    reason = next((reason for part, reason in _REASONS.items() if part.lower() in said.lower()), OTHER)
    return Perception(reason, said)
