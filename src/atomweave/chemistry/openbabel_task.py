"""The worker's task `openbabel`: Open Babel's verdict on one molecule."""

from __future__ import annotations

from typing import Any

from .atoms_frame import unpack_atoms
from .openbabel import BabelVerdict, babel_atoms, silence


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - the signature of every task
    """Import Open Babel and silence it."""
    silence()


def answer(request: bytes, options: dict[str, Any]) -> bytes:  # noqa: ARG001 - the signature of every task
    """Return the verdict on packed atoms as bytes."""
    found = babel_atoms(*unpack_atoms(request))
    return f"{found.reason}\n{found.smiles}".encode()


def unpack_verdict(answer: bytes) -> BabelVerdict:
    """Return the verdict of an answer."""
    return BabelVerdict(*answer.decode().split("\n"))
