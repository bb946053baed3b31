"""Graphs that are prefixes of molecules: pairs shared by all prefixes, edges of each as one flat list.

Whatever depends on two atoms alone is computed once a pair. An atom's neighbours are sorted by index, so that those
within a prefix are the first few of them: all tables follow from how many there are, and an edge of any prefix is found
by adding the neighbour's rank to where its receiver's edges begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...geometry.edges import Pairs, pairs_within


@dataclass(frozen=True)
class Edges:
    """Edges (j -> i) of all graphs, sorted by graph, receiver and sender: a receiver's edges are a run."""

    row: Tensor  # (n_edges,) int64, row of the receiving atom
    pair: Tensor  # (n_edges,) int64, row of `Pairs`
    first: Tensor  # (n_graphs, n_atoms) int64, first edge that the atom receives
    count: Tensor  # (n_graphs, n_atoms) int64, how many it receives; 0 beyond the prefix


@dataclass(frozen=True)
class PrefixGraphs:
    """Graph g is the first `size[g]` atoms of `molecule[g]`; it has one row an atom, in order."""

    species: Tensor  # (n_molecules, n_atoms) int64
    positions: Tensor  # (n_molecules, n_atoms, 3), Å
    molecule: Tensor  # (n_graphs,) int64, ascending
    size: Tensor  # (n_graphs,) int64
    pairs: Pairs  # within the cutoff, sorted by molecule, receiver and sender
    first_pair: Tensor  # (n_molecules, n_atoms) int64, first pair that the atom receives
    count: Tensor  # (n_graphs, n_atoms) int64, neighbours within the cutoff and the prefix; 0 beyond the prefix

    @cached_property
    def rows(self) -> tuple[Tensor, Tensor]:
        """(graph, atom) of each row, (n_rows,) int64 each."""
        graph, atom = (torch.arange(self.count.shape[1], device=self.size.device) < self.size[:, None]).nonzero(
            as_tuple=True
        )
        return graph, atom

    @cached_property
    def links(self) -> tuple[Tensor, Tensor]:
        """What depends on the distance alone is computed once for a pair and its reverse, a link.

        (n_links,) int64 rows of `pairs`; (n_pairs,) int64, the link of each pair.
        """
        pairs = self.pairs
        later = pairs.receiver > pairs.sender
        link = later.cumsum(0) - 1
        reverse = pairs.index[pairs.molecule, pairs.sender, pairs.receiver]
        return later.nonzero()[:, 0], torch.where(later, link, link[reverse])

    @cached_property
    def row_species(self) -> Tensor:
        """(n_rows,) int64."""
        graph, atom = self.rows
        return self.species[self.molecule[graph], atom]

    @cached_property
    def couples(self) -> Tensor:
        """(n_graphs, n_atoms) bool: the atom has one neighbour, which has no other; its edges are in no triplet."""
        # A neighbour within the prefix is the first of all, for neighbours are sorted.
        last = len(self.pairs.sender) - 1
        if last < 0:
            return torch.zeros_like(self.count, dtype=torch.bool)
        only = self.pairs.sender[self.first_pair.clamp(max=last)][self.molecule]
        return (self.count == 1) & (self.count.gather(1, only) == 1)

    def edges(self, count: Tensor) -> Edges:
        """List the edges into each atom from its first `count` (n_graphs, n_atoms) neighbours."""
        flat = count.flatten()
        first = flat.cumsum(0) - flat
        node = torch.repeat_interleave(torch.arange(len(flat), device=flat.device), flat)
        rank = torch.arange(len(node), device=flat.device) - first[node]
        row_of = torch.zeros_like(flat)
        held = torch.arange(count.shape[1], device=flat.device) < self.size[:, None]
        row_of[held.flatten()] = torch.arange(int(held.sum()), device=flat.device)
        pair = self.first_pair[self.molecule].flatten()[node] + rank
        return Edges(row_of[node], pair, first.view_as(count), count)


def prefix_graphs(species: Tensor, positions: Tensor, molecule: Tensor, size: Tensor, cutoff: float) -> PrefixGraphs:
    """Find the neighbours of all atoms of all graphs.

    Args:
        species: (n_molecules, n_atoms) int64.
        positions: (n_molecules, n_atoms, 3), Å.
        molecule: (n_graphs,) int64, ascending.
        size: (n_graphs,) int64, how many atoms of its molecule a graph holds.
        cutoff: Å.
    """
    n_molecules, n_atoms = species.shape
    largest = torch.zeros(n_molecules, dtype=torch.int64, device=size.device)
    largest.scatter_reduce_(0, molecule, size, "amax")
    pairs = pairs_within(positions, largest, cutoff)
    near = pairs.index < len(pairs.molecule)
    received = near.sum(-1).flatten()
    first_pair = (received.cumsum(0) - received).view(n_molecules, n_atoms)
    among_first = near.cumsum(-1)  # [molecule, atom, k]: neighbours among the atoms 0 .. k
    count = among_first[molecule].gather(2, (size - 1).clamp(min=0)[:, None, None].expand(-1, n_atoms, 1))[:, :, 0]
    held = torch.arange(n_atoms, device=size.device) < size[:, None]
    return PrefixGraphs(species, positions, molecule, size, pairs, first_pair, count * held)
