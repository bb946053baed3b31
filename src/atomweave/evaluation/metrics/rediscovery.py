"""Learnt or memorised: does a model draw molecules that it was not shown as readily as those that it was?

A share of training molecules among the samples says little by itself. QM9 holds each molecule once, 76 % of them in the
training split, so that a perfect model of QM9 draws training molecules in 76 % of all cases without having memorised
any. What tells is the rest of the data: a model that has learnt their distribution finds held-out molecules at the same
rate as training molecules, a model that has memorised does not find them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..intervals import Z_95
from ..measure import number, share
from ..metric import Result, Statistics
from .novelty import SEEN, is_seen, naming_note, smiles_hashes

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample

KNOWN = "rediscovery/smiles"
"""Name of the reference's array: upper halves of the hashes of all its molecules' SMILES, each once, ascending."""


@dataclass(frozen=True)
class Rediscovery:
    """Rate at which held-out molecules are found, in units of the rate for training molecules.

    A reference is described on all of its data; held out is what `novelty` does not hold as training molecules.
    """

    name: str = "rediscovery"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the share of held-out molecules and their rate, or nothing if the reference has no held-out data."""
        known, seen = reference.arrays.get(KNOWN), reference.arrays.get(SEEN)
        if known is None or seen is None:
            return Result()
        seen = np.unique(seen)
        n_held_out = int((~is_seen(known, np.unique(upper_halves(seen)))).sum())
        if not n_held_out or not len(seen):
            return Result()
        hashes = smiles_hashes([sample.verdicts[index].smiles for index in sample.valid])
        trained = is_seen(hashes, seen)
        found = is_seen(upper_halves(hashes), known) & ~trained
        n_trained, n_found = (len(np.unique(hashes[which])) for which in (trained, found))
        value, bounds = rate_ratio(n_found, n_held_out, n_trained, len(seen))
        told = f"{n_found:,} of {n_held_out:,} held-out and {n_trained:,} of {len(seen):,} training molecules found"
        note = "; ".join(filter(None, [told, "1: none memorised, 0: only memorised", naming_note(reference)]))
        measures = (
            share("rediscovered", "in the data, but held out", int(found.sum()), len(hashes), "valid"),
            number(
                "memorised/held_out_rate",
                "held-out molecules found, in units of training molecules found",
                value,
                n_trained + n_found,
                "different molecules in the data",
                interval=bounds,
                better="high",
                note=note,
            ),
        )
        return Result(measures, {"held_out": sample.over_valid(found.tolist())})

    def describe(self, sample: Sample) -> Statistics:
        """Return half a hash of every molecule, four bytes each; the sample is all of the data."""
        hashes = smiles_hashes([sample.verdicts[index].smiles for index in sample.valid])
        return Statistics({KNOWN: np.unique(upper_halves(hashes))})


def upper_halves(hashes: np.ndarray) -> np.ndarray:
    """Return the upper 32 bits of (n,) uint64 hashes: one in 30,000 unknown molecules is taken for one of QM9."""
    return (hashes >> np.uint64(32)).astype(np.uint32)


def rate_ratio(
    found: int, out_of: int, found_first: int, out_of_first: int
) -> tuple[float, tuple[float, float] | None]:
    """Return (found / out_of) / (found_first / out_of_first) with its 95 % interval.

    The interval is that of a ratio of two binomial shares on a logarithmic scale (D. Katz et al., Biometrics 34, 469
    (1978)), half a molecule added on both sides where one has none. Nothing found in the first gives NaN.
    """
    if not found_first:
        return math.nan, None
    value = found / out_of / (found_first / out_of_first)
    extra = 0.0 if found else 0.5
    a, b = found + extra, found_first + extra
    width = Z_95 * math.sqrt(max(0.0, 1 / a - 1 / (out_of + extra) + 1 / b - 1 / (out_of_first + extra)))
    centre = math.log(a / (out_of + extra)) - math.log(b / (out_of_first + extra))
    low = 0.0 if not found else math.exp(centre - width)
    return value, (low, math.exp(centre + width))
