"""The validity check of the G-SphereNet authors: bonds by a table of longest lengths, no atom with too many of them.

The rule (Y. Luo, S. Ji, ICLR 2022, after Y. Kim, W. Y. Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as released):

1. Atoms come in the order in which they were generated. Each is bonded to every earlier atom that is at most
   `tables.LONGEST` away and not yet full; whether the later atom is full is not asked.
2. Valid if the atoms are connected and none has more bonds than its valence: H 1, C 4, N 3, O 2, F 1.
3. Bond orders, which only the bond lengths of the paper need: neighbours that both lack bonds are matched (maximum
   matching) and the matched bonds raised by one, until no two neighbours lack bonds. An order may exceed 3.

What bonds are then still missing is not asked either: fragments without their last atoms, radicals, and C2 are valid.
A single atom is connected and valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MissingDependencyError
from ..isolation import Failure, run_isolated
from ..species import NUMBERS
from .bonds import VALENCE
from .close_pairs import close_pairs_of_many
from .lookup import KNOWN, NOT_IN_TABLE
from .matching import forced_matching, raised_orders
from .tables import LONGEST, VALENCES

if TYPE_CHECKING:
    from ..molecule import Molecule

NOT_CONNECTED = "not connected"


@dataclass(frozen=True, eq=False)
class Checked:
    """What the check says of one molecule.

    Attributes:
        reason: why it is invalid; empty if valid.
        bonds: (n_bonds, 2) int64, bonded atoms, the first index smaller, in ascending order; none if invalid.
        orders: (n_bonds,) float64, bond orders; NaN where they were not asked for or not found in time.
    """

    reason: str
    bonds: np.ndarray
    orders: np.ndarray

    @property
    def valid(self) -> bool:
        """Connected, every element in the table, no atom with too many bonds."""
        return not self.reason


@dataclass(frozen=True, eq=False)
class _Atoms:
    """Molecules one after the other; molecule i owns rows `offsets[i]` to `offsets[i + 1]`."""

    numbers: np.ndarray  # (n_atoms,) uint8
    positions: np.ndarray  # (n_atoms, 3) Å
    offsets: np.ndarray  # (n_molecules + 1,) int64

    @property
    def molecule(self) -> np.ndarray:
        """Which molecule each row belongs to; (n_atoms,) int64."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def check_many(
    molecules: Sequence[Molecule],
    workers: int | None = None,
    timeout: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
    orders: bool = True,
) -> list[Checked]:
    """Check molecules, whose atoms stand in the order in which they were generated.

    Args:
        molecules: what to check.
        workers: number of processes for those bond orders that need a search; by default one for each CPU.
        timeout: seconds of wall-clock time for the bond orders of one molecule.
        progress: called with (done, total) during that search.
        orders: whether to find bond orders; validity alone needs none, and no worker.

    Raises:
        MissingDependencyError: if SciPy or, for bond orders, networkx is not installed.
    """
    if not molecules:
        return []
    sizes = [len(molecule) for molecule in molecules]
    atoms = _Atoms(
        np.concatenate([molecule.numbers for molecule in molecules]),
        np.concatenate([molecule.positions for molecule in molecules]),
        np.concatenate([[0], np.cumsum(sizes)]),
    )
    bonds, degrees = _bonds(atoms)
    reasons = _reasons(atoms, bonds, degrees)
    bonds = bonds[np.equal(reasons, "")[atoms.molecule[bonds[:, 0]]]]
    missing = _by_element(VALENCES, 0)[atoms.numbers] - degrees
    found = _orders(atoms, bonds, missing, workers, timeout, progress) if orders else np.full(len(bonds), np.nan)
    ends = np.searchsorted(bonds[:, 0], atoms.offsets)
    return [
        Checked(reason, bonds[start:stop] - first, found[start:stop])
        for reason, start, stop, first in zip(reasons, ends[:-1], ends[1:], atoms.offsets[:-1], strict=True)
    ]


