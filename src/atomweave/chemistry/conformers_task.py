"""The worker's task `conformer`: one SMILES to one conformer."""

from __future__ import annotations

import struct
from typing import Any

from .atoms_frame import pack_atoms, unpack_atoms
from .bonds import require_rdkit
from .conformers import Conformer, embed


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - the signature of every task
    """Import RDKit's parts that the answers need, lest the first molecule wait for them."""
    require_rdkit()
    from rdkit import Chem, rdBase  # noqa: F401
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers  # noqa: F401


def answer(request: bytes, options: dict[str, Any]) -> bytes:
    """Return the conformer of a packed SMILES as bytes."""
    (seed,) = struct.unpack_from("<q", request)
    return pack_conformer(embed(request[8:].decode(), int(options["n_conformers"]), seed))


def pack_request(smiles: str, seed: int) -> bytes:
    """Return a SMILES and the seed of its embedding, below 2^63, as bytes."""
    return struct.pack("<q", seed) + smiles.encode()


def pack_conformer(found: Conformer) -> bytes:
    """Return a conformer as a line with the reason, the energy and the atoms."""
    return found.reason.encode() + b"\n" + struct.pack("<d", found.energy) + pack_atoms(found.numbers, found.positions)


def unpack_conformer(answer: bytes) -> Conformer:
    """Return the conformer that `pack_conformer` packed."""
    reason, rest = answer.split(b"\n", 1)
    (energy,) = struct.unpack_from("<d", rest)
    return Conformer(reason.decode(), *unpack_atoms(rest[8:]), energy)
