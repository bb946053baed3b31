"""Bond angles as distributions, compared with those of reference data by the Wasserstein-1 distance in degrees.

A kind of angle is named by its three atoms, the vertex in the middle and its neighbours in alphabetical order: "C-O-H".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metric import Result, Statistics
from .comparison import Family
from .coordinates import Coordinates, element_ranks, packed, symbols_of
from .distances import wasserstein

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..reference import Reference
    from ..sample import Sample

WIDTH = 0.1  # degrees, of a reference's bins

FAMILY = Family("angles", "angle_w1", "angle", lambda kind: kind.replace("-", "–"), WIDTH, wasserstein, "W1", "°")


@dataclass(frozen=True)
class Angles:
    """Wasserstein-1 distance between the bond angles of the valid molecules and those of the reference, in degrees.

    Attributes:
        name: of the metric and of the reference's arrays.
        n_kinds: how many of the reference's most frequent kinds are compared.
        n_kept: how many kinds a reference keeps.
        seed: of the floor.
    """

    name: str = "angles"
    n_kinds: int = 10
    n_kept: int = 40
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `angle_w1/<kind>` and `angle_w1/mean`."""
        graphs = sample.graphs
        targets = FAMILY.most_frequent(reference, self.n_kinds)
        return Result(FAMILY.measures(bond_angles(graphs), len(graphs), reference, targets))

    def describe(self, sample: Sample) -> Statistics:
        """Return histograms of the most frequent kinds of angle."""
        return FAMILY.statistics(bond_angles(sample.graphs), len(sample.graphs), self.n_kept, self.seed)


def bond_angles(graphs: Graphs) -> Coordinates:
    """Return the angle between every two bonds that share an atom, in degrees from 0 to 180."""
    rows, offsets = graphs.neighbours
    degrees = np.diff(offsets)
    centre = np.repeat(np.arange(len(degrees)), degrees)
    arms = graphs.positions[rows] - graphs.positions[centre]
    arms /= np.linalg.norm(arms, axis=1, keepdims=True)
    # Every bond pairs with those that stand after it around the same atom.
    n_after = np.repeat(offsets[1:], degrees) - np.arange(len(rows)) - 1
    first = np.repeat(np.arange(len(rows)), n_after)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(n_after) - n_after, n_after)
    one, other = arms[first], arms[second]
    # Unit vectors at an angle t: |a - b| = 2 sin(t / 2), |a + b| = 2 cos(t / 2); unlike a cosine exact near 0 and 180.
    values = 2 * np.arctan2(np.linalg.norm(one - other, axis=1), np.linalg.norm(one + other, axis=1))
    ranks = element_ranks(graphs.numbers)
    left, right = ranks[rows[first]], ranks[rows[second]]
    codes = packed(np.minimum(left, right), ranks[centre[first]], np.maximum(left, right))
    return Coordinates.of(codes, _name, np.degrees(values), graphs.molecule_of_atom[centre[first]])


def _name(code: int) -> str:
    return "-".join(symbols_of(code, 3))
