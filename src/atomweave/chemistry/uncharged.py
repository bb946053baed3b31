"""Charges that cancel when bond orders move: for thiophenes and the like, which xyz2mol leaves as zwitterions.

xyz2mol takes the first set of bond orders whose charges sum to zero, and asks a sulfur for six, then three, then two
bonds: wherever alternating bonds lead from a C-S-C to an acceptor, it ends at C=[S+]-C ... C-[O-]. Two sets of orders
differ by paths along which orders fall and rise in turn (J. Edmonds, Canad. J. Math. 17, 449 (1965)). One from a cation
to an anion that leaves both neutral takes their charges away and changes the valence of no other atom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .valences import NEUTRAL

if TYPE_CHECKING:
    from rdkit import Chem

NITROGEN, OXYGEN = 7, 8

MOST_STEPS = 20_000
"""Bonds looked at in one molecule; what is charged after so many stays charged."""


def uncharged(mol: Chem.Mol) -> Chem.Mol:
    """Return a molecule without the charges that such paths, or a further bond between cation and anion, take away.

    Args:
        mol: sanitised, every hydrogen an atom, with a conformer; left as it is.

    Returns:
        The same atoms and bonds with other bond orders, sanitised, its stereochemistry read off the conformer; `mol`
        itself where there is nothing to take away.
    """
    from rdkit import Chem

    if not len(mol.GetAtomsMatchingQuery(_charged(1))) or not len(mol.GetAtomsMatchingQuery(_charged(-1))):
        return mol
    charges = [atom.GetFormalCharge() for atom in mol.GetAtoms()]
    changed = Chem.RWMol(mol)
    Chem.Kekulize(changed, clearAromaticFlags=True)
    orders = _Orders.of(changed, charges)
    if not orders.improve():
        return mol
    for bond, order in zip(changed.GetBonds(), orders.orders, strict=True):
        bond.SetBondType(Chem.BondType.values[order])
    for atom, charge in zip(changed.GetAtoms(), orders.charges, strict=True):
        atom.SetFormalCharge(charge)
    if Chem.SanitizeMol(changed, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return mol
    Chem.AssignStereochemistryFrom3D(changed, replaceExistingTags=True)
    return changed.GetMol()


@cache
def _charged(charge: int) -> Chem.QueryAtom:
    # A query runs over the atoms in C++; a Python loop over them costs more than the bond orders.
    from rdkit.Chem import rdqueries

    return rdqueries.FormalChargeEqualsQueryAtom(charge)


@dataclass
class _Orders:
    """Bond orders and charges of a molecule without aromatic bonds."""

    numbers: list[int]  # atomic numbers
    charges: list[int]  # formal
    orders: list[int]  # of the bonds
    neighbours: list[list[tuple[int, int]]]  # of each atom: (bond, atom)
    steps: int = 0

    @classmethod
    def of(cls, mol: Chem.Mol, charges: list[int]) -> _Orders:
        neighbours: list[list[tuple[int, int]]] = [[] for _ in charges]
        orders = []
        for index, bond in enumerate(mol.GetBonds()):
            a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            neighbours[a].append((index, b))
            neighbours[b].append((index, a))
            orders.append(int(bond.GetBondTypeAsDouble()))
        return cls([atom.GetAtomicNum() for atom in mol.GetAtoms()], charges, orders, neighbours)

    def improve(self) -> bool:
        """Move orders as long as a path is found, and return whether any moved."""
        before = list(self.orders)
        self._cancel()
        # What is left on S+ or O+ belongs on the nitrogen of an N-oxide, from where it may cancel yet: a nitro group's.
        for cation in self._cations():
            if self.numbers[cation] != NITROGEN and self._move(cation, -1, self._is_oxide, left=1):
                self._cancel()
        return self.orders != before

    def _cancel(self) -> None:
        for change in (-1, 1):  # 1: a sulfoxide's sulfur beside its oxygen, say, or a stabilised ylide's
            for cation in self._cations():
                self._move(cation, change, self._is_anion, left=0)

    def _cations(self) -> list[int]:
        return [atom for atom, charge in enumerate(self.charges) if charge == 1]

    def _is_anion(self, atom: int) -> bool:
        return self.charges[atom] == -1 and self._is_neutral(atom, 1)

    def _is_oxide(self, atom: int) -> bool:
        """Return whether an atom is a neutral nitrogen with a negative oxygen, which had better be N+."""
        oxygens = [other for _, other in self.neighbours[atom] if self.numbers[other] == OXYGEN]
        return (
            self.numbers[atom] == NITROGEN
            and self.charges[atom] == 0
            and self._is_neutral(atom, 0)
            and any(self.charges[oxygen] == -1 for oxygen in oxygens)
        )

    def _is_neutral(self, atom: int, more: int) -> bool:
        """Return whether an atom with so much more bond order is neutral."""
        valence = sum(self.orders[bond] for bond, _ in self.neighbours[atom])
        return valence + more in NEUTRAL.get(self.numbers[atom], ())

    def _move(self, cation: int, change: int, is_end: Callable[[int], bool], left: int) -> bool:
        """Move the charge of a cation along a path, and return whether there is one.

        Args:
            cation: where the path begins.
            change: of the order of its first bond.
            is_end: whether it may end at an atom.
            left: charge that this atom has afterwards.
        """
        if not self._is_neutral(cation, change):
            return False
        # Orders that rise at the end, and fall and rise in turn, are of an even number of bonds where the first falls.
        for length in range(2 if change < 0 else 1, len(self.numbers), 2):
            if path := self._path(cation, change, length, is_end, {cation}):
                for bond, _ in path:
                    self.orders[bond] += change
                    change = -change
                self.charges[cation], self.charges[path[-1][1]] = 0, left
                return True
        return False

    def _path(
        self, atom: int, change: int, length: int, is_end: Callable[[int], bool], seen: set[int]
    ) -> list[tuple[int, int]]:
        """Return the (bond, atom) of a path of so many bonds from an atom on, empty if there is none."""
        for bond, other in self.neighbours[atom]:
            self.steps += 1
            if self.steps > MOST_STEPS:
                return []
            if other in seen or not 1 <= self.orders[bond] + change <= 3:
                continue
            if length > 1:
                if rest := self._path(other, -change, length - 1, is_end, seen | {other}):
                    return [(bond, other), *rest]
            elif is_end(other):
                return [(bond, other)]
        return []
