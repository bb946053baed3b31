"""Benchmarks of completion: what is taken from molecules, and how often a model puts it back.

Symphony's thesis removes every hydrogen in turn from 1,000 molecules of either split (table 5.4): the first of the
training split and the last of the test split, in the order in which the EDM splits were drawn. A completion counts as
a success where it is finished and xyz2mol-valid; what was removed need not come back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ..chemistry.radii import bonded_pairs
from ..molecule import Molecule
from ..randomness import fold_in
from .evaluation import PublishedRow
from .intervals import clustered_wilson
from .measure import Measure
from .validity import Verdict, assess

THESIS = "thesis (2024), table 5.4"


def without_each_hydrogen(molecule: Molecule) -> list[Molecule]:
    """Return the molecule without each of its hydrogens in turn."""
    if len(molecule) == 1:
        return []
    return [_without(molecule, [atom]) for atom in np.flatnonzero(molecule.numbers == 1).tolist()]


def without_each_methyl(molecule: Molecule) -> list[Molecule]:
    """Return the molecule without each of its methyl groups in turn: carbon bonded to three hydrogens and one more."""
    neighbours = _neighbours(molecule)
    fragments = []
    for carbon in np.flatnonzero(molecule.numbers == 6).tolist():
        around = neighbours[carbon]
        hydrogens = [atom for atom in around if molecule.numbers[atom] == 1]
        if len(around) == 4 and len(hydrogens) == 3:
            fragments.append(_without(molecule, [carbon, *hydrogens]))
    return fragments


def with_each_ring_opened(molecule: Molecule) -> list[Molecule]:
    """Return the molecule without one ring atom in turn, with its hydrogens: one that has two heavy neighbours.

    What is left is in one piece, and a model has to bridge the two ends again.
    """
    neighbours, core = _neighbours(molecule), _core(molecule)
    fragments = []
    for atom in sorted(core):
        heavy = [other for other in neighbours[atom] if molecule.numbers[other] != 1]
        # In a ring, not in a chain between two: one end still reaches the other without the atom.
        if len(heavy) == 2 and heavy[1] in _reached(neighbours, heavy[0], {atom}):
            hydrogens = [other for other in neighbours[atom] if molecule.numbers[other] == 1]
            fragments.append(_without(molecule, [atom, *hydrogens]))
    return fragments


def without_each_two_side_chains(molecule: Molecule) -> list[Molecule]:
    """Return the molecule without each two of its side chains: what hangs by one bond on its rings and their linkers.

    The rings with the chains between them are its scaffold (Bemis, Murcko, J. Med. Chem. 39, 2887 (1996)), but for
    doubly bonded atoms outside, which count as side chains here. A side chain has a heavy atom.
    """
    neighbours, core = _neighbours(molecule), _core(molecule)
    chains = [
        sorted(_reached(neighbours, other, {atom}))
        for atom in sorted(core)
        for other in neighbours[atom]
        if other not in core and molecule.numbers[other] != 1
    ]
    return [_without(molecule, [*one, *two]) for one, two in combinations(chains, 2)]


def _neighbours(molecule: Molecule) -> list[list[int]]:
    neighbours: list[list[int]] = [[] for _ in molecule.numbers]
    for a, b in bonded_pairs(molecule.numbers, molecule.positions).tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    return neighbours


def _core(molecule: Molecule) -> set[int]:
    """Return the atoms of rings and of chains between rings: what is left when ends are taken off again and again."""
    neighbours = [set(around) for around in _neighbours(molecule)]
    ends = [atom for atom, around in enumerate(neighbours) if len(around) <= 1]
    while ends:
        atom = ends.pop()
        for other in neighbours[atom]:
            neighbours[other].discard(atom)
            if len(neighbours[other]) == 1:
                ends.append(other)
        neighbours[atom] = set()
    return {atom for atom, around in enumerate(neighbours) if around}


def _reached(neighbours: Sequence[Sequence[int]], start: int, without: set[int]) -> set[int]:
    """Return the atoms that a walk from `start` reaches that does not enter `without`."""
    reached, ahead = {start}, [start]
    while ahead:
        for other in neighbours[ahead.pop()]:
            if other not in reached and other not in without:
                reached.add(other)
                ahead.append(other)
    return reached


def _without(molecule: Molecule, atoms: Sequence[int]) -> Molecule:
    kept = np.delete(np.arange(len(molecule)), atoms)
    return Molecule(molecule.numbers[kept], molecule.positions[kept])


def shuffled(fragment: Molecule, seed: int, index: int) -> Molecule:
    """Return the same atoms in a random order, a function of `seed` and `index`."""
    order = np.random.default_rng(fold_in(seed, "shuffle", index)).permutation(len(fragment))
    return replace(fragment, numbers=fragment.numbers[order], positions=fragment.positions[order])


@dataclass(frozen=True)
class Benchmark:
    """What is removed, and what others reached.

    Attributes:
        removed: in words, e.g. "one hydrogen".
        fragments_of: molecule -> what is left of it, one fragment a removal.
        published: systems with the measures "valid/train" and "valid/test".
    """

    removed: str
    fragments_of: Callable[[Molecule], list[Molecule]]
    published: tuple[PublishedRow, ...] = ()


def _thesis(system: str, conditions: str, train: float, test: float) -> PublishedRow:
    return PublishedRow(system, conditions, THESIS, {"valid/train": train / 100, "valid/test": test / 100})


BENCHMARKS = {
    "symphony-table-5.4": Benchmark(
        "one hydrogen",
        without_each_hydrogen,
        (
            _thesis("Symphony", "earliest checkpoint", 98.5, 98.7),
            _thesis("Symphony", "latest checkpoint", 95.6, 95.4),
            _thesis("G-SchNet", "", 97.9, 98.2),
        ),
    ),
    "methyl": Benchmark("one methyl group", without_each_methyl),
    "ring": Benchmark("one ring atom with its hydrogens", with_each_ring_opened),
    "scaffold": Benchmark("two side chains of a scaffold", without_each_two_side_chains),
}
"""Every benchmark by its name."""


@dataclass(frozen=True)
class Cases:
    """The fragments of one split.

    Attributes:
        molecules: the whole molecules.
        fragments: what is left of them, one entry a removal.
        source: (n_fragments,) index into `molecules`, ascending.
    """

    molecules: list[Molecule]
    fragments: list[Molecule]
    source: np.ndarray

    @classmethod
    def of(cls, benchmark: Benchmark, molecules: Sequence[Molecule]) -> Cases:
        """Remove from every molecule in turn."""
        fragments = [benchmark.fragments_of(molecule) for molecule in molecules]
        source = np.repeat(np.arange(len(molecules)), [len(those) for those in fragments])
        return cls(list(molecules), [fragment for those in fragments for fragment in those], source)

    def measures(self, verdicts: Sequence[Verdict]) -> tuple[Measure, ...]:
        """Return the shares of completions that are finished, valid, strict, and have their formula again.

        The completions of one molecule succeed or fail together, so the intervals are of shares pooled over molecules.

        Args:
            verdicts: one a fragment.
        """
        whole = [self.molecules[source] for source in self.source]
        formula = [
            verdict.valid and verdict.molecule is not None and verdict.molecule.formula == molecule.formula
            for verdict, molecule in zip(verdicts, whole, strict=True)
        ]
        return (
            self._share("finished", "finished", [verdict.finished for verdict in verdicts]),
            self._share("valid", "valid (xyz2mol)", [verdict.valid for verdict in verdicts]),
            self._share("strict", "connected, neutral, no radical", [verdict.strict for verdict in verdicts]),
            self._share("formula", "valid, with the formula of the whole", formula),
        )

    def intact(self, workers: int | None = None) -> float:
        """Return the share of the whole molecules that are valid, each counted as often as it gives fragments."""
        valid = np.array([verdict.valid for verdict in assess(self.molecules, workers=workers)])
        return float(valid[self.source].mean()) if len(self.source) else math.nan

    def _share(self, name: str, label: str, passed: Sequence[bool]) -> Measure:
        n, count = len(passed), int(sum(passed))
        sizes = np.bincount(self.source, minlength=len(self.molecules))
        successes = np.bincount(self.source, weights=np.array(passed, float), minlength=len(self.molecules))
        interval = clustered_wilson(successes[sizes > 0], sizes[sizes > 0])
        return Measure(name, label, count / n if n else math.nan, count, n, "completions", interval, better="high")


@dataclass(frozen=True)
class SplitResult:
    """What came of one split.

    Attributes:
        n_molecules: from how many molecules something was removed.
        measures: see `Cases.measures`.
        intact: share of the whole molecules that are valid.
        reasons: why completions are invalid -> how many.
    """

    n_molecules: int
    measures: tuple[Measure, ...]
    intact: float
    reasons: dict[str, int]

    @classmethod
    def of(cls, cases: Cases, verdicts: Sequence[Verdict], workers: int | None = None) -> SplitResult:
        """Summarise the verdicts on the completions of `cases`."""
        reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
        n_molecules = len(np.unique(cases.source))
        return cls(n_molecules, cases.measures(verdicts), cases.intact(workers), dict(reasons.most_common()))

    def __getitem__(self, name: str) -> Measure:
        return next(measure for measure in self.measures if measure.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "molecules": self.n_molecules,
            "measures": {measure.name: measure.as_dict() for measure in self.measures},
            "intact": self.intact if math.isfinite(self.intact) else None,
            "invalid": self.reasons,
        }
