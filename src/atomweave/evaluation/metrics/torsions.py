"""Torsions as distributions on the circle, compared with those of reference data by the Wasserstein-1 distance.

A kind of torsion is named by its four bonded atoms with the order of the central bond between the middle two: "H-C-C-O"
about a single bond, "C-C=C-H" double, "C-C:C-C" aromatic, "C-C#C-C" triple; the outer bonds may have any order. Of the
two ways to read the atoms the name is the alphabetically first; the torsion is the same either way.

Torsions are signed, in (-180, 180] degrees, positive if, looking along the central bond, the far bond is turned
clockwise from the near one (IUPAC). A mirror image turns every sign. Chirality is real, so it counts: molecules and
their mirror images are as far apart as each distribution is from its own reflection at 0, which is nothing only for
kinds whose distribution is even, and a model that makes both enantiomers alike is half as far from data that hold one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metric import Result, Statistics
from .comparison import Family
from .coordinates import Coordinates, element_ranks, packed, symbols_of
from .distances import circular_wasserstein

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..histogram import Histogram
    from ..reference import Reference
    from ..sample import Sample

LINEAR = 10.0
"""Degrees: a torsion with an outer bond so close to the axis of the central one means nothing and is left out."""

WIDTH = 0.5  # degrees, of a reference's bins

SIGNS = {2: "-", 3: ":", 4: "=", 6: "#"}
"""Twice the order of the central bond -> its sign in the name of a kind."""


def label(kind: str) -> str:
    """Return what a table calls a kind of torsion: "H-C-C-O" -> "H–C–C–O"."""
    return kind.replace("-", "–")


FAMILY = Family("torsions", "torsion_w1", "torsion", label, WIDTH, circular_wasserstein, "W1", "°")


@dataclass(frozen=True)
class Torsions:
    """Wasserstein-1 distance on the circle between the torsions of the valid molecules and the reference's, in degrees.

    Attributes:
        name: of the metric and of the reference's arrays.
        n_single: how many of the reference's most frequent kinds about single bonds are compared.
        n_aromatic: likewise, about aromatic bonds, where a torsion tells flat from bent.
        n_double: likewise, about double bonds, where it tells cis from trans and flat from twisted.
        n_kept: how many kinds a reference keeps.
        seed: of the floor.
    """

    name: str = "torsions"
    n_single: int = 6
    n_aromatic: int = 2
    n_double: int = 2
    n_kept: int = 40
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `torsion_w1/<kind>` and `torsion_w1/mean`."""
        graphs = sample.graphs
        return Result(FAMILY.measures(torsions(graphs), len(graphs), reference, self._targets(reference)))

    def describe(self, sample: Sample) -> Statistics:
        """Return histograms of the most frequent kinds of torsion."""
        return FAMILY.statistics(torsions(sample.graphs), len(sample.graphs), self.n_kept, self.seed)

    def _targets(self, reference: Reference) -> dict[str, Histogram]:
        known = FAMILY.most_frequent(reference)
        wanted = {"-": self.n_single, ":": self.n_aromatic, "=": self.n_double}
        chosen = [kind for sign, n in wanted.items() for kind in [name for name in known if _central(name) == sign][:n]]
        return {kind: known[kind] for kind in chosen}


def torsions(graphs: Graphs) -> Coordinates:
    """Return the torsion of every chain of three bonds over four different atoms, in degrees in (-180, 180].

    About each bond its outer atoms get an azimuth, once; a torsion is the difference of two. Chains with an outer bond
    within `LINEAR` degrees of the central bond's axis are left out.
    """
    frame = _frames(graphs)
    near, near_azimuth, near_counts = _azimuths(graphs, graphs.bonds[:, 0], graphs.bonds[:, 1], frame)
    far, far_azimuth, far_counts = _azimuths(graphs, graphs.bonds[:, 1], graphs.bonds[:, 0], frame)
    n_torsions = near_counts * far_counts
    bond = np.repeat(np.arange(len(n_torsions)), n_torsions)
    which = np.arange(len(bond)) - (np.cumsum(n_torsions) - n_torsions)[bond]
    first = (np.cumsum(near_counts) - near_counts)[bond] + which // far_counts[bond]
    last = (np.cumsum(far_counts) - far_counts)[bond] + which % far_counts[bond]
    open_chain = near[first] != far[last]  # in a ring of three both ends are the same atom
    bond, first, last = bond[open_chain], first[open_chain], last[open_chain]
    values = np.degrees(far_azimuth[last] - near_azimuth[first])
    values[values > 180] -= 360
    values[values <= -180] += 360
    ranks = element_ranks(graphs.numbers)
    a, d = ranks[near[first]], ranks[far[last]]
    b, c = ranks[graphs.bonds[bond]].T
    twice = np.rint(2 * graphs.orders[bond]).astype(np.int64)
    codes = np.minimum(packed(a, b, c, d), packed(d, c, b, a)) + (twice << 28)
    return Coordinates.of(codes, _name, values, graphs.molecule_of_atom[graphs.bonds[bond, 0]])


def _frames(graphs: Graphs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each bond two unit vectors across it and its own direction, right-handed; (n_bonds, 3) each."""
    axis = graphs.positions[graphs.bonds[:, 1]] - graphs.positions[graphs.bonds[:, 0]]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin(1)])  # with the Cartesian direction farthest from it
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return across, np.cross(axis, across), axis


def _azimuths(
    graphs: Graphs, ends: np.ndarray, others: np.ndarray, frame: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the outer atoms at one end of every bond stand around its axis.

    Args:
        graphs: the molecules.
        ends: (n_bonds,) the end that is looked at.
        others: (n_bonds,) the other end, which is no outer atom.
        frame: of the bonds.

    Returns:
        atoms: (n_outer,) int64, the outer atoms, bond after bond.
        azimuths: (n_outer,) radians in (-pi, pi].
        counts: (n_bonds,) int64, how many each bond has.
    """
    rows, offsets = graphs.neighbours
    degrees = np.diff(offsets)[ends]
    bond = np.repeat(np.arange(len(ends)), degrees)
    atoms = rows[np.arange(len(bond)) + (offsets[ends] - np.cumsum(degrees) + degrees)[bond]]
    outer = atoms != others[bond]
    bond, atoms = bond[outer], atoms[outer]
    arms = graphs.positions[atoms] - graphs.positions[ends[bond]]
    x, y, z = (np.einsum("ij,ij->i", arms, direction[bond]) for direction in frame)
    bent = np.hypot(x, y) > np.tan(np.radians(LINEAR)) * np.abs(z)
    counts = np.bincount(bond[bent], minlength=len(ends))
    return atoms[bent], np.arctan2(y[bent], x[bent]), counts


def _central(kind: str) -> str:
    """Return the sign of the central bond in the name of a kind."""
    return re.split("[A-Za-z]+", kind)[2]


def _name(code: int) -> str:
    a, b, c, d = symbols_of(code & ((1 << 28) - 1), 4)
    twice = code >> 28
    return f"{a}-{b}{SIGNS.get(twice, f'({twice / 2:g})')}{c}-{d}"
