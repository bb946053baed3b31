"""A molecule: atomic numbers and positions in Å, checked when made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .species import NUMBERS, SYMBOLS

if TYPE_CHECKING:
    import ase
    from rdkit import Chem

COINCIDENT_DISTANCE = 1e-3
"""Two atoms nearer than this (Å) are one atom written twice; the shortest bond there is, H-H, measures 0.74 Å."""

LARGEST_COORDINATE = 1e8
"""Å, one centimetre: what lies beyond is no molecule, and its squares would overflow sooner or later."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms in space.

    Raises:
        InputError: if there are no atoms, shapes do not fit, an element is unknown, a position is not finite or beyond
            `LARGEST_COORDINATE`, or two atoms coincide.
    """

    numbers: np.ndarray  # (n_atoms,) uint8, atomic numbers
    positions: np.ndarray  # (n_atoms, 3) float64, Å
    properties: Mapping[str, Any] = field(default_factory=dict)  # named numbers, strings or flags of the whole molecule

    def __post_init__(self) -> None:
        try:
            numbers = np.array(
                [NUMBERS[n] if isinstance(n, str) else int(n) for n in np.asarray(self.numbers).tolist()]
            )
            positions = np.array(self.positions, np.float64)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"atoms cannot be read as numbers and positions: {error}.") from None
        if numbers.ndim != 1 or len(numbers) == 0:
            raise InputError("a molecule needs at least one atom, got none.")
        if positions.shape != (len(numbers), 3):
            raise InputError(f"positions have shape {positions.shape}, wanted ({len(numbers)}, 3).")
        unknown = (numbers < 1) | (numbers >= len(SYMBOLS))
        if unknown.any():
            atom = int(np.argmax(unknown))
            raise InputError(f"atom {atom}: atomic number {numbers[atom]} is unknown, wanted 1 to 118.")
        if not np.isfinite(positions).all():
            atom = int(np.argmin(np.isfinite(positions).all(1)))
            raise InputError(f"atom {atom} ({SYMBOLS[numbers[atom]]}): position is not finite.")
        if abs(positions).max() > LARGEST_COORDINATE:
            atom = int(np.argmax(abs(positions).max(1)))
            raise InputError(f"atom {atom} ({SYMBOLS[numbers[atom]]}): position is beyond {LARGEST_COORDINATE:g} Å.")
        pair = coincident_pair(positions)
        if pair is not None:
            raise InputError(f"atoms {pair[0]} and {pair[1]} coincide (nearer than {COINCIDENT_DISTANCE} Å).")
        numbers = numbers.astype(np.uint8)
        numbers.setflags(write=False)
        positions.setflags(write=False)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "properties", dict(self.properties))

    def __len__(self) -> int:
        return len(self.numbers)

    def __reduce__(self) -> tuple[type[Molecule], tuple[np.ndarray, np.ndarray, Mapping[str, Any]]]:
        # Sent to another process, arrays lose their write protection; made anew, a molecule has it again.
        return Molecule, (self.numbers, self.positions, self.properties)

    @property
    def symbols(self) -> list[str]:
        """Element symbols, one an atom."""
        return [SYMBOLS[number] for number in self.numbers]

    @property
    def formula(self) -> str:
        """Molecular formula in Hill order, e.g. "C2H6O"."""
        return formula(self.numbers.tolist())

    def __repr__(self) -> str:
        return f"Molecule({self.formula}, {len(self)} atoms)"

    def _repr_html_(self) -> str:
        from .chemistry.view import html_of

        return html_of(self)

    def to_ase(self) -> ase.Atoms:
        """Return `ase.Atoms` with the properties in `info`."""
        from ase import Atoms

        return Atoms(numbers=self.numbers, positions=self.positions, info=dict(self.properties))

    @classmethod
    def from_ase(cls, atoms: ase.Atoms) -> Molecule:
        """Make a molecule of `ase.Atoms`; `info` becomes the properties, cell and periodicity are ignored."""
        return cls(atoms.numbers, atoms.positions, dict(atoms.info))

    def to_rdkit(self) -> Chem.Mol:
        """Return an RDKit molecule with one conformer and the bonds found by `chemistry.bonds` (xyz2mol).

        Raises:
            InputError: if no valid set of bonds exists; the message says why.
        """
        from .chemistry.bonds import perceive

        return perceive(self).mol_or_raise()

    @classmethod
    def from_rdkit(cls, mol: Chem.Mol, conformer: int = -1) -> Molecule:
        """Make a molecule of one conformer of an RDKit molecule; hydrogens must be explicit atoms.

        Its properties become the molecule's, and so does its charge, if it has any.

        Raises:
            InputError: if there is no conformer, or one in two dimensions, or hydrogens are implicit.
        """
        if mol.GetNumConformers() == 0:
            raise InputError("the RDKit molecule has no conformer: embed it first (AllChem.EmbedMolecule).")
        if any(atom.GetTotalNumHs() for atom in mol.GetAtoms()):
            raise InputError("the RDKit molecule has implicit hydrogens: call Chem.AddHs(mol, addCoords=True) first.")
        chosen = mol.GetConformer(conformer)
        if mol.GetNumAtoms() > 1 and not chosen.Is3D():
            raise InputError("the RDKit molecule's conformer is a drawing in 2D: embed it (AllChem.EmbedMolecule).")
        charge = sum(atom.GetFormalCharge() for atom in mol.GetAtoms())
        properties = ({"charge": charge} if charge else {}) | mol.GetPropsAsDict()
        return cls(np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), chosen.GetPositions(), properties)


def charge_of(molecule: Molecule) -> float:
    """Return the charge that a molecule has by its property "charge", 0 without one; geometries alone do not tell."""
    try:
        return float(molecule.properties.get("charge", 0))
    except (TypeError, ValueError):
        return 0.0


def formula(numbers: Iterable[int]) -> str:
    """Return the formula in Hill order of atomic numbers, one an atom."""
    count = {SYMBOLS[number]: n for number, n in Counter(numbers).items()}
    first = [symbol for symbol in ("C", "H") if "C" in count and symbol in count]
    order = first + sorted(set(count) - set(first))
    return "".join(symbol + (str(count[symbol]) if count[symbol] > 1 else "") for symbol in order)


def coincident_pair(positions: np.ndarray, groups: np.ndarray | None = None) -> tuple[int, int] | None:
    """Return two indices of atoms nearer than `COINCIDENT_DISTANCE`, or None; memory grows linearly with atoms.

    Args:
        positions: (n, 3), Å, finite.
        groups: (n,) whole numbers; atoms of different groups (molecules) may coincide. None for one group.
    """
    x = positions[:, 0]
    order = np.argsort(x, kind="stable") if groups is None else np.lexsort((x, groups))
    for shift in range(1, len(order)):
        one, other = order[:-shift], order[shift:]
        near = x[other] - x[one] < COINCIDENT_DISTANCE
        if groups is not None:
            near &= groups[one] == groups[other]
        if not near.any():
            return None
        if pair := _nearer(positions, one[near], other[near]):
            return pair
        if shift == _MANY:
            break
    # So many atoms in a plane of one x: a sheet of carbon, or a file that is meant to take for ever.
    return _coincident_in_cells(positions, groups) if len(order) > 1 else None


_MANY = 32


def _coincident_in_cells(positions: np.ndarray, groups: np.ndarray | None) -> tuple[int, int] | None:
    """Do as `coincident_pair` by cells: two atoms that near share a cell in one of eight grids moved against another.

    A cell of twice the distance holds some twenty atoms at most before two of them coincide.
    """
    labels = np.zeros(len(positions), np.int64) if groups is None else groups
    for corner in np.ndindex(2, 2, 2):
        cells = np.floor(positions / (2 * COINCIDENT_DISTANCE) + 0.5 * np.array(corner)).astype(np.int64)
        keys = np.column_stack([labels, cells])
        order = np.lexsort(keys.T)
        for shift in range(1, len(order)):
            one, other = order[:-shift], order[shift:]
            same = (keys[one] == keys[other]).all(1)
            if not same.any():
                break
            if pair := _nearer(positions, one[same], other[same]):
                return pair
    return None


def _nearer(positions: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[int, int] | None:
    distances = np.linalg.norm(positions[one] - positions[other], axis=1)
    if not (distances < COINCIDENT_DISTANCE).any():
        return None
    first = int(np.argmax(distances < COINCIDENT_DISTANCE))
    a, b = sorted((int(one[first]), int(other[first])))
    return a, b
