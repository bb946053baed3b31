"""The worker's task `bonds`: what xyz2mol finds for one molecule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .atoms_frame import unpack_atoms
from .bonds import Perception, perceive_atoms, require_rdkit


def prepare(options: dict[str, Any]) -> None:
    """Import RDKit."""
    require_rdkit()


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return the perception of packed atoms as bytes."""
    return pack_perception(perceive_atoms(*unpack_atoms(request)))


def pack_perception(found: Perception) -> bytes:
    """Return a perception as one line of JSON, the bonds, their orders, and RDKit's binary."""
    facts = [found.reason, found.detail, found.smiles, found.strict, found.rings, len(found.bonds)]
    arrays = found.bonds.astype(np.uint32).tobytes() + found.orders.astype(np.float32).tobytes()
    return json.dumps(facts).encode() + b"\n" + arrays + found.binary


def unpack_perception(answer: bytes) -> Perception:
    """Return the perception that `pack_perception` packed."""
    line, _, rest = answer.partition(b"\n")
    reason, detail, smiles, strict, rings, n_bonds = json.loads(line)
    bonds = np.frombuffer(rest, np.uint32, 2 * n_bonds).reshape(-1, 2).astype(np.int64)
    orders = np.frombuffer(rest, np.float32, n_bonds, 8 * n_bonds).astype(np.float64)
    return Perception(reason, detail, smiles, strict, rest[12 * n_bonds :], bonds, orders, tuple(rings))
