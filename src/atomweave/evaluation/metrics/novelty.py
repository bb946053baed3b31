"""Which molecules a model has not seen: canonical SMILES against those of its training split.

Novelty is reported and never maximised. QM9 holds a large part of all molecules of its kind, so that a model that has
learnt it perfectly draws many of the training molecules again: there the share of novel molecules falls as the fit
improves.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..measure import Measure, Spread, share
from ..metric import Result, Statistics
from ..sample import blocks
from ..tools import tool_versions
from .comparison import spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..reference import Reference
    from ..sample import Sample

SEEN = "novelty/smiles"
"""Name of the reference's array: hashes of the training molecules' SMILES, ascending, one a molecule."""


@dataclass(frozen=True)
class Novelty:
    """Share of molecules that are not in the training split, and how often molecules repeat.

    A molecule is its canonical SMILES, hydrogens explicit and stereochemistry kept. A reference is described on the
    training split and its own values are measured on held-out data.
    """

    name: str = "novelty"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return how often molecules repeat and, if the reference knows the training split, how many are novel."""
        smiles = [sample.verdicts[index].smiles for index in sample.valid]
        copies = Counter(smiles)
        columns = {"copies": sample.over_valid([copies[one] for one in smiles])}
        measures: list[Measure] = []
        if SEEN in reference.arrays:
            novel = ~is_seen(smiles_hashes(smiles), reference.arrays[SEEN])
            columns["novel"] = sample.over_valid(novel.tolist())
            measures = [*_novel(sample, smiles, novel, naming_note(reference))]
        return Result((*measures, _commonest(smiles, copies)), columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return the hashes of the sample's SMILES: the sample is the training split, eight bytes a molecule."""
        return Statistics({SEEN: np.sort(smiles_hashes([sample.verdicts[index].smiles for index in sample.valid]))})


def smiles_hashes(smiles: Sequence[str]) -> np.ndarray:
    """Return the first eight bytes of the sha256 of each text; (n,) uint64.

    Among 100,000 of them a text that is not there is taken for one with a probability of 5e-15.
    """
    return np.array([int.from_bytes(hashlib.sha256(one.encode()).digest()[:8], "little") for one in smiles], np.uint64)


def is_seen(hashes: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return which of (n,) hashes are among the ascending (m,) hashes `seen`; (n,) bool."""
    if not len(seen):
        return np.zeros(len(hashes), bool)
    return seen[np.minimum(np.searchsorted(seen, hashes), len(seen) - 1)] == hashes


def naming_note(reference: Reference) -> str:
    """Return a warning where another RDKit wrote the reference's SMILES, maybe otherwise; empty where not."""
    theirs, ours = reference.tools.get("rdkit"), tool_versions(("rdkit",)).get("rdkit")
    if theirs is None or ours is None or theirs == ours:
        return ""
    return (
        f"the training molecules were named by RDKit {theirs}, these by {ours}, which may name a molecule otherwise: "
        "make the reference anew from its store to be sure"
    )


def _novel(sample: Sample, smiles: Sequence[str], novel: np.ndarray, note: str) -> tuple[Measure, ...]:
    n_novel = int(novel.sum())
    names: list[str | None] = [None] * len(sample)
    for index, name, new in zip(sample.valid.tolist(), smiles, novel.tolist(), strict=True):
        names[index] = name if new else None

    def distinct(attempts: Sequence[str | None]) -> float:
        return len({name for name in attempts if name is not None}) / len(attempts)

    return (
        share("novel", "novel", n_novel, len(smiles), "valid", note=note),
        share("novel_valid_unique", "novel × valid × unique", len({name for name in names if name is not None}),
              len(sample), "attempts", interval=False, spread=_over_blocks(names, distinct, "attempts"), note=note),
        share("memorised/exact", "in the training split (1 − novel)", len(smiles) - n_novel, len(smiles), "valid",
              note=note),
    )  # fmt: skip


def _commonest(smiles: Sequence[str], copies: Counter[str]) -> Measure:
    """Return the share of the most frequent molecule, which shows a model that repeats itself."""

    def largest(names: Sequence[str]) -> float:
        return max(Counter(names).values()) / len(names)

    name, n = max(copies.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return share(
        "most_frequent",
        "most frequent molecule",
        n,
        len(smiles),
        "valid",
        interval=False,
        better="low",
        spread=_over_blocks(smiles, largest, "valid"),
        note=_folded(name) if n > 1 else "",
    )


def _over_blocks(things: Sequence[Any], figure: Callable[[Sequence[Any]], float], of: str) -> Spread | None:
    parts = blocks(len(things))
    if len(parts) < 2:
        return None
    values = [figure(things[part[0] : part[-1] + 1]) for part in parts]
    return spread(values, f"blocks of {len(parts[0]):,} {of}")


def _folded(smiles: str) -> str:
    """Return a SMILES that a chemist can read: hydrogens folded into their neighbours."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return Chem.MolToSmiles(mol) if mol is not None else smiles
