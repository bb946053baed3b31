"""What the molecules are made of: elements, sizes, bonds, as distributions beside the reference's and as means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...species import NUMBERS, SYMBOLS
from ..intervals import Z_95
from ..measure import Measure, number
from ..metric import Result, Statistics
from .bond_lengths import bond_lengths
from .divergence import Tally, described, divergence, joined

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..reference import Reference
    from ..sample import Sample


@dataclass(frozen=True)
class Composition:
    """Divergence of atom types, molecule sizes, numbers of heavy atoms and bond types; means a molecule."""

    name: str = "composition"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `jsd/atoms`, `jsd/sizes`, `jsd/heavy_atoms`, `jsd/bonds` and `composition/...`, means a molecule."""
        graphs = sample.graphs
        elements = element_counts(graphs)
        known = reference.counts.get("atoms", {}).keys() | elements.keys()
        symbols = sorted(known, key=lambda symbol: (symbol != "C", symbol))  # as in a formula: carbon, then A to Z
        none = np.zeros(len(graphs), np.int64)
        return Result(
            (
                *divergence(atoms(graphs), reference, "atoms", "atoms", "atom types", "atoms"),
                *divergence(sizes(graphs), reference, "sizes", "sizes", "molecule sizes", "molecules"),
                *divergence(heavy_atoms(graphs), reference, "heavy_atoms", "heavy_atoms", "heavy atoms", "molecules"),
                *divergence(bonds(graphs), reference, "bonds", "bonds", "bond types", "bonds"),
                mean("composition/atoms", "atoms a molecule", graphs.sizes),
                mean("composition/heavy_atoms", "heavy atoms a molecule", _n_heavy(graphs)),
                *(
                    mean(f"composition/{symbol}", f"{symbol} a molecule", elements.get(symbol, none))
                    for symbol in symbols
                ),
            ),
            {"formula": sample.over_valid(formulas(elements, len(graphs)))},
        )

    def describe(self, sample: Sample) -> Statistics:
        """Return the counts of atoms, sizes, heavy atoms and bonds."""
        graphs = sample.graphs
        return joined(
            described("atoms", atoms(graphs)),
            described("sizes", sizes(graphs)),
            described("heavy_atoms", heavy_atoms(graphs)),
            described("bonds", bonds(graphs)),
        )


def atoms(graphs: Graphs) -> Tally:
    """Return the element of every atom, "C"."""
    found = Tally.of(graphs.numbers, graphs.molecule_of_atom, len(graphs))
    return Tally(tuple(SYMBOLS[int(number)] for number in found.labels), found.codes, found.molecules, len(graphs))


def sizes(graphs: Graphs) -> Tally:
    """Return the number of atoms of every molecule, "18"."""
    return Tally.of(graphs.sizes, np.arange(len(graphs)), len(graphs))


def heavy_atoms(graphs: Graphs) -> Tally:
    """Return the number of atoms but hydrogen of every molecule, "9"."""
    return Tally.of(_n_heavy(graphs), np.arange(len(graphs)), len(graphs))


def bonds(graphs: Graphs) -> Tally:
    """Return the kind of every bond, "C-N-1.5": its elements in alphabetical order, its bond order."""
    found = bond_lengths(graphs)
    return Tally(found.kinds, found.kind, found.molecule, len(graphs))


def element_counts(graphs: Graphs) -> dict[str, np.ndarray]:
    """Return how many atoms of each element each molecule has: symbol -> (n_molecules,)."""
    return {
        SYMBOLS[element]: np.bincount(graphs.molecule_of_atom[graphs.numbers == element], minlength=len(graphs))
        for element in np.unique(graphs.numbers).tolist()
    }


def formulas(elements: dict[str, np.ndarray], n_molecules: int) -> list[str]:
    """Return the molecular formula of each molecule in Hill's order, "C2H6O"."""
    found = []
    for molecule in range(n_molecules):
        held = {symbol: int(counts[molecule]) for symbol, counts in elements.items() if counts[molecule]}
        first = ("C", "H") if "C" in held else ()
        order = sorted(held, key=lambda symbol: (first.index(symbol) if symbol in first else len(first), symbol))
        found.append("".join(symbol + (str(held[symbol]) if held[symbol] > 1 else "") for symbol in order))
    return found


def mean(name: str, label: str, values: np.ndarray) -> Measure:
    """Return the mean of one number a molecule, with the normal approximation's 95 % interval if there are two or more.

    Args:
        name: of the measure.
        label: of the measure.
        values: (n_molecules,).
    """
    n = len(values)
    value = float(values.mean()) if n else math.nan
    interval = None
    if n > 1:
        half = Z_95 * float(values.std(ddof=1)) / math.sqrt(n)
        interval = (value - half, value + half)
    return number(name, label, value, n, "valid", interval=interval)


def _n_heavy(graphs: Graphs) -> np.ndarray:
    heavy = graphs.molecule_of_atom[graphs.numbers != NUMBERS["H"]]
    return np.bincount(heavy, minlength=len(graphs))
