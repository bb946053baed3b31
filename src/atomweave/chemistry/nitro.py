"""Nitro groups, of which RDKit's xyz2mol finds the bond orders in some orders of the atoms only.

Of nitrobenzene, it finds them in four orders of five (RDKit 2026.9; https://github.com/rdkit/rdkit/issues/5887). An
acyl fluoride has the same bonds and no charges: C(=O)F for [N+](=O)[O-]. So RDKit is asked about that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rdkit import Chem

CARBON, NITROGEN, OXYGEN, FLUORINE = 6, 7, 8, 9


def nitro_groups(numbers: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the nitro groups of a molecule: nitrogens with three neighbours, two of them oxygens without others.

    Args:
        numbers: (n_atoms,) atomic numbers.
        pairs: (n_bonds, 2) bonded atoms.

    Returns:
        (n_groups, 2) int64, the nitrogen and the oxygen that is charged, the one that comes later.
    """
    degrees = np.bincount(pairs.ravel(), minlength=len(numbers))
    terminal = (numbers == OXYGEN) & (degrees == 1)
    if terminal.sum() < 2:
        return np.zeros((0, 2), np.int64)
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    ends = ends[terminal[ends[:, 1]] & (numbers[ends[:, 0]] == NITROGEN) & (degrees[ends[:, 0]] == 3)]
    nitrogens, n_oxygens = np.unique(ends[:, 0], return_counts=True)
    return np.array([(atom, ends[ends[:, 0] == atom, 1].max()) for atom in nitrogens[n_oxygens == 2]]).reshape(-1, 2)


def as_acyl_fluorides(numbers: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the atomic numbers with every nitro group as an acyl fluoride."""
    numbers = numbers.copy()
    numbers[groups[:, 0]], numbers[groups[:, 1]] = CARBON, FLUORINE
    return numbers


def as_nitro_groups(mol: Chem.Mol, groups: np.ndarray) -> None:
    """Turn the acyl fluorides of a molecule with one conformer back, in place."""
    from rdkit import Chem

    for nitrogen, oxygen in groups.tolist():
        mol.GetAtomWithIdx(nitrogen).SetAtomicNum(NITROGEN)
        mol.GetAtomWithIdx(nitrogen).SetFormalCharge(1)
        mol.GetAtomWithIdx(oxygen).SetAtomicNum(OXYGEN)
        mol.GetAtomWithIdx(oxygen).SetFormalCharge(-1)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol, replaceExistingTags=True)
