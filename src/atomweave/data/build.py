"""From a user's files to a store: what can be used is kept, the rest is counted and explained."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError, UsageError
from ..files import write_atomic
from ..io import Refusal, iterate
from ..molecule import Molecule
from ..randomness import fold_in
from ..species import SYMBOLS, Species
from .store import MoleculeStore, out_of_range


@dataclass(frozen=True)
class Built:
    """A store and what did not get into it."""

    store: MoleculeStore
    refusals: list[Refusal]

    @property
    def reasons(self) -> dict[str, int]:
        """How often each kind of reason occurred, the most frequent first."""
        return dict(Counter(refusal.kind for refusal in self.refusals).most_common())


def build(
    files: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - as in `io.iterate`
    max_neighbour_distance: float | None = None,
    elements: Sequence[str] | None = None,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    report: str | Path | None = None,
) -> Built:
    """Read files of any readable format into one store, in the order given.

    Args:
        files: paths; several formats may be mixed.
        format: name of the format of all files; by default each suffix decides.
        max_neighbour_distance: refuse molecules that fall apart when only atoms nearer than this (Å) hold together.
        elements: refuse molecules that hold any other than these, by symbol; None admits all.
        splits: name -> share of the molecules, drawn at random; shares may leave molecules out.
        seed: decides the splits.
        progress: called with the index of the file and the share of it that has been read.
        report: a CSV of what was refused (file, frame, reason), written even if nothing is kept.

    Raises:
        InputError: if a file does not exist, or no molecule is kept.
        UsageError: if a format, a distance, an element or the shares make no sense.
    """
    shares = dict(splits or {})
    _check_shares(shares)
    if max_neighbour_distance is not None and not max_neighbour_distance > 0:
        raise UsageError(f"max_neighbour_distance is {max_neighbour_distance}, wanted a distance in Å above 0.")
    admitted = None if elements is None else frozenset(Species(elements).numbers)
    # Every file is looked up before the first is read.
    readers = [iterate(path, format, _file_progress(progress, i)) for i, path in enumerate(files)]
    refusals: list[Refusal] = []

    def kept() -> Iterator[Molecule]:
        for i, (path, frames) in enumerate(zip(files, readers, strict=True)):
            for index, frame in enumerate(frames):
                refusal = (
                    frame
                    if isinstance(frame, Refusal)
                    else _refused(path, index, frame, max_neighbour_distance, admitted)
                )
                if refusal is not None:
                    refusals.append(refusal)
                elif isinstance(frame, Molecule):
                    yield frame
            if progress:
                progress(i, 1.0)

    try:
        store = MoleculeStore.from_molecules(kept())
    except InputError:
        if not refusals:
            raise
        if report is not None:
            write_report(report, refusals)
        raise InputError(f"none of {len(refusals)} frames could be used; the first: {refusals[0].sentence}") from None
    if report is not None:
        write_report(report, refusals)
    return Built(replace(store, splits=random_splits(len(store), shares, seed)), refusals)


def random_splits(n_molecules: int, shares: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Return disjoint random sets of molecule indices, each sorted, a pure function of the arguments.

    Raises:
        UsageError: if shares are not above 0 or sum to more than 1.
        InputError: if a share of so few molecules is none.
    """
    _check_shares(shares)
    order = np.random.Generator(np.random.Philox(key=fold_in(seed, "splits"))).permutation(n_molecules)
    ends = np.rint(np.cumsum([0.0, *shares.values()]) * n_molecules).astype(np.int64)
    splits = {}
    for name, start, end in zip(shares, ends[:-1], ends[1:], strict=True):
        if start == end:
            raise InputError(f"split {name!r}: a share of {shares[name]} of {n_molecules} molecules is none.")
        splits[name] = np.sort(order[start:end]).astype(np.int64)
    return splits


def write_report(path: str | Path, refusals: Sequence[Refusal]) -> None:
    """Write refusals as CSV with the columns file, frame (counted from 0, empty for a whole file) and reason."""
    with write_atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "frame", "reason"])
        rows.writerows([r.file, "" if r.frame is None else r.frame, r.reason] for r in refusals)


def is_connected(positions: np.ndarray, distance: float) -> bool:
    """Return whether all atoms hang together by steps shorter than `distance` (Å); positions (n_atoms, 3)."""
    remaining = np.arange(1, len(positions))
    frontier = np.array([0])
    while len(frontier) and len(remaining):
        gaps = positions[remaining, None, :] - positions[None, frontier, :]
        near = ((gaps**2).sum(-1) < distance**2).any(1)
        frontier, remaining = remaining[near], remaining[~near]
    return len(remaining) == 0


def _refused(
    path: str | Path, index: int, molecule: Molecule, distance: float | None, admitted: frozenset[int] | None
) -> Refusal | None:
    reason = out_of_range(molecule)
    if reason is None and admitted is not None:
        reason = _foreign(molecule, admitted)
    if reason is None and distance is not None and not is_connected(molecule.positions, distance):
        reason = f"the atoms do not hang together by steps shorter than {distance} Å"
    return None if reason is None else Refusal(str(path), index, reason)


def _foreign(molecule: Molecule, admitted: frozenset[int]) -> str | None:
    found = [SYMBOLS[number] for number in sorted(set(molecule.numbers.tolist()) - admitted)]
    return f"elements that are not admitted: {', '.join(found)}" if found else None


def _file_progress(progress: Callable[[int, float], None] | None, index: int) -> Callable[[float], None] | None:
    return None if progress is None else lambda share: progress(index, share)


def _check_shares(shares: Mapping[str, float]) -> None:
    if any(not share > 0 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        given = ", ".join(f"{name}={share:g}" for name, share in shares.items())
        raise UsageError(f"splits {given}: wanted shares above 0 that sum to at most 1, e.g. train=0.9,test=0.1.")
