"""Bispectra of local environments, compared by MMD environment by environment: are the angles around an atom right?

The metric of A. Daigavane et al. (the thesis on Symphony, section 5): the rows are the ten most frequent environments
of the data whose neighbours are of at least two different elements, "C: C2,H2" first on QM9; the MMD takes 1,000
bispectra from either side. The thesis took the environments of the first 1,000 files that a folder listed, which is an
arbitrary order; here the molecules are drawn at random with a fixed seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..measure import Measure, Spread, number
from ..metric import Result, Statistics
from ..sample import blocks
from .bispectrum import PSEUDOSCALAR, bispectra
from .divergence import Tally
from .environments import environments, n_neighbour_elements, random_parts
from .mmd import thesis_mmd

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..reference import Reference
    from ..sample import Sample

N_ROWS = 10
KEPT = 3000
"""Environments of each kind that a reference keeps, at most."""
FLOOR_SPLITS = 20


@dataclass(frozen=True)
class Bispectra:
    """MMD between the bispectra of the sample and of the reference, for each of its frequent environments.

    Attributes:
        components: 15 as published, or 14 without the pseudoscalar, whose sign changes under reflection.
        molecules: how many valid molecules, drawn at random, give the environments; None for all.
        seed: of all draws.
    """

    name: str = "bispectra"
    components: Literal[14, 15] = 15
    molecules: int | None = 1000
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `bispectrum_mmd/<environment>` for each environment that the reference keeps, and their mean."""
        kept = reference.of_metric("bispectra")
        if not kept:
            return Result()
        frequency = reference.counts.get("environments", {})
        rows = sorted(kept, key=lambda environment: (-frequency.get(environment, 0), environment))
        tally = environments(sample.graphs)
        parts = self._parts(tally.n_molecules)
        of_parts = np.full((len(rows), len(parts)), math.nan)
        measures = []
        for row, environment in enumerate(rows):
            measure, of_parts[row] = self._compare(environment, kept[environment], sample.graphs, tally, parts)
            measures.append(measure)
        return Result((*measures, _mean(measures, _spread(of_parts[:, 1:].mean(0), parts))))

    def describe(self, sample: Sample) -> Statistics:
        """Return the bispectra of up to 3,000 random environments of each of the ten kinds, (n, 15) float16."""
        rng = np.random.default_rng(self.seed)
        tally = environments(sample.graphs)
        arrays = {}
        for environment in frequent(tally.counts()):
            chosen = _some(atoms_of(tally, environment), KEPT, rng)
            arrays[f"bispectra/{environment}"] = of_atoms(sample.graphs, chosen).astype(np.float16)
        return Statistics(arrays)

    def _parts(self, n: int) -> list[np.ndarray]:
        """Return the molecules that give the value, then disjoint parts that give the spread if there are several."""
        if self.molecules is None:
            return [np.arange(n), *blocks(n)]
        parts = random_parts(n, self.molecules, np.random.default_rng(self.seed))
        return [parts[0], *parts] if len(parts) > 1 else parts

    def _compare(
        self, environment: str, expected: np.ndarray, graphs: Graphs, tally: Tally, parts: list[np.ndarray]
    ) -> tuple[Measure, np.ndarray]:
        """Return the measure of one environment, and the MMD of each part, NaN where a part has none of it."""
        atoms = atoms_of(tally, environment)
        found = self._columns(of_atoms(graphs, atoms))
        expected = self._columns(expected.astype(np.float64))
        molecules = tally.molecules[atoms]
        samples = [found[np.isin(molecules, part)] for part in parts]
        values, floor = np.full(len(parts), math.nan), None
        if len(samples[0]) and len(expected):
            rng = np.random.default_rng(self.seed)
            floor = _floor(expected, len(samples[0]), rng)
            repeats = [10] + [1] * (len(parts) - 1)
            for place, (one, times) in enumerate(zip(samples, repeats, strict=True)):
                values[place] = thesis_mmd(one, expected, rng, repeats=times)[0] if len(one) else math.nan
        measure = number(
            f"bispectrum_mmd/{environment}",
            environment,
            values[0],
            len(samples[0]),
            "environments",
            better="low",
            floor=floor,
            spread=_spread(values[1:], parts),
            note=f"of a random {len(parts[0]):,} of the valid molecules" if len(parts[0]) < tally.n_molecules else "",
        )
        return measure, values

    def _columns(self, components: np.ndarray) -> np.ndarray:
        return components if self.components == 15 else np.delete(components, PSEUDOSCALAR, axis=1)


