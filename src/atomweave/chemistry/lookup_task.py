"""The worker's task `lookup`: the verdict by the look-up table on one molecule."""

from __future__ import annotations

import json
from typing import Any

from .atoms_frame import unpack_atoms
from .bonds import require_rdkit
from .lookup import LookUp, look_up_atoms


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - the signature of every task
    """Import RDKit."""
    require_rdkit()


def answer(request: bytes, options: dict[str, Any]) -> bytes:  # noqa: ARG001 - the signature of every task
    """Return the verdict on packed atoms as bytes."""
    return pack_look_up(look_up_atoms(*unpack_atoms(request)))


def pack_look_up(found: LookUp) -> bytes:
    """Return a verdict as JSON."""
    return json.dumps([found.reason, found.detail, found.smiles, found.n_fragments]).encode()


def unpack_look_up(answer: bytes) -> LookUp:
    """Return the verdict that `pack_look_up` packed."""
    return LookUp(*json.loads(answer))
