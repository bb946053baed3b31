"""Molecules as a chemist writes them down: every atom by a length, an angle and a torsion to earlier atoms."""

from __future__ import annotations

import numpy as np

from atomweave.molecule import Molecule

TETRAHEDRAL = float(np.degrees(np.arccos(-1 / 3)))  # 109.47 degrees

CROOKED = ("C1CC1C=O", "c1ccncc1", "CC#CC#N", "C=C=CC", "OC(F)C=CN", "C12CC(C1)C2", "CN(C)N=O")
"""SMILES of small rings, aromatic rings, linear arms, cumulated and cis double bonds, cages, unusual atoms."""


def from_internal(*atoms: tuple) -> Molecule:
    """Return a molecule from rows (symbol), (symbol, a, length), (... b, angle), (... c, torsion).

    A new atom is `length` Å from atom a, at `angle` degrees from the bond a-b, and turned about that bond by `torsion`
    degrees from atom c, clockwise seen along the bond from either end; a, b, c are earlier rows.
    """
    positions = np.zeros((len(atoms), 3))
    for index, (_, *rows) in enumerate(atoms):
        if len(rows) == 2:
            positions[index] = positions[rows[0]] + [rows[1], 0, 0]
        elif rows:
            a, length, b, angle, *turned = rows
            axis = positions[b] - positions[a]
            axis /= np.linalg.norm(axis)
            across = np.array([0.0, 1.0, 0.0])
            if turned:
                arm = positions[turned[0]] - positions[b]
                arm -= (arm @ axis) * axis
                turn = np.radians(turned[1])
                across = np.cos(turn) * arm + np.sin(turn) * np.cross(-axis, arm)
                across /= np.linalg.norm(across)
            angle = np.radians(angle)
            positions[index] = positions[a] + length * (np.cos(angle) * axis + np.sin(angle) * across)
    return Molecule([symbol for symbol, *_ in atoms], positions)


def ammonia() -> Molecule:
    """Three bonds at 106.7 degrees to one another; the torsion of two about the third follows."""
    cosine = np.cos(np.radians(106.7))
    turn = float(np.degrees(np.arccos(cosine / (1 + cosine))))
    return from_internal(("N",), ("H", 0, 1.01), ("H", 0, 1.01, 1, 106.7), ("H", 0, 1.01, 1, 106.7, 2, turn))


def hydrogen_peroxide(torsion: float = 111.5) -> Molecule:
    return from_internal(("O",), ("O", 0, 1.47), ("H", 0, 0.97, 1, 100.0), ("H", 1, 0.97, 0, 100.0, 2, torsion))


def ethane(torsion: float = 60.0) -> Molecule:
    """Two methyl groups, their first hydrogens `torsion` degrees apart."""
    return from_internal(
        ("C",), ("C", 0, 1.53), ("H", 0, 1.09, 1, TETRAHEDRAL), ("H", 1, 1.09, 0, TETRAHEDRAL, 2, torsion),
        *(("H", 0, 1.09, 1, TETRAHEDRAL, 3, torsion + turn) for turn in (120, 240)),
        *(("H", 1, 1.09, 0, TETRAHEDRAL, 2, torsion + turn) for turn in (120, 240)),
    )  # fmt: skip


def butane(torsion: float = 180.0) -> Molecule:
    """Carbons 0 to 3 with `torsion` degrees about the middle bond, methyl groups staggered."""
    methylene = [
        ("H", atom, 1.09, neighbour, TETRAHEDRAL, end, torsion + turn)
        for atom, neighbour, end in ((1, 2, 3), (2, 1, 0))
        for turn in (120, -120)
    ]
    methyl = [
        ("H", atom, 1.09, neighbour, TETRAHEDRAL, end, turn)
        for atom, neighbour, end in ((0, 1, 2), (3, 2, 1))
        for turn in (60, 180, -60)
    ]
    return from_internal(
        ("C",), ("C", 0, 1.53), ("C", 1, 1.53, 0, TETRAHEDRAL), ("C", 2, 1.53, 1, TETRAHEDRAL, 0, torsion),
        *methylene, *methyl,
    )  # fmt: skip


def ethylene(near: str = "HH", far: str = "HH") -> Molecule:
    """Carbons 0 and 1; the first of `near` (atom 2) is cis to the first of `far` (atom 3), trans to its second (4)."""
    lengths = {"H": 1.09, "F": 1.35}
    return from_internal(
        ("C",), ("C", 0, 1.33), (near[0], 0, lengths[near[0]], 1, 121.0),
        (far[0], 1, lengths[far[0]], 0, 121.0, 2, 0.0), (far[1], 1, lengths[far[1]], 0, 121.0, 2, 180.0),
        (near[1], 0, lengths[near[1]], 1, 121.0, 3, 180.0),
    )  # fmt: skip


def acetylene() -> Molecule:
    return Molecule(["H", "C", "C", "H"], [[-1.66, 0, 0], [-0.6, 0, 0], [0.6, 0, 0], [1.66, 0, 0]])


def cyclopropane() -> Molecule:
    """Carbons at the corners of a triangle of 1.51 Å, hydrogens above and below the plane at 114 degrees."""
    around = np.radians([90.0, 210.0, 330.0])
    outward = np.stack([np.cos(around), np.sin(around), np.zeros(3)], 1)
    up, out = 1.08 * np.sin(np.radians(57.0)), 1.08 * np.cos(np.radians(57.0))
    corners = 1.51 / np.sqrt(3) * outward
    hydrogens = [corners + out * outward + [0, 0, side * up] for side in (1, -1)]
    return Molecule(["C"] * 3 + ["H"] * 6, np.vstack([corners, *hydrogens]))


def mirrored(molecule: Molecule) -> Molecule:
    return Molecule(molecule.numbers, molecule.positions * [1, 1, -1])
