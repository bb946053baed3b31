"""Molecules worked by hand, with the verdict a chemist gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atomweave.molecule import Molecule

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


def methane() -> Molecule:
    return Molecule(["C", *"HHHH"], np.vstack([[[0, 0, 0]], 1.09 * TETRAHEDRON]))


def water() -> Molecule:
    half = np.radians(104.5) / 2
    hydrogens = 0.96 * np.array([[np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    return Molecule(["O", "H", "H"], np.vstack([[[0, 0, 0]], hydrogens]))


def carbon_dioxide() -> Molecule:
    return Molecule(["O", "C", "O"], [[-1.17, 0, 0], [0, 0, 0], [1.17, 0, 0]])


def hydrogen_cyanide() -> Molecule:
    return Molecule(["H", "C", "N"], [[-1.065, 0, 0], [0, 0, 0], [1.153, 0, 0]])


def benzene() -> Molecule:
    angles = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(6)], 1)
    return Molecule(["C"] * 6 + ["H"] * 6, np.vstack([1.40 * ring, 2.49 * ring]))


def methyl() -> Molecule:
    angles = np.arange(3) * 2 * np.pi / 3
    hydrogens = 1.08 * np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], 1)
    return Molecule(["C", *"HHH"], np.vstack([[[0, 0, 0]], hydrogens]))


def methane_and_water() -> Molecule:
    first, second = methane(), water()
    return Molecule([*first.symbols, *second.symbols], np.vstack([first.positions, second.positions + 6]))


def garbage(n_atoms: int = 24) -> Molecule:
    rng = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[:n_atoms]
    return Molecule(rng.choice([6, 7, 8], n_atoms), 1.2 * grid + rng.normal(0, 0.05, (n_atoms, 3)))


def argon() -> Molecule:
    return Molecule(["Ar"], [[0, 0, 0]])


def embedded(smiles: str) -> Molecule:
    """A relaxed geometry of a structure too crooked to write down."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    AllChem.MMFFOptimizeMolecule(mol)
    return Molecule.from_rdkit(mol)


def bicyclopentane() -> Molecule:
    return embedded("C12CC(C1)C2")


def glycine_zwitterion() -> Molecule:
    return embedded("[NH3+]CC(=O)[O-]")


def linear(symbols: Sequence[str], *gaps: float) -> Molecule:
    """Atoms in a row, the gaps between neighbours in Å."""
    return Molecule(list(symbols), [[0, 0, z] for z in np.cumsum([0, *gaps])])


def ammonia() -> Molecule:
    hydrogens = [[0.94, 0, -0.38], [-0.47, 0.814, -0.38], [-0.47, -0.814, -0.38]]
    return Molecule([*"NHHH"], [[0, 0, 0], *hydrogens])


def formaldehyde() -> Molecule:
    return Molecule([*"COHH"], [[0, 0, 0], [0, 0, 1.21], [0, 0.94, -0.59], [0, -0.94, -0.59]])


def ammonium(nitrogen_last: bool = False) -> Molecule:
    hydrogens = 1.02 * TETRAHEDRON
    if nitrogen_last:
        return Molecule([*"HHHHN"], np.vstack([hydrogens, [[0, 0, 0]]]))
    return Molecule([*"NHHHH"], np.vstack([[[0, 0, 0]], hydrogens]))


def five_hydrogens_on_carbon() -> Molecule:
    angles = np.arange(3) * 2 * np.pi / 3
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], 1)
    return Molecule(["C", *"HHHHH"], np.vstack([[[0, 0, 0]], 1.09 * ring, [[0, 0, 1.09], [0, 0, -1.09]]]))
