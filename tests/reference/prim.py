"""Prim's algorithm with a heap, G-SphereNet's references and its torsion, one atom at a time and slowly."""

from __future__ import annotations

import heapq
import math

import numpy as np

from atomweave.chemistry.radii import bonded_pairs
from atomweave.molecule import Molecule


def square(molecule: Molecule, a: int, b: int) -> float:
    """Return the squared distance of two atoms, Å^2."""
    return float(((molecule.positions[a] - molecule.positions[b]) ** 2).sum())


def first_carbon(molecule: Molecule) -> int:
    """Return where the published order begins."""
    carbons = np.flatnonzero(molecule.numbers == 6)
    return int(carbons[0]) if len(carbons) else 0


def spanning_tree(molecule: Molecule, root: int) -> list[tuple[int, int]]:
    """Return the edges (focus, new atom) of the minimum spanning tree in Prim's order; ties by what came first."""
    edges: list[tuple[int, int]] = []
    heap: list[tuple[float, int, int, int]] = []
    n_pushed, placed, newest = 0, {root}, root
    while len(placed) < len(molecule):
        for atom in range(len(molecule)):
            if atom not in placed:
                heapq.heappush(heap, (square(molecule, newest, atom), n_pushed, newest, atom))
                n_pushed += 1
        while True:
            _, _, focus, newest = heapq.heappop(heap)
            if newest not in placed:
                break
        placed.add(newest)
        edges.append((focus, newest))
    return edges


def neighbour_sets(molecule: Molecule) -> list[set[int]]:
    """Return the atoms that each atom is bonded to."""
    neighbours: list[set[int]] = [set() for _ in range(len(molecule))]
    for a, b in bonded_pairs(molecule.numbers, molecule.positions).tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    return neighbours


def last_first(molecule: Molecule, root: int) -> list[tuple[int, int]]:
    """Return the edges (focus, new atom) where the focus is the heavy atom placed last that lacks a neighbour."""
    neighbours = neighbour_sets(molecule)
    order, edges = [root], []
    while True:
        open_atoms = [atom for atom in order if neighbours[atom] - set(order)]
        if not open_atoms:
            return edges
        focus = ([atom for atom in open_atoms if molecule.numbers[atom] != 1] or open_atoms)[-1]
        newest = min(neighbours[focus] - set(order), key=lambda atom: (square(molecule, focus, atom), atom))
        order.append(newest)
        edges.append((focus, newest))


def references(molecule: Molecule, order: list[int], focus: int, prefix: int) -> tuple[int, int]:
    """Return the growth indices of second and third reference, -1 for none; `order` is growth index -> atom."""
    placed = [k for k in range(prefix) if k != focus]
    second = min(placed, key=lambda k: square(molecule, order[focus], order[k]), default=-1)
    others = [k for k in placed if k != second]
    return second, min(others, key=lambda k: square(molecule, order[second], order[k]), default=-1)


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Return the dihedral angle a-b-c-d (IUPAC: positive if, seen along b to c, a turns clockwise to d), radian."""
    along = (c - b) / np.linalg.norm(c - b)
    v = (a - b) - ((a - b) @ along) * along
    w = (d - c) - ((d - c) @ along) * along
    return math.atan2(float(np.cross(along, v) @ w), float(v @ w))
