"""What a perception worker is sent and sends back: raw arrays one way, a JSON line and RDKit's binary the other."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .bonds import Perception

if TYPE_CHECKING:
    from ..molecule import Molecule

READY = b"ready\n"
"""First line of a worker, sent when its imports are done."""


def send_molecules(stream: BinaryIO, molecules: Sequence[Molecule]) -> None:
    """Write molecules as one frame: count, sizes, atomic numbers, positions."""
    sizes = np.array([len(molecule) for molecule in molecules], np.uint32)
    numbers = np.concatenate([molecule.numbers for molecule in molecules])
    positions = np.concatenate([molecule.positions for molecule in molecules])
    stream.write(struct.pack("<I", len(molecules)) + sizes.tobytes() + numbers.tobytes() + positions.tobytes())
    stream.flush()


def receive_molecules(stream: BinaryIO) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read one frame: atomic numbers (n_atoms,) and positions (n_atoms, 3) Å of each molecule; [] at the end."""
    head = stream.read(4)
    if len(head) < 4:
        return []
    (n_molecules,) = struct.unpack("<I", head)
    sizes = np.frombuffer(stream.read(4 * n_molecules), np.uint32).astype(np.int64)
    n_total = int(sizes.sum())
    numbers = np.frombuffer(stream.read(n_total), np.uint8)
    positions = np.frombuffer(stream.read(24 * n_total), np.float64).reshape(-1, 3)
    ends = np.cumsum(sizes)[:-1]
    return list(zip(np.split(numbers, ends), np.split(positions, ends), strict=True))


def send_perception(stream: BinaryIO, found: Perception) -> None:
    """Write one perception and flush, so that the time limit of the next molecule starts now."""
    line = json.dumps([found.reason, found.detail, found.smiles, found.strict, len(found.binary)])
    stream.write(line.encode() + b"\n" + found.binary)
    stream.flush()


def receive_perception(stream: BinaryIO) -> Perception | None:
    """Read one perception; None if the stream ends first."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    reason, detail, smiles, strict, n_bytes = json.loads(line)
    binary = stream.read(n_bytes)
    return Perception(reason, detail, smiles, strict, binary) if len(binary) == n_bytes else None
