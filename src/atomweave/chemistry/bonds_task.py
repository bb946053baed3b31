"""The worker's task `bonds`: what xyz2mol finds for one molecule and, with the option `lookup`, the look-up verdict.

One pass gives both, for starting a worker costs as much as some thousand molecules.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import InputError
from .atoms_frame import unpack_atoms
from .bonds import VALENCE, Perception, perceive_atoms, require_rdkit
from .close_pairs import close_pairs
from .lookup import longest_look_up, look_up_atoms
from .lookup_task import pack_look_up, unpack_look_up
from .radii import longest_bond


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - the signature of every task
    """Import RDKit's parts that the answers need, lest the first molecule wait for them."""
    require_rdkit()
    from rdkit import Chem, rdBase  # noqa: F401
    from rdkit.Chem import rdDetermineBonds, rdqueries  # noqa: F401


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return the perception of packed atoms as bytes."""
    return pack_perception(perceive_both(*unpack_atoms(request), lookup=bool(options.get("lookup"))))


def perceive_both(numbers: np.ndarray, positions: np.ndarray, lookup: bool) -> Perception:
    """Return the perception of atoms, with their look-up verdict if asked for; distances are computed once."""
    if not lookup:
        return perceive_atoms(numbers, positions)
    try:
        close = close_pairs(positions, max(longest_bond(numbers), longest_look_up()))
    except InputError as error:
        return Perception(VALENCE, str(error), lookup=look_up_atoms(numbers, positions))
    found = perceive_atoms(numbers, positions, close)
    return replace(found, lookup=look_up_atoms(numbers, positions, close))


def pack_perception(found: Perception) -> bytes:
    """Return a perception as two lines of JSON, the bonds, their orders, and RDKit's binary."""
    facts = [found.reason, found.detail, found.smiles, found.strict, found.rings, len(found.bonds)]
    verdict = b"" if found.lookup is None else pack_look_up(found.lookup)
    arrays = found.bonds.astype(np.uint32).tobytes() + found.orders.astype(np.float32).tobytes()
    return b"\n".join([json.dumps(facts).encode(), verdict, arrays + found.binary])


def unpack_perception(answer: bytes) -> Perception:
    """Return the perception that `pack_perception` packed."""
    line, verdict, rest = answer.split(b"\n", 2)
    reason, detail, smiles, strict, rings, n_bonds = json.loads(line)
    bonds = np.frombuffer(rest, np.uint32, 2 * n_bonds).reshape(-1, 2).astype(np.int64)
    orders = np.frombuffer(rest, np.float32, n_bonds, 8 * n_bonds).astype(np.float64)
    lookup = unpack_look_up(verdict) if verdict else None
    return Perception(reason, detail, smiles, strict, rest[12 * n_bonds :], bonds, orders, tuple(rings), lookup)
