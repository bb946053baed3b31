"""Which grown molecules are neutral closed shells: only those count, whatever number a calculation would return.

Published "best" gaps of a few tenths of an eV and polarizabilities of hundreds of Bohr^3 are those of radicals, some
turned into anions. Bonds are perceived so that the whole is neutral; electrons that find no partner then show up as
radicals, or as an atom without its octet beside a charge of the other sign. Ammonium carboxylates, nitro groups and
N-oxides have charges that cancel and full octets: these are closed shells, as in QM9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit import Chem

    from ..evaluation.validity import Verdict

PIECES = "in pieces"
CHARGED = "charged"
RADICAL = "radical"
OPEN_OCTET = "atom without its octet"

OCTET = frozenset({6, 7, 8, 9})
"""Elements that a closed shell surrounds with eight electrons: C, N, O, F."""


def open_shell(verdict: Verdict) -> str:
    """Return why a valid attempt is no neutral closed shell, one of this module's constants; empty if it is one."""
    mol = verdict.perception.mol if verdict.perception is not None else None
    if mol is None:
        return verdict.reason
    if verdict.perception is not None and verdict.perception.n_fragments > 1:
        return PIECES
    if sum(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return CHARGED
    n_electrons = sum(atom.GetAtomicNum() for atom in mol.GetAtoms())
    if n_electrons % 2 or any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return RADICAL
    if any(atom.GetFormalCharge() for atom in mol.GetAtoms()) and not _full_octets(mol):
        return OPEN_OCTET
    return ""


def _full_octets(mol: Chem.Mol) -> bool:
    """Return whether C, N, O and F each have eight electrons: their own, less the charge, and one for each bond."""
    from rdkit import Chem

    plain = Chem.Mol(mol)
    Chem.Kekulize(plain, clearAromaticFlags=True)
    table = Chem.GetPeriodicTable()
    return all(
        table.GetNOuterElecs(atom.GetAtomicNum()) - atom.GetFormalCharge() + atom.GetTotalValence() == 8
        for atom in plain.GetAtoms()
        if atom.GetAtomicNum() in OCTET
    )
