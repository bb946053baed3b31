"""Pairs of atoms within a cutoff, and the rows over which the fragments of a molecule are computed.

All fragments of a molecule share its pairs: whatever depends on two atoms alone (harmonics, radial networks, rotations)
is computed once a pair and read by every prefix that holds both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """Directed pairs (receiver i, sender j) of a batch of molecules, i != j, within the cutoff."""

    molecule: Tensor  # (n_pairs,) int64
    receiver: Tensor  # (n_pairs,) int64, atom index in its molecule
    sender: Tensor  # (n_pairs,) int64
    vectors: Tensor  # (n_pairs, 3), receiver minus sender, Å
    distances: Tensor  # (n_pairs,), Å
    index: Tensor  # (n_molecules, n_atoms, n_atoms) int64, pair at [molecule, receiver, sender]; n_pairs for none


def pairs_within(positions: Tensor, n_atoms: Tensor, cutoff: float, edge_positions: Tensor | None = None) -> Pairs:
    """Find all pairs nearer than `cutoff`.

    Args:
        positions: (n_molecules, n_atoms, 3), Å; vectors are measured between these.
        n_atoms: (n_molecules,), rows beyond are padding.
        cutoff: Å.
        edge_positions: same shape, decide who is within the cutoff; `positions` when None. Training adds noise to the
            positions but keeps the clean neighbour list, as the authors did.
    """
    deciding = positions if edge_positions is None else edge_positions
    real = torch.arange(positions.shape[1], device=positions.device) < n_atoms[:, None]
    # The exact difference, not cdist's expanded square, which loses digits for near atoms.
    squared = (deciding[:, :, None] - deciding[:, None, :]).square().sum(-1)
    near = (squared < cutoff**2) & (squared > 0) & real[:, :, None] & real[:, None, :]
    molecule, receiver, sender = near.nonzero(as_tuple=True)
    index = torch.full(near.shape, len(molecule), dtype=torch.int64, device=positions.device)
    index[molecule, receiver, sender] = torch.arange(len(molecule), device=positions.device)
    vectors = positions[molecule, receiver] - positions[molecule, sender]
    return Pairs(molecule, receiver, sender, vectors, torch.linalg.vector_norm(vectors, dim=1), index)


@dataclass(frozen=True)
class PrefixRows:
    """One row for each atom of each fragment: (molecule, decision, atom) with atom < prefix."""

    prefix: Tensor  # (n_molecules, n_decisions) int64
    molecule: Tensor  # (n_rows,) int64
    decision: Tensor  # (n_rows,) int64
    atom: Tensor  # (n_rows,) int64
    row: Tensor  # (n_molecules, n_decisions, n_atoms) int64, row at [molecule, decision, atom]; n_rows for none


def prefix_rows(prefix: Tensor, n_atoms: int) -> PrefixRows:
    """Lay out the rows of fragments of `prefix` (n_molecules, n_decisions) atoms, at most `n_atoms`; 0 is padding."""
    held = torch.arange(n_atoms, device=prefix.device) < prefix[:, :, None]
    molecule, decision, atom = held.nonzero(as_tuple=True)
    row = torch.full(held.shape, len(molecule), dtype=torch.int64, device=prefix.device)
    row[molecule, decision, atom] = torch.arange(len(molecule), device=prefix.device)
    return PrefixRows(prefix, molecule, decision, atom, row)


@dataclass(frozen=True)
class FragmentEdges:
    """Edges of fragments into chosen receivers: which row sends, what it crosses, which receiver it reaches."""

    sender: Tensor  # (n_edges,) int64, row of `PrefixRows`
    pair: Tensor  # (n_edges,) int64, row of `Pairs`
    link: Tensor  # (n_edges,) int64, position in `Reception.links`
    receiver: Tensor  # (n_edges,) int64, position among the chosen receivers, ascending


@dataclass(frozen=True)
class Reception:
    """Chosen atoms of fragments that receive from all others of their fragment, and which pairs are read on the way.

    What depends on the distance alone is shared by the two directions of a pair: it is kept by link, an unordered pair.
    """

    molecule: Tensor  # (n_receivers,) int64
    atom: Tensor  # (n_receivers,) int64
    prefix: Tensor  # (n_receivers,) int64, atoms of the receiver's fragment
    first_row: Tensor  # (n_receivers,) int64, row of the fragment's first atom; its other rows follow
    links: Tensor  # (n_links_read,) int64, rows of `Pairs`: of the two directions, the one whose receiver is later
    pair: (
        Tensor  # (n_molecules, n_atoms, n_atoms) int64, row of `Pairs` at [molecule, receiver, sender], -1 where unread
    )
    link: Tensor  # (n_molecules, n_atoms, n_atoms) int64, position in `links`, -1 where neither direction is read

    @cached_property
    def by_molecule(self) -> tuple[Tensor, Tensor]:
        """(n_receivers,) receivers sorted by molecule and atom; (n_molecules + 1,) where each molecule begins."""
        order = torch.argsort(self.molecule * self.pair.shape[1] + self.atom, stable=True)
        counts = torch.bincount(self.molecule, minlength=len(self.pair))
        return order, torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    def edges(self) -> FragmentEdges:
        """List the edges one by one."""
        pair = self.pair[self.molecule, self.atom]  # (n_receivers, n_atoms)
        atoms = torch.arange(pair.shape[1], device=pair.device)
        receiver, sender = ((pair >= 0) & (atoms < self.prefix[:, None])).nonzero(as_tuple=True)
        link = self.link[self.molecule[receiver], self.atom[receiver], sender]
        return FragmentEdges(self.first_row[receiver] + sender, pair[receiver, sender], link, receiver)


def reception(rows: PrefixRows, pairs: Pairs, molecule: Tensor, decision: Tensor, atom: Tensor) -> Reception:
    """Let `atom` of fragment (molecule, decision) receive; the three arguments are (n_receivers,) each."""
    n_molecules, n_atoms = pairs.index.shape[:2]
    prefix = rows.prefix[molecule, decision]
    longest = torch.zeros(n_molecules * n_atoms, dtype=prefix.dtype, device=prefix.device)
    longest.scatter_reduce_(0, molecule * n_atoms + atom, prefix, "amax")
    senders = torch.arange(n_atoms, device=prefix.device)
    read = (pairs.index < len(pairs.molecule)) & (senders < longest.view(n_molecules, n_atoms, 1))
    later = (read | read.mT).tril().nonzero(as_tuple=True)
    link = torch.full_like(pairs.index, -1)
    link[later] = torch.arange(len(later[0]), device=link.device)
    return Reception(
        molecule=molecule,
        atom=atom,
        prefix=prefix,
        first_row=rows.row[molecule, decision, 0],
        links=pairs.index[later],
        pair=pairs.index.masked_fill(~read, -1),
        link=torch.maximum(link, link.mT),
    )
