"""Bond lengths as distributions: the discrepancy of the thesis on Symphony, and the Wasserstein-1 distance in Å.

A kind of bond is named by its symbols in alphabetical order and its order: "C-H-1", "C-C-1.5" (aromatic), "C-O-2".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...randomness import fold_in
from ..metric import Result, Statistics
from .comparison import Family, spread
from .coordinates import Coordinates, element_ranks, packed, symbols_of
from .distances import n_draws, wasserstein
from .mmd import thesis_mmd_of_draws

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..histogram import Histogram
    from ..measure import Measure
    from ..reference import Reference
    from ..sample import Sample

WIDTH = 1e-4  # Å, of a reference's bins

PUBLISHED = ("C-H-1", "C-C-1", "C-O-1", "C-N-1", "H-N-1", "C-O-2", "C-N-1.5", "H-O-1", "C-C-1.5", "C-N-2")
"""The ten kinds of the thesis, table 5.3.

They are the most frequent of a larger QM9: its counts give hydrogen 1,228,449 bonds to C, N and O, where the usual
130,831 molecules have 1,208,486 hydrogen atoms. In these C≡C (19,326 bonds) comes before C=N (18,849), so that eleven
kinds are compared.
"""

SIGNS = {"1": "–", "1.5": "∶", "2": "=", "3": "≡"}


def label(kind: str) -> str:
    """Return what a table calls a kind of bond: "C–H", "C∶N (aromatic)", "C=O", "C≡N"."""
    first, second, order = kind.split("-")
    sign = SIGNS.get(order, f"–({order})–")
    return f"{first}{sign}{second}" + (" (aromatic)" if order == "1.5" else "")


W1 = Family("bond_lengths", "bond_w1", "bond", label, WIDTH, wasserstein, "W1 of lengths", "Å")
MMD = Family("bond_lengths", "bond_mmd", "bond", label, WIDTH, wasserstein, "MMD of lengths")


@dataclass(frozen=True)
class BondLengths:
    """Discrepancy and distance between the bond lengths of the valid molecules and those of the reference.

    Attributes:
        name: of the metric and of the reference's arrays.
        n_kinds: how many of the reference's most frequent kinds are compared, and with them those that `also` names.
        also: kinds that are compared wherever the reference has them.
        n_kept: how many kinds a reference keeps.
        draws: lengths drawn from either side for one value of the MMD.
        repeats: values of the MMD that are averaged.
        n_perfect: samples drawn from the reference whose mean MMD is the floor.
        seed: of the draws and of the floors.
    """

    name: str = "bond_lengths"
    n_kinds: int = 10
    also: tuple[str, ...] = PUBLISHED
    n_kept: int = 40
    draws: int = 1000
    repeats: int = 10
    n_perfect: int = 40
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `bond_mmd/<kind>`, `bond_mmd/mean`, `bond_w1/<kind>` and `bond_w1/mean`."""
        lengths = bond_lengths(sample.graphs)
        known = W1.most_frequent(reference)
        targets = {
            kind: target for place, (kind, target) in enumerate(known.items())
            if place < self.n_kinds or kind in self.also
        }  # fmt: skip
        distances = W1.measures(lengths, len(sample.graphs), reference, targets)
        found = [
            self._discrepancy(kind, lengths, target, distance.floor)
            for (kind, target), distance in zip(targets.items(), distances, strict=False)  # their mean is left over
        ]
        return Result((*found, MMD.mean(found), *distances) if found else ())

    def describe(self, sample: Sample) -> Statistics:
        """Return histograms of the most frequent kinds of bond."""
        return W1.statistics(bond_lengths(sample.graphs), len(sample.graphs), self.n_kept, self.seed)

    def _discrepancy(self, kind: str, lengths: Coordinates, target: Histogram, distance: float | None) -> Measure:
        """Return the MMD of one kind; `distance` is the W1 that a perfect sample would have."""
        values = lengths.values[lengths.rows(kind)]
        if not len(values):
            return MMD.measure(kind, math.nan, 0)
        rng = np.random.default_rng(fold_in(self.seed, "bond_mmd", kind))
        size = (self.repeats, self.draws)
        repeats = thesis_mmd_of_draws(rng.choice(values, size), target.draw(size, rng))
        # A perfect sample holds lengths of the reference, but those of one molecule are alike: they count for fewer.
        n_independent = len(values) if distance is None else n_draws(target, distance)
        size = (self.n_perfect, self.draws)
        perfect = thesis_mmd_of_draws(_redrawn(target, n_independent, size, rng), target.draw(size, rng))
        among = spread(repeats, f"draws of {self.draws:,} lengths") if self.repeats > 1 else None
        return MMD.measure(kind, float(repeats.mean()), len(values), floor=float(perfect.mean()), spread=among)


def _redrawn(target: Histogram, n: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return draws with replacement from a sample that is itself n draws, a fresh one for each row; (rows, draws)."""
    found = np.empty(size)
    for row in found:
        members, which = np.unique(rng.integers(n, size=len(row)), return_inverse=True)
        row[:] = target.draw(len(members), rng)[which]  # members that are never drawn need no value
    return found


def bond_lengths(graphs: Graphs) -> Coordinates:
    """Return the length of every bond, Å."""
    ranks = np.sort(element_ranks(graphs.numbers[graphs.bonds]), axis=1)
    codes = packed(ranks[:, 0], ranks[:, 1], np.rint(2 * graphs.orders).astype(np.int64))
    return Coordinates.of(codes, _name, graphs.lengths, graphs.molecule_of_atom[graphs.bonds[:, 0]])


def _name(code: int) -> str:
    first, second = symbols_of(code >> 7, 2)
    return f"{first}-{second}-{(code & 127) / 2:g}"
