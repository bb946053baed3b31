"""How near molecules are to those that a model was taught: their nearest training neighbour, and the same geometry.

Read all of it beside the reference's own values, which are those of held-out molecules: a model that invents, rather
than remembers, is as near to the training split as fresh molecules of the same kind are, not nearer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError
from ..bootstrap import percentile_interval
from ..measure import Measure, number, share
from ..metric import Result, Statistics
from .fingerprints import Fingerprints
from .geometry_sketch import difference, sketches
from .novelty import SEEN, is_seen, naming_note, smiles_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rdkit import Chem

    from ..reference import Reference
    from ..sample import Sample

NEIGHBOURS = "memorisation/fingerprints"
GEOMETRIES = "memorisation/geometries"
"""Names of the reference's arrays; row i of the geometries belongs to row i of `novelty.SEEN`."""

IDENTICAL = "memorised/nearest_identical"


@dataclass(frozen=True)
class Memorisation:
    """Similarity to the nearest training molecule, and share of molecules in a training molecule's very geometry.

    A reference is described on the training split and its own values are measured on held-out data.

    Attributes:
        n: how many valid molecules, drawn at random, are compared with every training molecule; None for all.
        tolerance: Å; two geometries are the same if their sorted interatomic distances differ by less, see
            `geometry_sketch`.
        seed: of the draw.
    """

    n: int | None = 1_000
    tolerance: float = 0.1
    seed: int = 0
    name: str = "memorisation"

    def __post_init__(self) -> None:
        if (self.n is not None and self.n < 0) or self.tolerance <= 0:
            got = f"n={self.n}, tolerance={self.tolerance:g}"
            raise UsageError(
                f"memorisation: got {got}, wanted 0 or more molecules (None for all) and a tolerance above 0 Å."
            )

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return what the reference's arrays allow: nearest neighbours, geometries, or nothing."""
        measures: tuple[Measure, ...] = ()
        columns: dict[str, list[object]] = {}
        if NEIGHBOURS in reference.arrays:
            measures, columns["nearest_similarity"] = self._nearest(sample, reference)
        seen, geometries = reference.arrays.get(SEEN), reference.arrays.get(GEOMETRIES)
        if seen is not None and geometries is not None and len(seen) == len(geometries):
            note = naming_note(reference)
            further, columns["geometry_difference"] = self._geometries(sample, seen, geometries, note)
            measures = (*measures, *further)
        return Result(measures, columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return fingerprints and geometries of the sample, which is the training split: some 37 bytes a molecule."""
        hashes = smiles_hashes([sample.verdicts[index].smiles for index in sample.valid])
        order = np.argsort(hashes, kind="stable")
        fingerprints = Fingerprints.of(_molecules(sample, sample.valid)).distinct
        return Statistics(
            {SEEN: hashes[order], GEOMETRIES: sketches(sample.graphs)[order], NEIGHBOURS: fingerprints.packed}
        )

    def _nearest(self, sample: Sample, reference: Reference) -> tuple[tuple[Measure, ...], list[object]]:
        drawn = sample.valid
        if self.n is not None and self.n < len(drawn):
            drawn = np.sort(np.random.default_rng(self.seed).choice(drawn, self.n, replace=False))
        subset = f"a random {len(drawn):,} of the valid (seed {self.seed})" if len(drawn) < len(sample.valid) else ""
        training = Fingerprints.unpack(reference.arrays[NEIGHBOURS])
        found = Fingerprints.of(_molecules(sample, drawn)).nearest(training)
        median = float(np.median(found)) if len(found) else math.nan
        n_identical = int((found == 1).sum())
        label = "similarity to the nearest training molecule, median"
        bounds = percentile_interval(found, np.median)
        measures = (
            number("memorised/nearest", label, median, len(found), "compared", interval=bounds, note=subset),
            share(IDENTICAL, "nearest training molecule has the same fingerprint", n_identical, len(found), "compared",
                  note=subset),
        )  # fmt: skip
        return measures, sample.over_valid(found.tolist(), drawn)

    def _geometries(
        self, sample: Sample, seen: np.ndarray, geometries: np.ndarray, note: str
    ) -> tuple[tuple[Measure, ...], list[object]]:
        hashes = smiles_hashes([sample.verdicts[index].smiles for index in sample.valid])
        known = np.flatnonzero(is_seen(hashes, seen))
        firsts, lasts = (np.searchsorted(seen, hashes[known], side) for side in ("left", "right"))
        own = sketches(sample.graphs.take(known))
        # The same SMILES may stand for several training molecules: conformers, mirror images.
        apart = [
            float(difference(geometries[first:last], sketch).min())
            for first, last, sketch in zip(firsts, lasts, own, strict=True)
        ]
        n_same = int((np.array(apart) <= self.tolerance).sum())
        told = "; ".join(filter(None, [f"distances agree within {self.tolerance:g} Å", note]))
        n_valid = len(sample.valid)
        measures = (
            share("memorised/geometry", "in the training split, geometry too", n_same, n_valid, "valid", note=told),
            share("memorised/geometry_of_exact", "training molecules drawn in their training geometry", n_same,
                  len(known), "in the training split", note=told),
        )  # fmt: skip
        return measures, sample.over_valid(apart, sample.valid[known])


def _molecules(sample: Sample, attempts: np.ndarray) -> Iterator[Chem.Mol]:
    """Yield the RDKit molecules of valid attempts without keeping them: 100,000 of them fill a gigabyte."""
    from rdkit import Chem

    for index in attempts:
        perception = sample.verdicts[index].perception
        assert perception is not None, "a valid attempt has bonds"
        yield Chem.Mol(perception.binary)
