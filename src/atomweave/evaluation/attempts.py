"""Attempts as the evaluator takes them: every one counts, also one that came to nothing or cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import AtomweaveError, UsageError, printable
from ..io import Refusal
from ..molecule import Molecule
from .validity import MISSING, UNFINISHED

LONGEST_REASON = 80  # characters of a reason that a file gives

UNREADABLE = "unreadable"
EMPTY, FILE, CUT_OFF, NOT_A_FRAME, OTHER = "no frames", "file not readable", "cut off", "not a frame", "malformed"
_CLASSES = {
    "position is not finite": "position not finite",
    "coincide": "coincident atoms",
    "unknown element": "unknown element",
    "atomic number": "unknown element",
    "at least one atom": "no atoms",
    "truncated": CUT_OFF,
    "more follow": "more atoms than announced",
    "elements beyond": "more atoms than announced",
    "wanted at most": "more atoms than the arrays hold",
    "number of atoms was wanted": NOT_A_FRAME,
    "comment line": "malformed comment line",
    "counts line": NOT_A_FRAME,
    "no line COUNTS": NOT_A_FRAME,
    "coordinates": "malformed atom line",
    "element and position": "malformed atom line",
    "drawing in 2D": "drawing in 2D",
    "position is beyond": "position too far out",
    "cannot be decoded": "damaged row",
}
"""Part of a refusal's sentence -> the class under which it is counted."""


@dataclass(frozen=True, eq=False)
class Attempts:
    """Samples as they were read, one entry an attempt in every list.

    Attributes:
        molecules: what was made, None where it cannot be read.
        finished: whether the model ended the molecule.
        reasons: why an attempt is not finished, a short class; empty if it is.
        labels: file and frame, printable.
        details: the whole sentence where a frame cannot be read, else empty.
        source: file or folder.
        sha256: of the file; of names and contents of a folder's files.
        notes: sentences that a user must see: what was left out, what was not used.
    """

    molecules: list[Molecule | None] = field(default_factory=list)
    finished: list[bool] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    source: str = ""
    sha256: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.molecules)

    def add(self, frame: Molecule | Refusal | None, label: str) -> None:
        """Append what became of one attempt."""
        molecule = frame if isinstance(frame, Molecule) else None
        if isinstance(frame, Refusal):
            finished, reason, detail = False, f"{UNREADABLE}: {refusal_class(frame)}", frame.sentence
        elif molecule is None:
            finished, reason, detail = False, MISSING, ""
        else:
            finished = _is_finished(molecule.properties)
            reason, detail = "" if finished else _reason(molecule.properties), ""
        self.molecules.append(molecule)
        self.finished.append(finished)
        self.reasons.append(reason)
        self.labels.append(printable(label))
        self.details.append(printable(detail))


def attempts_of(molecules: Any, name: str = "") -> Attempts:
    """Return molecules that are already in memory as attempts.

    Args:
        molecules: a sequence or iterator of `Molecule`, `ase.Atoms`, `rdkit.Chem.Mol` (with a conformer and explicit
            hydrogens) or None for an attempt that came to nothing; one of these alone; a `MoleculeStore`; or what
            `atomweave.grow` returns.
        name: of the set, for labels.

    Raises:
        UsageError: if something else is among them.
    """
    if isinstance(molecules, Attempts):
        return molecules
    attempts = Attempts(source=name)
    digest = hashlib.sha256()
    for index, item in enumerate(_items(molecules)):
        frame = _molecule(item, index)
        attempts.add(frame, f"{name} {index}".strip())
        if isinstance(frame, Molecule):
            digest.update(frame.numbers.tobytes() + frame.positions.tobytes())
        digest.update(b"\n")
    return replace(attempts, sha256=digest.hexdigest())


def refusal_class(refusal: Refusal) -> str:
    """Return the short class of a refusal: "position not finite", "unknown element", "cut off" ..."""
    said = refusal.reason
    if refusal.frame is None:
        return EMPTY if "no frames" in said else FILE
    return next((name for part, name in _CLASSES.items() if part in said), OTHER)


def _is_finished(properties: Mapping[str, Any]) -> bool:
    value = properties.get("finished", True)
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "f", "0", "no")
    return not (isinstance(value, bool | int | float) and value == 0)


def _reason(properties: Mapping[str, Any]) -> str:
    said = properties.get("reason")
    return printable(" ".join(said.split()))[:LONGEST_REASON] if isinstance(said, str) and said.strip() else UNFINISHED


def _items(molecules: Any) -> Iterable[Any]:
    grown = getattr(molecules, "molecules", None)
    if grown is not None:
        return grown
    alone = isinstance(molecules, Molecule | str | bytes | Mapping) or not hasattr(molecules, "__iter__")
    return [molecules] if alone or _package(molecules) in ("ase", "rdkit") else molecules


def _package(item: Any) -> str:
    return type(item).__module__.partition(".")[0]


def _molecule(item: Any, index: int) -> Molecule | Refusal | None:
    if item is None or isinstance(item, Molecule):
        return item
    try:
        if _package(item) == "ase":
            return Molecule.from_ase(item)
        if _package(item) == "rdkit":
            return Molecule.from_rdkit(item)
    except AtomweaveError as error:
        return Refusal("molecules", index, str(error).rstrip("."))
    raise UsageError(
        f"molecules: entry {index} is a {type(item).__name__}, wanted a Molecule, ase.Atoms, rdkit.Chem.Mol or None."
    )
