"""Groups whose charges cannot be avoided, which RDKit's xyz2mol reads one way or another by the order of the atoms.

It refuses nitrobenzene in one order of five, and finds three graphs of phenyl azide (RDKit 2026.9;
https://github.com/rdkit/rdkit/issues/5887). Each of these groups has an isostere with the same bonds and no charges,
and RDKit is asked about that one: C-F for [N+]-[O-], in an acyl fluoride for a nitro group, and C=O for [N+]=[N-], in
an isocyanate for an azide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rdkit import Chem

NITROGEN, OXYGEN = 7, 8


def charged_groups(numbers: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the groups that have an isostere: N-oxides (nitro groups, nitrones, azoxy), azides and diazo compounds.

    Args:
        numbers: (n_atoms,) atomic numbers.
        pairs: (n_bonds, 2) bonded atoms.

    Returns:
        (n_groups, 2) int64, the nitrogen that is positive, and the oxygen or nitrogen that is negative and has no other
        neighbour: of two oxygens the one that comes later.
    """
    nitrogen = numbers == NITROGEN
    if not nitrogen.any():
        return np.zeros((0, 2), np.int64)
    degrees = np.bincount(pairs.ravel(), minlength=len(numbers))
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    ends = ends[nitrogen[ends[:, 0]] & (degrees[ends[:, 1]] == 1)]
    oxide = (numbers[ends[:, 1]] == OXYGEN) & (degrees[ends[:, 0]] >= 3)
    diazo = nitrogen[ends[:, 1]] & (degrees[ends[:, 0]] == 2)
    ends = ends[oxide | diazo]
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    return ends[np.append(ends[1:, 0] != ends[:-1, 0], True)[: len(ends)]]


def as_isosteres(numbers: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the atomic numbers with isosteres in the place of the groups."""
    changed = numbers.astype(np.int64)
    changed[groups] += [[-1, 1]]
    return changed


def restore(mol: Chem.Mol, groups: np.ndarray) -> bool:
    """Turn the isosteres of a molecule with one conformer back, in place, and return whether they were neutral."""
    from rdkit import Chem

    atoms = [mol.GetAtomWithIdx(index) for index in groups.ravel().tolist()]
    if any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in atoms):
        return False
    for atom, charge in zip(atoms, [1, -1] * len(groups), strict=True):
        atom.SetAtomicNum(atom.GetAtomicNum() + charge)
        atom.SetFormalCharge(charge)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol, replaceExistingTags=True)
    return True
