"""Figures for families of distributions (bond lengths, angles, torsions): a distance for each kind, and their mean.

The floor is what a perfect model would get: as many molecules of the reference against all of it. Values of one
molecule resemble each other, so the floor comes from whole molecules, not from single values: the mean distance of
disjoint random blocks of the reference from the whole, scaled from the size of a block to that of the sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..histogram import Histogram
from ..measure import Measure, Spread, number
from ..metric import Statistics
from ..reference import Reference
from ..sample import blocks
from .coordinates import Coordinates

SMALLEST, LARGEST = 100, 1_000
"""Molecules in a block of the reference: as large as leaves fifty blocks, within these bounds."""


@dataclass(frozen=True)
class Family:
    """A family of distributions and how to compare them.

    Attributes:
        name: of the metric; names of the reference's arrays begin with it.
        prefix: of the measures.
        thing: "bond", "angle" or "torsion".
        label: turns a kind into what a table calls it.
        width: of the bins, in the unit of the values.
        distance: between two histograms, small if they are alike.
        title: what the distance is called, e.g. "W1".
        unit: of the distance.
        power: the distance of a perfect sample of n molecules falls as n^-power.
    """

    name: str
    prefix: str
    thing: str
    label: Callable[[str], str]
    width: float
    distance: Callable[[Histogram, Histogram], float]
    title: str
    unit: str = ""
    power: float = 0.5

    def most_frequent(self, reference: Reference, n_kinds: int | None = None) -> dict[str, Histogram]:
        """Return the distributions of the most frequent kinds (or all) of a reference, most frequent first."""
        kept = {kind: Histogram.unpack(array, self.width) for kind, array in reference.of_metric(self.name).items()}
        return dict(sorted(kept.items(), key=lambda item: (-len(item[1]), item[0]))[:n_kinds])

    def measures(
        self, coordinates: Coordinates, n_molecules: int, reference: Reference, targets: Mapping[str, Histogram]
    ) -> tuple[Measure, ...]:
        """Return the distance of each kind from its target, then their mean; nothing without targets.

        Args:
            coordinates: of the sample.
            n_molecules: how many molecules they come from.
            reference: holds what the floors need.
            targets: the reference's distributions of the kinds to compare.
        """
        parts = blocks(n_molecules)
        block_of = membership(parts, n_molecules)
        scatter = reference.of_metric(f"{self.name}_scatter")
        found = []
        for kind, target in targets.items():
            values = coordinates.histogram(kind, self.width)
            among = [self.distance(part, target) for part in coordinates.split(kind, self.width, block_of)]
            found.append(
                self.measure(
                    kind,
                    self.distance(values, target) if len(values) else math.nan,
                    len(values),
                    floor=float(scatter[kind][0]) / n_molecules**self.power
                    if kind in scatter and n_molecules
                    else None,
                    spread=spread(among, f"blocks of {len(parts[0]):,} molecules") if len(among) > 1 else None,
                )
            )
        return (*found, self.mean(found)) if found else ()

    def measure(self, kind: str, value: float, n_values: int, **further: float | Spread | None) -> Measure:
        """Return the figure of one kind, NaN where the sample has no value of it."""
        label = self.label(kind)
        return number(
            f"{self.prefix}/{kind}",
            f"{label}, {self.title}",
            value,
            n_values,
            f"{label} {self.thing}s",
            self.unit,
            better="low",
            note="" if n_values else f"no such {self.thing} in the sample",
            **further,
        )

    def mean(self, measures: Sequence[Measure]) -> Measure:
        """Return the mean over the kinds that the sample has; the note names those that it lacks."""
        met = [measure for measure in measures if measure.total]
        lacking = [measure.name.removeprefix(f"{self.prefix}/") for measure in measures if not measure.total]
        floors = [measure.floor for measure in met if measure.floor is not None]
        return number(
            f"{self.prefix}/mean",
            f"mean of {len(measures)} kinds of {self.thing}, {self.title}",
            float(np.mean([measure.value for measure in met])) if met else math.nan,
            sum(measure.total for measure in met),
            f"{self.thing}s",
            self.unit,
            better="low",
            floor=float(np.mean(floors)) if floors and len(floors) == len(met) else None,
            note=f"without {', '.join(lacking)}: none in the sample" if lacking else "",
        )

    def statistics(self, coordinates: Coordinates, n_molecules: int, n_kept: int, seed: int) -> Statistics:
        """Return the distributions of the most frequent kinds, and the scatter that gives their floors.

        Args:
            coordinates: of the reference data.
            n_molecules: how many molecules they come from.
            n_kept: how many kinds are kept.
            seed: puts molecules into blocks: stores are often sorted.
        """
        size = min(max(SMALLEST, n_molecules // 50), LARGEST)
        n_blocks = n_molecules // size if n_molecules >= 10 * SMALLEST else 0
        order = np.random.default_rng(seed).permutation(n_molecules)
        block_of = membership(list(order[: n_blocks * size].reshape(n_blocks, size)), n_molecules)
        arrays: dict[str, np.ndarray] = {}
        for kind in coordinates.most_frequent(n_kept):
            whole = coordinates.histogram(kind, self.width)
            arrays[f"{self.name}/{kind}"] = whole.packed
            among = [self.distance(part, whole) for part in coordinates.split(kind, self.width, block_of)]
            if n_blocks and len(among) == n_blocks:
                # A block is part of the whole and nearer to it for that: variances go as 1 / size - 1 / n_molecules.
                scale = (1 / size - 1 / n_molecules) ** self.power
                arrays[f"{self.name}_scatter/{kind}"] = np.array([np.mean(among) / scale])
        return Statistics(arrays)


def membership(parts: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return which of disjoint parts each of n things belongs to, -1 for none; (n,) int64."""
    part_of = np.full(n, -1)
    for index, part in enumerate(parts):
        part_of[part] = index
    return part_of


def spread(values: Sequence[float] | np.ndarray, of: str) -> Spread:
    """Return mean and standard deviation of a figure over parts, at least two."""
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)), len(values), of)