def frequent(counts: dict[str, int], n: int = N_ROWS) -> list[str]:
    """Return the n most frequent environments whose neighbours are of at least two different elements."""
    mixed = [environment for environment in counts if n_neighbour_elements(environment) >= 2]
    return sorted(mixed, key=lambda environment: (-counts[environment], environment))[:n]


def atoms_of(tally: Tally, environment: str) -> np.ndarray:
    """Return which atoms have an environment; (n,) int64."""
    if environment not in tally.labels:
        return np.zeros(0, np.int64)
    return np.flatnonzero(tally.codes == tally.labels.index(environment))


def of_atoms(graphs: Graphs, atoms: np.ndarray) -> np.ndarray:
    """Return the (n, 15) bispectra of some atoms, by the directions to their bonded neighbours."""
    rows, offsets = graphs.neighbours
    n_neighbours = np.diff(offsets)[atoms]
    ends = np.concatenate([[0], np.cumsum(n_neighbours)])
    neighbours = rows[np.repeat(offsets[atoms] - ends[:-1], n_neighbours) + np.arange(ends[-1])]
    return bispectra(graphs.positions[neighbours] - np.repeat(graphs.positions[atoms], n_neighbours, axis=0), ends)


def of_environment(graphs: Graphs, environment: str, at_most: int | None = None, seed: int = 0) -> np.ndarray:
    """Return the bispectra of one kind of environment, e.g. for a heat map; (n, 15), random ones if there are more."""
    return of_atoms(graphs, _some(atoms_of(environments(graphs), environment), at_most, np.random.default_rng(seed)))


def _some(atoms: np.ndarray, at_most: int | None, rng: np.random.Generator) -> np.ndarray:
    return atoms if at_most is None or len(atoms) <= at_most else np.sort(rng.choice(atoms, at_most, replace=False))


def _floor(expected: np.ndarray, n: int, rng: np.random.Generator) -> float | None:
    """Return the mean MMD between n random bispectra of the reference and the rest, or between halves if it has few.

    Many splits with one draw each: the value depends more on the split than on the draws from its sides.
    """
    if len(expected) < 2:
        return None
    n = min(n, len(expected) // 2)
    splits = [rng.permutation(expected) for _ in range(FLOOR_SPLITS)]
    return float(np.mean([thesis_mmd(split[:n], split[n:], rng, repeats=1)[0] for split in splits]))


def _spread(values: np.ndarray, parts: list[np.ndarray]) -> Spread | None:
    """Return the spread over the parts after the first, or None if fewer than two have a value."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    of = f"blocks of {len(parts[1]):,} molecules"
    return Spread(float(values.mean()), float(values.std(ddof=1)), len(values), of)


def _mean(measures: list[Measure], spread: Spread | None) -> Measure:
    """Return the mean over the environments that the sample has."""
    measured = [measure for measure in measures if measure.total]
    floors = [measure.floor for measure in measured if measure.floor is not None]
    n_missing = len(measures) - len(measured)
    return number(
        "bispectrum_mmd/mean",
        "mean of the environments",
        float(np.mean([measure.value for measure in measured])) if measured else math.nan,
        len(measured),
        "environments",
        better="low",
        floor=float(np.mean(floors)) if floors else None,
        spread=spread,
        note=f"{n_missing} of the {len(measures)} do not occur in the sample" if n_missing else "",
    )
