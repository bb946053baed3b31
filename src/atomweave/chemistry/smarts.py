"""Atoms of a molecule or an unfinished fragment that a SMARTS pattern names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError, UsageError
from .bonds import require_rdkit, with_orders
from .radii import bonded_pairs

if TYPE_CHECKING:
    from rdkit import Chem

    from ..molecule import Molecule

MOST_OPEN_VALENCES = 8


def matching_atoms(molecule: Molecule, smarts: str) -> tuple[int, ...]:
    """Return the atoms that match, ascending, from 0; of a pattern with map numbers (`[c:1]F`) only those so marked.

    Args:
        molecule: a whole molecule, or a fragment with open valences.
        smarts: the pattern. Hydrogens are atoms of the graph: write `[#1]`, and count
            neighbours by `X`.

    Raises:
        UsageError: if it is no SMARTS.
        InputError: if no bond orders are found for the fragment.
        MissingDependencyError: without RDKit.
    """
    require_rdkit()
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():  # the reason is raised, so RDKit need not print it
        pattern = Chem.MolFromSmarts(smarts)
        if pattern is None or pattern.GetNumAtoms() == 0:
            raise UsageError(f"got {smarts!r}, wanted a SMARTS pattern such as '[cX3]' or '[N:1]C=O'.")
        marked = [atom.GetIdx() for atom in pattern.GetAtoms() if atom.GetAtomMapNum()]
        marked = marked or list(range(pattern.GetNumAtoms()))
        matches = open_graph(molecule).GetSubstructMatches(pattern, uniquify=False, maxMatches=100_000)
    return tuple(sorted({match[atom] for match in matches for atom in marked}))


def open_graph(molecule: Molecule) -> Chem.Mol:
    """Return the bond graph of a fragment, whose atoms may lack neighbours.

    An open valence is counted as a lone pair, one negative charge each: the fewest for which bond orders exist are
    taken. That leaves all other bonds as they are in the finished molecule, which radicals would not: xyz2mol then
    also breaks double bonds. Open valences that can pair up, such as those of neighbours, look like a double bond.

    Raises:
        InputError: if no bond orders are found.
    """
    pairs = bonded_pairs(molecule.numbers, molecule.positions)
    said = ""
    for n_open in range(MOST_OPEN_VALENCES + 1):
        try:
            return with_orders(molecule.numbers, molecule.positions, pairs, charge=-n_open)
        except (ValueError, RuntimeError) as error:
            said = said or str(error).strip().partition("\n")[0]
    raise InputError(f"no bond orders are found, so that no pattern can match; name the atoms by number ({said}).")
