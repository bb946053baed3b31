"""How much bond lengths, angles and torsions differ between two geometries of the same bond graphs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .angles import bond_angles
from .torsions import LINEAR

if TYPE_CHECKING:
    from ..graphs import Graphs


def mean_changes(graphs: Graphs, after: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much each molecule's internal coordinates changed, as sums and numbers that can be pooled.

    Args:
        graphs: the molecules before, with the bonds that count.
        after: (n_atoms, 3) Å, the same atoms after.

    Returns:
        "bond" (Å), "angle" and "torsion" (degrees) -> (n_molecules, 2): the sum of the absolute changes, and how many
        there are. A torsion with a straight end, before or after, is left out.
    """
    moved = replace(graphs, positions=after)
    angles = bond_angles(graphs)
    atoms = chains(graphs)
    turns = (torsion_angles(after, atoms) - torsion_angles(graphs.positions, atoms) + 180) % 360 - 180
    defined = np.isfinite(turns)
    changes = {
        "bond": (moved.lengths - graphs.lengths, graphs.molecule_of_atom[graphs.bonds[:, 0]]),
        "angle": (bond_angles(moved).values - angles.values, angles.molecule),
        "torsion": (turns[defined], graphs.molecule_of_atom[atoms[defined, 0]]),
    }
    return {
        name: np.stack([np.bincount(owners, weights, len(graphs)) for weights in (np.abs(change), None)], 1)
        for name, (change, owners) in changes.items()
    }


def chains(graphs: Graphs) -> np.ndarray:
    """Return all chains of four different bonded atoms; (n_torsions, 4) int64 rows of `graphs.numbers`."""
    neighbours, offsets = graphs.neighbours
    degrees = np.diff(offsets)
    second, third = graphs.bonds.T
    n_last = degrees[third]
    sizes = degrees[second] * n_last
    bond = np.repeat(np.arange(len(sizes)), sizes)
    which = np.arange(len(bond)) - (np.cumsum(sizes) - sizes)[bond]
    second, third = second[bond], third[bond]
    first = neighbours[offsets[second] + which // n_last[bond]]
    last = neighbours[offsets[third] + which % n_last[bond]]
    different = (first != third) & (last != second) & (first != last)
    return np.stack([first, second, third, last], 1)[different]


def torsion_angles(positions: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Return torsions about the middle bonds; (n, 4) rows of `positions` -> (n,) degrees, NaN where an end is straight.

    Straight is an outer bond within `torsions.LINEAR` degrees of the axis of the middle one.
    """
    a, b, c, d = (positions[atoms[:, place]] for place in range(4))
    axis = (c - b) / np.linalg.norm(c - b, axis=1, keepdims=True)
    left, right = np.cross(b - a, axis), np.cross(axis, d - c)
    along = np.einsum("ai,ai->a", np.cross(left, right), axis)
    values = np.degrees(np.arctan2(along, np.einsum("ai,ai->a", left, right)))
    bent = np.sin(np.radians(LINEAR))
    for arm, across in ((b - a, left), (d - c, right)):
        values[np.linalg.norm(across, axis=1) < bent * np.linalg.norm(arm, axis=1)] = np.nan
    return values