def _bonds(atoms: _Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Return the bonds by rule 1, (n_bonds, 2) rows in ascending order, and the number of bonds of every atom."""
    valences = _by_element(VALENCES, 0)[atoms.numbers]
    kinds = _by_element({symbol: kind for kind, symbol in enumerate(VALENCES, 1)}, 0)[atoms.numbers]
    longest, molecule = _longest(), atoms.molecule
    degrees = np.zeros(len(atoms.numbers), np.int64)
    found = [np.zeros((0, 2), np.int64)]
    for close in close_pairs_of_many(atoms.positions, atoms.offsets, float(longest.max())):
        near = close.distances <= longest[kinds[close.first], kinds[close.second]]
        pairs = np.stack([close.first[near], close.second[near]], 1)
        # Only where some atom would get too many does it matter in which order bonds are made.
        after = degrees.copy()
        np.add.at(after, pairs.ravel(), 1)
        crowded = np.zeros(len(atoms.offsets) - 1, bool)
        crowded[molecule[after > valences]] = True
        in_turn = crowded[molecule[pairs[:, 0]]]
        at_once = pairs[~in_turn]
        np.add.at(degrees, at_once.ravel(), 1)
        in_turn &= degrees[pairs[:, 0]] < valences[pairs[:, 0]]  # what is full now stays full
        found += [at_once, _in_turn(pairs[in_turn], degrees, valences)]
    bonds = np.concatenate(found)
    return bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))], degrees


def _in_turn(pairs: np.ndarray, degrees: np.ndarray, valences: np.ndarray) -> np.ndarray:
    """Return the pairs, (n_pairs, 2) in order of generation, that become bonds; counts them into `degrees`."""
    kept = np.zeros(len(pairs), bool)
    for index, (earlier, later) in enumerate(pairs.tolist()):
        if degrees[earlier] < valences[earlier]:
            kept[index] = True
            degrees[earlier] += 1
            degrees[later] += 1
    return pairs[kept]


def _reasons(atoms: _Atoms, bonds: np.ndarray, degrees: np.ndarray) -> list[str]:
    """Return why each molecule is invalid by rule 2, "" where it is valid."""
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
    except ImportError:
        raise MissingDependencyError(
            "the check of G-SphereNet needs SciPy, which is not installed: pip install 'atomweave[eval]'."
        ) from None
    n_atoms, starts = len(atoms.numbers), atoms.offsets[:-1]
    graph = coo_array((np.ones(len(bonds), np.int8), (bonds[:, 0], bonds[:, 1])), (n_atoms, n_atoms))
    part = connected_components(graph, directed=False)[1]
    wrong = {
        NOT_IN_TABLE: ~np.isin(atoms.numbers, list(KNOWN)),
        NOT_CONNECTED: part != part[starts][atoms.molecule],
        VALENCE: degrees > _by_element(VALENCES, 0)[atoms.numbers],
    }
    found = np.full(len(starts), "", object)
    for reason, of_atom in reversed(wrong.items()):  # the first reason is written last and stays
        found[np.logical_or.reduceat(of_atom, starts)] = reason
    return list(found)


def _orders(
    atoms: _Atoms,
    bonds: np.ndarray,
    missing: np.ndarray,
    workers: int | None,
    timeout: float,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """Return bond orders by rule 3, (n_bonds,); `missing` is how many bonds each atom lacks."""
    orders = np.ones(len(bonds))
    lacking = missing[bonds]  # (n_bonds, 2)
    unfilled = (lacking > 0).all(1)
    n_unfilled = np.bincount(bonds[unfilled].ravel(), minlength=len(missing))
    alone = unfilled & (n_unfilled[bonds] == 1).all(1)
    orders[alone] += lacking[alone].min(1)  # two atoms that lack bonds, with no other such neighbour
    rest = np.flatnonzero(unfilled & ~alone)
    owner = atoms.molecule[bonds[rest, 0]]
    groups = np.split(rest, np.flatnonzero(np.diff(owner)) + 1) if len(rest) else []
    searched, requests = [], []
    for group in groups:
        rows, local = np.unique(bonds[group], return_inverse=True)
        edges, lacks = [(a, b) for a, b in local.reshape(-1, 2).tolist()], missing[rows].tolist()
        raised = raised_orders(edges, lacks, forced_matching)
        if raised is None:
            searched.append(group)
            requests.append((edges, lacks))
        else:
            orders[group] += raised
    for group, raised in zip(searched, _searched(requests, workers, timeout, progress), strict=True):
        orders[group] += np.nan if raised is None else raised
    return orders


def _searched(
    requests: Sequence[tuple[list[tuple[int, int]], list[int]]],
    workers: int | None,
    timeout: float,
    progress: Callable[[int, int], None] | None,
) -> list[list[int] | None]:
    """Return by how much the orders of these bonds are raised, None for a molecule that took too long."""
    from .gspherenet_checker_task import pack_edges, unpack_raised

    if not requests:
        return []
    packed = [pack_edges(edges, lacks) for edges, lacks in requests]
    answers = run_isolated("gspherenet", packed, workers=workers, timeout=timeout, progress=progress)
    return [None if isinstance(answer, Failure) else unpack_raised(answer) for answer in answers]


def _by_element(values: dict[str, int], otherwise: int) -> np.ndarray:
    """Return a value by atomic number; (119,) int64."""
    table = np.full(max(NUMBERS.values()) + 1, otherwise)
    for symbol, value in values.items():
        table[NUMBERS[symbol]] = value
    return table


def _longest() -> np.ndarray:
    """Return the longest bond by pair of kinds, (n_kinds, n_kinds) Å; negative where there is none."""
    kind = {symbol: index for index, symbol in enumerate(VALENCES, 1)}
    longest = np.full((len(kind) + 1, len(kind) + 1), -1.0)
    for pair, length in LONGEST.items():
        first, second = kind[pair[0]], kind[pair[1]]
        longest[first, second] = longest[second, first] = length
    return longest
