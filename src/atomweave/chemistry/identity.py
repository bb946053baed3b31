"""When two molecules count as the same: one canonical SMILES, every hydrogen an atom, stereochemistry kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit import Chem


def canonical_smiles(mol: Chem.Mol) -> str:
    """Return RDKit's canonical SMILES of a molecule as it is, e.g. "[H]C([H])([H])[H]".

    Hydrogens are not folded into their neighbours, charges and stereochemistry are kept, fragments are joined by ".":
    the identity by which uniqueness is published.
    """
    from rdkit import Chem

    return Chem.MolToSmiles(mol)
