"""Local environments: what an atom is and what it is bonded to, e.g. "C: C2,H2", and how their frequencies compare.

The metric is that of A. Daigavane et al. (the thesis on Symphony, section 5): Jensen-Shannon divergence between the
frequencies of environments in 1,000 valid molecules of the sample and in 1,000 of the data. The thesis took the first
1,000 files that a folder listed, which is an arbitrary order; here they are drawn at random with a fixed seed, because
a file sorted by size (as QM9 is) would otherwise be judged by its smallest molecules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...species import SYMBOLS
from ..metric import Result, Statistics
from .divergence import Tally, described, divergence, joined

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..reference import Reference
    from ..sample import Sample


def environments(graphs: Graphs) -> Tally:
    """Return the environment of every atom, "C: C2,H2": its symbol, its bonded neighbours by symbol with their counts.

    Bond orders play no part. An atom without bonds is "Ne:".
    """
    present = np.array(sorted(np.unique(graphs.numbers).tolist(), key=lambda number: SYMBOLS[number]), np.int64)
    element = np.zeros(len(SYMBOLS), np.int64)
    element[present] = np.arange(len(present))
    kinds = element[graphs.numbers]
    rows, offsets = graphs.neighbours
    centres = np.repeat(np.arange(len(kinds)), np.diff(offsets))
    n_atoms, n_kinds = len(kinds), len(present)
    codes = kinds
    for kind in range(n_kinds):  # one element after the other, so that no code grows beyond the number of environments
        held = np.bincount(centres[kinds[rows] == kind], minlength=n_atoms)
        _, codes = np.unique(codes * (held.max(initial=0) + 1) + held, return_inverse=True)
    _, examples, codes = np.unique(codes, return_index=True, return_inverse=True)
    names = [_name(kinds[atom], kinds[rows[offsets[atom] : offsets[atom + 1]]], present) for atom in examples.tolist()]
    return Tally(tuple(names), codes, graphs.molecule_of_atom, len(graphs))


def n_neighbour_elements(environment: str) -> int:
    """Return how many different elements the neighbours have: 2 for "C: C2,H2", 0 for an atom without bonds."""
    return len(environment.partition(":")[2].split(",")) if not environment.endswith(":") else 0


def random_parts(n: int, size: int | None, rng: np.random.Generator, most: int = 10) -> list[np.ndarray]:
    """Return disjoint random parts of n molecules, each of `size`; one part with all if there are no more, or None.

    Args:
        n: number of molecules.
        size: of a part.
        rng: source of the order.
        most: parts at most.

    Returns:
        (size,) molecule indices, ascending, for each part.
    """
    if size is None or n <= size:
        return [np.arange(n)]
    order = rng.permutation(n)
    return [np.sort(order[start : start + size]) for start in range(0, n - size + 1, size)][:most]


@dataclass(frozen=True)
class Environments:
    """Divergence of local environments: as the thesis, on equal numbers of molecules, and over all.

    Attributes:
        molecules: how many valid molecules of the sample, and of the reference, the thesis's figure takes.
        seed: of the draw.
    """

    name: str = "environments"
    molecules: int = 1000
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `jsd/environments` and `jsd/environments_all`."""
        found = environments(sample.graphs)
        parts = random_parts(found.n_molecules, self.molecules, np.random.default_rng(self.seed))
        note = f"at most {self.molecules:,} random molecules from either side, as in the thesis"
        some = divergence(
            found, reference, "environments_some", "environments", "local environments", "atoms", parts, note
        )
        label = "local environments, all molecules"
        return Result((*some, *divergence(found, reference, "environments", "environments_all", label, "atoms")))

    def describe(self, sample: Sample) -> Statistics:
        """Return the environments of all valid molecules, and of as many as the thesis took."""
        found = environments(sample.graphs)
        # Another draw than that of `measure`, so that the data as a sample are not compared with themselves.
        some = random_parts(found.n_molecules, self.molecules, np.random.default_rng((self.seed, 1)))[0]
        return joined(described("environments", found), described("environments_some", found, some))


def _name(kind: int, neighbours: np.ndarray, present: np.ndarray) -> str:
    found, counts = np.unique(neighbours, return_counts=True)
    around = ",".join(f"{SYMBOLS[present[k]]}{n}" for k, n in zip(found.tolist(), counts.tolist(), strict=True))
    return f"{SYMBOLS[present[kind]]}: {around}".rstrip()
