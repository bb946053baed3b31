"""The worker's task `xtb`: one molecule relaxed, and whether its bonds are still the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ...chemistry.atoms_frame import unpack_atoms
from ...chemistry.bonds import perceive_atoms, require_rdkit
from ...chemistry.radii import bonded_pairs
from ...chemistry.xtb import Relaxation, relax, require_tblite


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - what every task offers
    """Import RDKit and tblite."""
    require_rdkit()
    require_tblite()


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return what became of packed atoms; `options` holds `threshold` (eV/Å) and `max_energies` of `xtb.relax`."""
    numbers, positions = unpack_atoms(request)
    found = relax(numbers, positions, options["threshold"], options["max_energies"])
    kept = not found.reason and same_graph(numbers, positions, found.positions)
    return pack_relaxation(found, kept)


def same_graph(numbers: np.ndarray, before: np.ndarray, after: np.ndarray) -> bool:
    """Return whether two geometries (n_atoms, 3) of the same atoms have the same bonds and the same canonical SMILES.

    The same pairs must be bonded and the perceived molecules be one: a bond order or a configuration that changed is a
    change. A geometry without valid bonds is the same as none.
    """
    if not np.array_equal(bonded_pairs(numbers, before), bonded_pairs(numbers, after)):
        return False
    first, second = perceive_atoms(numbers, before), perceive_atoms(numbers, after)
    return first.valid and first.smiles == second.smiles


def pack_relaxation(found: Relaxation, kept: bool) -> bytes:
    """Return a relaxation and whether the graph was kept as one line of JSON and the positions."""
    facts = [found.reason, found.energy_start, found.energy_end, found.n_energies, kept]
    return json.dumps(facts).encode() + b"\n" + found.positions.tobytes()


def unpack_relaxation(answer: bytes) -> tuple[Relaxation, bool]:
    """Return what `pack_relaxation` packed."""
    line, _, rest = answer.partition(b"\n")
    reason, start, end, n_energies, kept = json.loads(line)
    return Relaxation(reason, np.frombuffer(rest).reshape(-1, 3), start, end, n_energies), kept
