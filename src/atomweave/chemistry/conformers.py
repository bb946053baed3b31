"""A conformer of low energy for a molecule that is known by its SMILES alone.

RDKit's ETKDGv3 (S. Wang et al., J. Chem. Inf. Model. 2020, 60, 2044) embeds, MMFF94s (T. A. Halgren, J. Comput. Chem.
1999, 20, 720) relaxes, and the lowest of the relaxed conformers is taken. Such geometries are those of a force field:
good for measuring cost and for teaching what larger molecules look like, no substitute for quantum chemistry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..isolation import CRASH, MEMORY, TIME_OUT, Failure, run_isolated
from ..molecule import Molecule
from ..randomness import fold_in
from .bonds import require_rdkit
from .radii import bonded_pairs

UNREADABLE = "RDKit cannot read the SMILES"
PARTS = "several parts"
NO_PARAMETERS = "the force field has no parameters for an atom of it"
NOT_EMBEDDED = "no conformer could be embedded"
NOT_RELAXED = "no conformer came to rest"
OTHER_BONDS = "its geometry does not show the bonds of the SMILES"
OTHER = "another error"

MOST_STEPS = 2_000
"""Relaxation steps; 100 drug-like molecules of MOSES needed fewer than 1,000 but for one."""


@dataclass(frozen=True)
class Conformer:
    """What became of one SMILES.

    Attributes:
        reason: why there is no conformer; empty if there is one.
        numbers: (n_atoms,) atomic numbers, hydrogens included; empty without a conformer.
        positions: (n_atoms, 3) Å.
        energy: MMFF94s, kcal/mol.
    """

    reason: str
    numbers: np.ndarray
    positions: np.ndarray
    energy: float

    @classmethod
    def none(cls, reason: str) -> Conformer:
        """Return what stands for a SMILES without a conformer."""
        return cls(reason, np.zeros(0, np.uint8), np.zeros((0, 3)), np.nan)

    def molecule(self, smiles: str, name: str = "") -> Molecule:
        """Return the molecule with its energy, SMILES and, if there is one, name.

        Raises:
            InputError: if there is no conformer.
        """
        if self.reason:
            raise InputError(f"{smiles}: there is no conformer ({self.reason}).")
        named = {"name": name} if name else {}
        return Molecule(
            self.numbers, self.positions, {"smiles": smiles, "mmff94s_energy": round(self.energy, 4), **named}
        )


def conformers_of(
    smiles: Sequence[str],
    *,
    n_conformers: int = 1,
    seed: int = 0,
    workers: int | None = None,
    timeout: float = 30.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Conformer]:
    """Return a conformer of each SMILES from worker processes: what hangs or crashes costs itself only.

    Args:
        smiles: the molecules.
        n_conformers: how many to embed and relax, of which the lowest is returned.
        seed: with the position in `smiles` decides what is embedded.
        workers: processes, by default one a CPU.
        timeout: seconds for one molecule.
        progress: called with (done, total) now and then.
    """
    from .conformers_task import pack_request, unpack_conformer

    require_rdkit()
    requests = [pack_request(entry, fold_in(seed, "conformer", index)) for index, entry in enumerate(smiles)]
    answers = run_isolated(
        "conformer", requests, options={"n_conformers": n_conformers}, workers=workers, timeout=timeout,
        chunk=8, min_per_worker=16, progress=progress,
    )  # fmt: skip
    return [_failed(found) if isinstance(found, Failure) else unpack_conformer(found) for found in answers]


def embed(smiles: str, n_conformers: int, seed: int) -> Conformer:
    """Return the lowest of some conformers of one SMILES, in this process.

    Args:
        smiles: the molecule; hydrogens are added.
        n_conformers: how many to embed and relax.
        seed: of the embedding.
    """
    require_rdkit()
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or mol.GetNumAtoms() == 0:
            return Conformer.none(UNREADABLE)
        if len(Chem.GetMolFrags(mol)) > 1:
            return Conformer.none(PARTS)
        mol = Chem.AddHs(mol)
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            return Conformer.none(NO_PARAMETERS)
        options: Any = rdDistGeom.ETKDGv3()
        options.randomSeed = seed % (2**31 - 1)  # RDKit takes a C int
        if not len(rdDistGeom.EmbedMultipleConfs(mol, n_conformers, options)):
            options.useRandomCoords = True  # slower; reaches large flexible molecules such as fats
            if not len(rdDistGeom.EmbedMultipleConfs(mol, n_conformers, options)):
                return Conformer.none(NOT_EMBEDDED)
        relaxed = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, 1, MOST_STEPS, "MMFF94s")
    energies = np.array([energy if unfinished == 0 else np.inf for unfinished, energy in relaxed])
    lowest = int(energies.argmin())
    if not np.isfinite(energies[lowest]):
        return Conformer.none(NOT_RELAXED)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], np.uint8)
    positions = mol.GetConformers()[lowest].GetPositions()
    # A force field may come to rest with a hydrogen torn off; and the rule for bonds fails on some, such as I-C-I.
    meant = {frozenset((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in mol.GetBonds()}
    if {frozenset(pair) for pair in bonded_pairs(numbers, positions).tolist()} != meant:
        return Conformer.none(OTHER_BONDS)
    return Conformer("", numbers, positions, float(energies[lowest]))


def _failed(failure: Failure) -> Conformer:
    return Conformer.none(failure.reason if failure.reason in {TIME_OUT, CRASH, MEMORY} else OTHER)
