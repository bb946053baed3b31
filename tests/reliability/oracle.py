"""What must hold of any file that is read, whatever is in it."""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from atomweave import Molecule
from atomweave.data.store import MoleculeStore
from atomweave.errors import AtomweaveError
from atomweave.io import Refusal, iterate
from atomweave.io.smiles import read_smiles

LONGEST = 2.0  # seconds of processor time
LONGEST_SENTENCE = 600
FIELD = re.compile(
    r"line|atom|record|row|comment|position|number|element|charges|molecule|propert|text|tensor|offset|split|unit|"
    r"one_hot|node_mask|arrays?|archive|database|metadata|sha256|version|header|frames|holds|file|SMILES|safetensors"
)
"""Words by which a reason says what in a file is wrong."""


def complaints(path: Path, format_: str | None = None, budget: float = LONGEST) -> list[str]:
    """Return what is wrong with how a file is read: a traceback, a hang, an unclear sentence, an unsound molecule.

    Args:
        path: the file.
        format_: a name in `io.FORMATS`, "store" or "smiles"; by default the suffix decides.
        budget: seconds of processor time.
    """
    found: list[str] = []
    reader = {".safetensors": _store, ".smi": _smiles}.get(path.suffix, lambda p: _frames(p, format_))
    start = time.process_time()
    try:
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            for item in reader(path):
                found += about(item, path)
        found += [f"a warning: {remark.category.__name__}: {remark.message}" for remark in remarks]
    except Exception:  # noqa: BLE001 - any exception but ours is what is looked for
        found.append("a traceback: " + " | ".join(traceback.format_exc(limit=-3).split("\n")))
    took = time.process_time() - start
    if took > budget:
        found.append(f"took {took:.1f} s")
    return found


def about(item: Molecule | Refusal | AtomweaveError | str, path: Path) -> Iterator[str]:
    """Yield what is wrong with what a reader gave."""
    if isinstance(item, Refusal):
        yield from about_sentence(item.sentence, path)
        if item.frame is None and "frame" in item.sentence.split(": ")[0].removeprefix(str(path)):
            yield f"names a frame of a file that has none: {item.sentence}"
        if not FIELD.search(item.reason):
            yield f"names no field: {item.sentence}"
    elif isinstance(item, AtomweaveError):
        yield from about_sentence(str(item), path)
    elif isinstance(item, Molecule):
        yield from about_molecule(item)


def about_sentence(said: str, path: Path) -> Iterator[str]:
    """Yield what is wrong with a sentence about a file."""
    if str(path) not in said:
        yield f"does not name the file: {said[:200]!r}"
    if not said.isprintable():
        yield f"is not printable: {said[:200]!r}"
    if len(said) > LONGEST_SENTENCE:
        yield f"is {len(said)} signs long: {said[:200]!r}"
    if not said.endswith("."):
        yield f"is no sentence: {said[:200]!r}"
    ours = re.sub(r"'.*?'", "", said.replace(str(path), ""))  # what the file holds is quoted and may look like anything
    if re.search(r"Traceback|0x[0-9a-f]{8}|sys\.|<class|np\.|numpy", ours):
        yield f"speaks to programmers: {said[:300]!r}"


def about_molecule(molecule: Molecule) -> Iterator[str]:
    """Yield what is unsound in a molecule, by other means than the library's own checks."""
    if not np.isfinite(molecule.positions).all():
        yield "let through a position that is not finite"
    elif len(molecule) > 1 and nearest(molecule.positions) < 1e-3:
        yield "let through coincident atoms"
    if not ((molecule.numbers >= 1) & (molecule.numbers <= 118)).all():
        yield "let through an unknown element"
    try:
        MoleculeStore.from_molecules([molecule]).sha256  # noqa: B018 - whether it can be computed
    except AtomweaveError:
        return  # far from the origin: a sentence of its own


def nearest(positions: np.ndarray) -> float:
    """Return the smallest distance between two of (n, 3) positions."""
    from scipy.spatial import cKDTree

    return float(cKDTree(positions).query(positions, k=2)[0][:, 1].min())


def _frames(path: Path, format_: str | None) -> Iterator[Molecule | Refusal | AtomweaveError]:
    yield from _guarded(lambda: iterate(path, format_))


def _store(path: Path) -> Iterator[Molecule | AtomweaveError]:
    yield from _guarded(lambda: iter(MoleculeStore.open(path)))


def _smiles(path: Path) -> Iterator[AtomweaveError | str]:
    yield from _guarded(lambda: (line.smiles for line in read_smiles(path)))


def _guarded(
    items: Callable[[], Iterator[Molecule | Refusal | str]],
) -> Iterator[Molecule | Refusal | AtomweaveError | str]:
    try:
        yield from items()
    except AtomweaveError as error:
        yield error
