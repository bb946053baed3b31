"""A few molecules of QM9 with their published geometries, by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atomweave.molecule import Molecule


def qm9_molecules() -> dict[str, Molecule]:
    """Return the molecules of `qm9_molecules.xyz`, from 3 to 29 atoms."""
    lines = Path(__file__).with_name("qm9_molecules.xyz").read_text().splitlines()
    molecules = {}
    while lines:
        n_atoms, formula = int(lines[0]), lines[1].split()[0]
        atoms = [line.split() for line in lines[2 : 2 + n_atoms]]
        molecules[formula] = Molecule([a[0] for a in atoms], np.array([a[1:] for a in atoms], float))
        lines = lines[2 + n_atoms :]
    return molecules
