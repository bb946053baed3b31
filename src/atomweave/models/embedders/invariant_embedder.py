"""What the invariant embedders share: their interface, and the batch cut into runs of molecules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .prefix_graphs import PrefixGraphs, prefix_graphs

PAIRS_AT_A_TIME = {"cpu": 32_000}
"""Squared atoms, summed over graphs, that pass through all layers together; on a CPU few, for the caches' sake."""
_PAIRS_ELSEWHERE = 1_000_000


class InvariantEmbedder(nn.Module, ABC):
    """Graphs that are prefixes of molecules -> features of their atoms that do not change when the molecule moves.

    Attributes:
        width: numbers a feature.
        cutoff: neighbours are nearer than this, Å.
        atom: the species table, (n_species, width): the feature of an atom that has no neighbour.
    """

    def __init__(self, n_species: int, width: int, cutoff: float) -> None:
        super().__init__()
        self.width, self.cutoff = width, cutoff
        self.atom = nn.Embedding(n_species, width)

    def forward(self, species: Tensor, positions: Tensor, n_atoms: Tensor, molecule: Tensor, size: Tensor) -> Tensor:
        """Embed every atom of every graph; graph g is the first size[g] atoms of molecule[g].

        Args:
            species: (n_molecules, n_atoms) int64.
            positions: (n_molecules, n_atoms, 3), Å; they get no gradient.
            n_atoms: (n_molecules,) int64, columns beyond are padding.
            molecule: (n_graphs,) int64, in any order.
            size: (n_graphs,) int64, at most n_atoms[molecule].

        Returns:
            (n_graphs, largest size, width), zero beyond a graph's size.
        """
        size = torch.minimum(size, n_atoms[molecule])
        n_columns = int(size.max()) if len(size) else 0
        order = torch.argsort(molecule, stable=True)
        features = [
            self.embed(prefix_graphs(*run, self.cutoff))
            for run in _runs(species, positions.detach(), molecule[order], size[order])
        ]
        held = torch.arange(n_columns, device=size.device) < size[order][:, None]
        row = torch.zeros(len(size), n_columns, dtype=torch.int64, device=size.device)
        row[order] = torch.where(held, held.flatten().cumsum(0).view_as(held), 0)
        # Row 0 is what lies beyond a graph's atoms.
        nothing = self.atom.weight.new_zeros(1, self.width)
        return torch.cat([nothing, *(x.to(nothing.dtype) for x in features)])[row]

    @abstractmethod
    def embed(self, graphs: PrefixGraphs) -> Tensor:
        """Return (n_rows, width), the rows of `graphs`."""


def _runs(
    species: Tensor, positions: Tensor, molecule: Tensor, size: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Cut graphs, sorted by molecule, into runs of whole molecules: species, positions, molecule, size of each run."""
    if len(size) == 0:
        return
    limit = PAIRS_AT_A_TIME.get(size.device.type, _PAIRS_ELSEWHERE)
    used, index, n_graphs = torch.unique_consecutive(molecule, return_inverse=True, return_counts=True)
    cost = torch.zeros_like(used).index_add_(0, index, size.square()).tolist()
    largest = torch.zeros_like(used).scatter_reduce_(0, index, size, "amax").tolist()
    counts = n_graphs.tolist()
    first, first_graph = 0, 0
    while first < len(used):
        last, last_graph, total = first, first_graph, 0
        while last < len(used) and (last == first or total + cost[last] <= limit):
            total += cost[last]
            last_graph += counts[last]
            last += 1
        n_columns = max(1, *largest[first:last]) if last > first + 1 else max(1, largest[first])
        chosen, graphs = used[first:last], slice(first_graph, last_graph)
        yield (
            species[chosen, :n_columns],
            positions[chosen, :n_columns],
            index[graphs] - first,
            size[graphs],
        )
        first, first_graph = last, last_graph
