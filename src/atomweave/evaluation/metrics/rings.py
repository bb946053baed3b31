"""Rings: the sizes of the smallest set of smallest rings, and the shares of molecules that hold rings of a kind.

The rings are RDKit's `GetSSSR` of the xyz2mol graph, as in the thesis on Symphony. A cage has one ring fewer than
faces: cubane five of its six squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..measure import share
from ..metric import Result, Statistics
from .composition import mean
from .divergence import Tally, described, divergence

if TYPE_CHECKING:
    from ..graphs import Graphs
    from ..reference import Reference
    from ..sample import Sample

LARGE = 6
"""Rings of more atoms than this are called large."""


@dataclass(frozen=True)
class Rings:
    """Divergence of ring sizes; rings a molecule; shares of molecules by what rings they hold."""

    name: str = "rings"

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return `jsd/rings`, `rings/mean`, and shares of the valid molecules: `rings/none`, `rings/3`, ..."""
        graphs = sample.graphs
        n_rings = np.diff(graphs.ring_offsets)
        aromatic = has_aromatic(graphs)
        kinds = [
            ("none", "no ring", n_rings == 0),
            *((str(size), f"a ring of {size}", has_ring(graphs, size, size)) for size in range(3, LARGE + 1)),
            ("larger", f"a ring of more than {LARGE}", has_ring(graphs, LARGE + 1)),
            ("aromatic", "an aromatic ring", aromatic),
        ]
        shares = (
            share(f"rings/{kind}", f"molecules with {label}", int(holds.sum()), len(graphs), "valid")
            for kind, label, holds in kinds
        )
        pieces = np.split(graphs.ring_sizes, graphs.ring_offsets[1:-1]) if len(graphs) else []
        return Result(
            (
                *divergence(rings(graphs), reference, "rings", "rings", "ring sizes", "rings"),
                mean("rings/mean", "rings a molecule", n_rings),
                *shares,
            ),
            {
                "n_rings": sample.over_valid(n_rings.tolist()),
                "ring_sizes": sample.over_valid([" ".join(map(str, sorted(sizes.tolist()))) for sizes in pieces]),
                "aromatic": sample.over_valid(aromatic.tolist()),
            },
        )

    def describe(self, sample: Sample) -> Statistics:
        """Return the counts of ring sizes."""
        return described("rings", rings(sample.graphs))


def rings(graphs: Graphs) -> Tally:
    """Return the size of every ring, "5"."""
    return Tally.of(graphs.ring_sizes, _molecule_of_ring(graphs), len(graphs))


def has_ring(graphs: Graphs, smallest: int, largest: int | None = None) -> np.ndarray:
    """Return which molecules hold a ring of `smallest` to `largest` atoms, or of any more; (n_molecules,) bool."""
    fits = (graphs.ring_sizes >= smallest) & (largest is None or graphs.ring_sizes <= largest)
    return np.bincount(_molecule_of_ring(graphs)[fits], minlength=len(graphs)) > 0


def has_aromatic(graphs: Graphs) -> np.ndarray:
    """Return which molecules hold an aromatic ring, as an aromatic bond tells; (n_molecules,) bool."""
    molecule_of_bond = np.repeat(np.arange(len(graphs)), np.diff(graphs.bond_offsets))
    return np.bincount(molecule_of_bond[graphs.orders == 1.5], minlength=len(graphs)) > 0


def _molecule_of_ring(graphs: Graphs) -> np.ndarray:
    return np.repeat(np.arange(len(graphs)), np.diff(graphs.ring_offsets))
