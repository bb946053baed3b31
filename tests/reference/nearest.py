"""The nearest policy read off the paper, one molecule and one fragment at a time, with no regard to speed."""

from __future__ import annotations

import numpy as np

from atomweave.growth.policies import NearestConfig
from atomweave.molecule import Molecule


def start_atoms(molecule: Molecule, config: NearestConfig) -> set[int]:
    """Return the atoms that may be the first."""
    atoms = set(range(len(molecule)))
    if config.start != "data":
        return {a for a in atoms if molecule.symbols[a] == config.start}
    heavy = {a for a in atoms if molecule.numbers[a] > 1}
    return heavy if config.heavy_first and heavy else atoms


def admissible_pairs(molecule: Molecule, placed: list[int], config: NearestConfig) -> set[tuple[int, int]]:
    """Return all pairs (focus, target) of atoms that may come next."""
    distance = {}
    for f in placed:
        for a in range(len(molecule)):
            if a not in placed:
                d = float(np.linalg.norm(molecule.positions[f] - molecule.positions[a]))
                if d < config.neighbour_cutoff:
                    distance[f, a] = d
    heavy_left = [a for a in range(len(molecule)) if a not in placed and molecule.numbers[a] > 1]
    if config.heavy_first and heavy_left:
        heavy_placed = [f for f in placed if molecule.numbers[f] > 1]
        focus = heavy_placed or placed
        distance = {(f, a): d for (f, a), d in distance.items() if f in focus and a in heavy_left}
    return {pair for pair, d in distance.items() if d < min(distance.values()) + config.tolerance}
