"""Bond lengths as the paper on G-SphereNet compares them: single bonds of six kinds, by its authors' own checker.

The bonds are those that the checker finds in the molecules that it calls valid, not those of xyz2mol, and the lengths
of the reference are found by the same checker. The discrepancy is another than the thesis's (see `mmd`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metric import Result, Statistics
from .comparison import Family
from .coordinates import Coordinates, element_ranks, packed, symbols_of
from .mmd import gspherenet_mmd

if TYPE_CHECKING:
    from ...chemistry.gspherenet_checker import Checked
    from ...molecule import Molecule
    from ..reference import Reference
    from ..sample import Sample

KINDS = ("C-C", "C-N", "C-O", "C-H", "H-N", "H-O")
"""In the order of the paper's table 1."""

FAMILY = Family(
    "bond_lengths_gspherenet",
    "bond_mmd_gspherenet",
    "bond",
    lambda kind: kind.replace("-", "–"),
    1e-4,
    gspherenet_mmd,
    "MMD² of lengths, as G-SphereNet",
    power=1.0,
)


@dataclass(frozen=True)
class GSphereNetBondLengths:
    """G-SphereNet's squared discrepancy between lengths of single bonds and those of the reference, with its checker.

    Attributes:
        name: of the metric and of the reference's arrays.
        workers: processes for the checker; by default one for each CPU.
        timeout: seconds for one molecule.
        seed: of the floor.
    """

    name: str = "bond_lengths_gspherenet"
    workers: int | None = None
    timeout: float = 10.0
    seed: int = 0

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `bond_mmd_gspherenet/<kind>` and `bond_mmd_gspherenet/mean`."""
        known = FAMILY.most_frequent(reference)
        targets = {kind: known[kind] for kind in KINDS if kind in known}
        if not targets:
            return Result()
        lengths, n_molecules = self._lengths(sample)
        return Result(FAMILY.measures(lengths, n_molecules, reference, targets))

    def describe(self, sample: Sample) -> Statistics:
        """Return histograms of the six kinds."""
        lengths, n_molecules = self._lengths(sample)
        return FAMILY.statistics(lengths, n_molecules, len(KINDS), self.seed)

    def _lengths(self, sample: Sample) -> tuple[Coordinates, int]:
        """Return the single bonds of the six kinds in the molecules that the checker calls valid, and their number."""
        from ...chemistry.gspherenet_checker import check_many

        grown = [verdict.molecule for verdict in sample.verdicts if verdict.finished and verdict.molecule is not None]
        found = check_many(grown, self.workers, self.timeout, sample.showing("bonds by G-SphereNet's checker"))
        return single_bonds(grown, found), sum(checked.valid for checked in found)


def single_bonds(molecules: list[Molecule], found: list[Checked]) -> Coordinates:
    """Return the lengths of single bonds of the six kinds over the valid molecules, which alone are counted."""
    pairs = [(molecule, checked) for molecule, checked in zip(molecules, found, strict=True) if checked.valid]
    rows = [checked.bonds[checked.orders == 1] for _, checked in pairs]
    chosen = [(molecule, bonds) for (molecule, _), bonds in zip(pairs, rows, strict=True)]
    numbers = np.concatenate([np.zeros((0, 2), np.uint8), *(molecule.numbers[bonds] for molecule, bonds in chosen)])
    positions = np.concatenate([np.zeros((0, 2, 3)), *(molecule.positions[bonds] for molecule, bonds in chosen)])
    molecule_of_bond = np.repeat(np.arange(len(rows)), [len(bonds) for bonds in rows])
    ranks = np.sort(element_ranks(numbers), axis=1)
    values = np.linalg.norm(positions[:, 1] - positions[:, 0], axis=1)
    return Coordinates.of(packed(ranks[:, 0], ranks[:, 1]), _name, values, molecule_of_bond).only(KINDS)


def _name(code: int) -> str:
    return "-".join(symbols_of(code, 2))
