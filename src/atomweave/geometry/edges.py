"""Pairs of atoms within a cutoff, and the rows over which the fragments of a molecule are computed.

All fragments of a molecule share its pairs: whatever depends on two atoms alone (harmonics, radial networks, rotations)
is computed once a pair and read by every prefix that holds both.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    index: Tensor  # (n_molecules, n_atoms, n_atoms) int64, pair at [molecule, receiver, sender]; n_pairs where there is none


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
    row: Tensor  # (n_molecules, n_decisions, n_atoms) int64, row at [molecule, decision, atom]; n_rows where there is none


def prefix_rows(prefix: Tensor, n_atoms: int) -> PrefixRows:
    """Lay out the rows of fragments with `prefix` (n_molecules, n_decisions) atoms, of at most `n_atoms`; 0 is padding."""
    held = torch.arange(n_atoms, device=prefix.device) < prefix[:, :, None]
    molecule, decision, atom = held.nonzero(as_tuple=True)
    row = torch.full(held.shape, len(molecule), dtype=torch.int64, device=prefix.device)
    row[molecule, decision, atom] = torch.arange(len(molecule), device=prefix.device)
    return PrefixRows(prefix, molecule, decision, atom, row)


@dataclass(frozen=True)
class FragmentEdges:
    """Edges of fragments into chosen receivers: which row sends, which pair it crosses, which receiver it reaches."""

    sender: Tensor  # (n_edges,) int64, row of `PrefixRows`
    pair: Tensor  # (n_edges,) int64, row of `Pairs`
    receiver: Tensor  # (n_edges,) int64, position among the chosen receivers, ascending
    n_receivers: int


def edges_into(rows: PrefixRows, pairs: Pairs, molecule: Tensor, decision: Tensor, atom: Tensor) -> FragmentEdges:
    """List all edges of fragment (molecule, decision) into `atom`; the three arguments are (n_receivers,) each."""
    pair = pairs.index[molecule, atom]  # (n_receivers, n_atoms)
    row = rows.row[molecule, decision]
    exists = (pair < len(pairs.molecule)) & (row < len(rows.molecule))
    receiver, sender_atom = exists.nonzero(as_tuple=True)
    return FragmentEdges(row[receiver, sender_atom], pair[receiver, sender_atom], receiver, len(molecule))
