"""What is new, and how varied a set is: beside the property, since a model can buy that by repeating itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .work import Work

if TYPE_CHECKING:
    from ..data.store import MoleculeStore


@dataclass(frozen=True, eq=False)
class Seen:
    """The molecules of the training split, as hashes of their canonical SMILES.

    Attributes:
        hashes: ascending, (n,) uint64; None where nothing is known.
    """

    hashes: np.ndarray | None = None

    @classmethod
    def of(cls, path: Path, store: MoleculeStore, split: str, work: Work) -> Seen:
        """Return what a split of a store holds.

        QM9's training split ships; that of another store, if it has one of the usual names, is named once and kept
        beside the store; any other split is named at every call (0.25 ms a molecule).
        """
        from ..chemistry.bonds import perceive_many
        from ..evaluation.building import TRAINING_SPLITS, find_reference
        from ..evaluation.building import Work as Building
        from ..evaluation.metrics.novelty import SEEN, Novelty, smiles_hashes

        work.say(f"reading which molecules {split} holds")
        if split == next((name for name in TRAINING_SPLITS if name in store.splits), None):
            return cls(find_reference(path, [Novelty()], Building(work.workers)).arrays.get(SEEN))
        found = perceive_many([store[int(index)] for index in store.split(split)], work.workers)
        return cls(np.sort(smiles_hashes([one.smiles for one in found if one.valid])))

    def novel(self, smiles: str) -> bool | None:
        """Return whether a molecule is not in the training split; None where that is not known."""
        from ..evaluation.metrics.novelty import is_seen, smiles_hashes

        return None if self.hashes is None else not bool(is_seen(smiles_hashes([smiles]), self.hashes)[0])


@dataclass(frozen=True)
class Diversity:
    """How varied molecules are.

    Attributes:
        n: molecules.
        distinct: of them, by canonical SMILES.
        distance: mean over all pairs of one minus the Tanimoto similarity of Morgan fingerprints; NaN for fewer than 2.
        scaffolds: distinct Murcko scaffolds; all molecules without rings share one.
        novel: how many are not in the training split; None where not known.
    """

    n: int
    distinct: int
    distance: float
    scaffolds: int
    novel: int | None


def diversity(smiles: Sequence[str], novel: Sequence[bool | None]) -> Diversity:
    """Return how varied molecules are, given by their canonical SMILES, and how many of them are novel."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds import MurckoScaffold

    from ..evaluation.metrics.fingerprints import WIDTH, Fingerprints

    with rdBase.BlockLogs():
        mols = [mol for mol in map(Chem.MolFromSmiles, smiles) if mol is not None]
        frames = {Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol)) for mol in mols}
    prints = Fingerprints.of(mols)
    bits = np.zeros((len(mols), WIDTH), np.float32)
    bits[np.repeat(np.arange(len(mols)), np.diff(prints.offsets)), prints.bits] = 1
    known = [one for one in novel if one is not None]
    return Diversity(len(smiles), len(set(smiles)), mean_distance(bits), len(frames), sum(known) if known else None)


def mean_distance(bits: np.ndarray) -> float:
    """Return the mean Tanimoto distance over the pairs of rows of 0/1 `bits` (n, width); NaN for fewer than two.

    Two molecules without any bit are the same.
    """
    n = len(bits)
    if n < 2:
        return float("nan")
    shared = bits @ bits.T
    sizes = np.diag(shared)
    either = sizes[:, None] + sizes[None, :] - shared
    similarity = np.divide(shared, either, out=np.ones_like(shared), where=either > 0)
    return float(1 - similarity[np.triu_indices(n, 1)].mean())
