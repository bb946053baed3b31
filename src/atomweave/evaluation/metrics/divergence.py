"""Jensen-Shannon divergence between two distributions of labels, with what chance alone gives.

JSD(p, q) = KL(p | m) / 2 + KL(q | m) / 2 with m = (p + q) / 2, in nats: 0 for equal distributions, ln 2 = 0.693 for
distributions that share no label (J. Lin, IEEE Trans. Inf. Theory 37, 145 (1991)).

The floor is the mean divergence of two independent draws of the reference, of the sizes compared. Atoms of one molecule
are not independent draws: they carry less information than as many atoms of different molecules (or more, for
composition is more even than chance). The design effect, the variance of the counts over molecules in units of the
variance of independent draws, says how many independent draws they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..measure import Measure, Spread, number
from ..metric import Statistics
from ..sample import blocks

if TYPE_CHECKING:
    from ..reference import Reference

FLOOR_DRAWS = 20


@dataclass(frozen=True, eq=False)
class Tally:
    """Labelled things of molecules, e.g. atoms with their elements, in the order of the molecules."""

    labels: tuple[str, ...]
    codes: np.ndarray  # (n_things,) int64, each thing's place in `labels`
    molecules: np.ndarray  # (n_things,) int64, ascending
    n_molecules: int

    @classmethod
    def of(cls, values: np.ndarray, molecules: np.ndarray, n_molecules: int) -> Tally:
        """Label things with their values; `values` are (n_things,) numbers or texts."""
        distinct, codes = np.unique(values, return_inverse=True)
        return cls(tuple(str(value) for value in distinct.tolist()), codes, molecules, n_molecules)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the things of each molecule begin; (n_molecules + 1,) int64."""
        return np.searchsorted(self.molecules, np.arange(self.n_molecules + 1))

    def counts(self, molecules: np.ndarray | None = None) -> dict[str, int]:
        """Return how many things have each label, in all molecules or in those of the given (n,) distinct indices."""
        codes = self.codes
        if molecules is not None:
            chosen = np.zeros(self.n_molecules, bool)
            chosen[molecules] = True
            codes = codes[np.repeat(chosen, np.diff(self.starts))]
        found = np.bincount(codes, minlength=len(self.labels)).tolist()
        return {label: n for label, n in zip(self.labels, found, strict=True) if n}


def jensen_shannon(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return the Jensen-Shannon divergence in nats of two sets of labelled counts; NaN if one of them is empty."""
    labels = sorted(first.keys() | second.keys())
    p, q = (np.array([counts.get(label, 0) for label in labels], np.float64) for counts in (first, second))
    return _jensen_shannon(p, q)


def design_effect(tally: Tally) -> float:
    """Return how many things of molecules are worth one independent draw, 1 where things are one a molecule.

    It is the sum over labels of var(p_label) / p_label, with the variance of a ratio over molecules (linearised), in
    units of the same sum for independent draws, (n_labels - 1) / n_things.
    """
    n_things, n_labels = len(tally.codes), len(tally.labels)
    if n_labels < 2 or tally.n_molecules < 2:
        return 1.0
    per_molecule = np.diff(tally.starts)
    pairs, held = np.unique(tally.molecules * n_labels + tally.codes, return_counts=True)
    molecule, label = np.divmod(pairs, n_labels)
    share = np.bincount(tally.codes, minlength=n_labels) / n_things
    # Sum over molecules of (count - share * things)^2, opened up because most counts are zero.
    squares = np.bincount(label, held**2, n_labels) + share**2 * float((per_molecule**2).sum())
    squares -= 2 * share * np.bincount(label, held * per_molecule[molecule], n_labels)
    unbiased = tally.n_molecules / (tally.n_molecules - 1)
    effect = unbiased * float((squares / share).sum()) / (n_things * (n_labels - 1))
    return max(effect, 1 / n_things)


def chance(counts: Mapping[str, int], n_first: int, n_second: int, effect: float, rng: np.random.Generator) -> float:
    """Return the mean divergence of two independent draws of the same distribution.

    Args:
        counts: the distribution.
        n_first: things in the first draw.
        n_second: things in the second.
        effect: the design effect of the things.
        rng: of the draws.
    """
    weights = np.array(list(counts.values()), np.float64)
    sizes = (max(1, round(n / effect)) for n in (n_first, n_second))
    first, second = (rng.multinomial(size, weights / weights.sum(), FLOOR_DRAWS).astype(np.float64) for size in sizes)
    return float(np.mean([_jensen_shannon(p, q) for p, q in zip(first, second, strict=True)]))


def divergence(
    found: Tally,
    reference: Reference,
    key: str,
    name: str,
    label: str,
    of: str,
    parts: Sequence[np.ndarray] | None = None,
    note: str = "",
) -> tuple[Measure, ...]:
    """Return the divergence of a sample from a reference as one measure, or none if the reference lacks the counts.

    Args:
        found: the sample's things.
        reference: holds `counts[key]`, and their design effect as `described` names it.
        key: of the reference's counts.
        name: of the measure after "jsd/".
        label: of the measure.
        of: what the things are.
        parts: disjoint sets of molecules: the value is that of the first, the spread is over all; by default the value
            is over all molecules and the spread over ten consecutive blocks.
        note: stands with the figure.
    """
    expected = reference.counts.get(key)
    if not expected:
        return ()
    if parts is None:
        parts = blocks(found.n_molecules)
        counts = found.counts()
    else:
        counts = found.counts(parts[0])
    n_things = sum(counts.values())
    spread = floor = None
    if n_things:
        effect = reference.arrays.get(_effect_name(key), np.ones(1))
        floor = chance(expected, n_things, sum(expected.values()), float(effect[0]), np.random.default_rng(0))
    if len(parts) > 1:
        values = np.array([jensen_shannon(found.counts(part), expected) for part in parts])
        spread = Spread(
            float(values.mean()), float(values.std(ddof=1)), len(parts), f"blocks of {len(parts[0]):,} molecules"
        )
    value = jensen_shannon(counts, expected)
    further = {"better": "low", "floor": floor, "spread": spread, "note": note}
    return (number(f"jsd/{name}", label, value, n_things, of, "nats", **further),)


def described(key: str, found: Tally, molecules: np.ndarray | None = None) -> Statistics:
    """Return what `divergence` reads of a reference: counts of all molecules, or of some, and the design effect."""
    effect = np.array([design_effect(found)])
    return Statistics({_effect_name(key): effect}, {key: found.counts(molecules)})


def joined(*statistics: Statistics) -> Statistics:
    """Return several statistics as one."""
    return Statistics(
        {name: array for one in statistics for name, array in one.arrays.items()},
        {key: counts for one in statistics for key, counts in one.counts.items()},
    )


def _effect_name(key: str) -> str:
    return f"jsd/design_effect/{key}"


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Return the divergence of two sets of counts of the same labels, both (n_labels,); NaN if one has none."""
    if not p.any() or not q.any():
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    terms = [float(one[one > 0] @ np.log(one[one > 0] / middle[one > 0])) for one in (p, q)]
    return sum(terms) / 2
