"""What a fragment consists of, counted: how many atoms of each element, and how many neighbours they await.

Attention averages what it sees, and an average tells neither nine heavy atoms from ten nor an even number of electrons
from an odd one. Early in teaching exact counts make more molecules valid.
Some of either error outlasts them (docs/log.md). All features begin at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...growth.trajectories import UNKNOWN
from ...species import Species

N_COUNTS = 48
"""Counts below this each have features of their own; larger ones are told apart by `RAMPS` alone."""

RAMPS = 1.0, 4.0, 16.0, 64.0, 256.0
"""A count is read as min(1, n / ramp): some or none, a few, a small molecule, a drug, anything larger."""


class Inventory(nn.Module):
    """Counts of placed atoms as features of decisions.

    Args:
        species: the element vocabulary.
        width: of the result.
    """

    heavy: Tensor  # (n_species,) 1 for all elements but hydrogen
    protons: Tensor  # (n_species,) atomic numbers

    def __init__(self, species: Species, width: int) -> None:
        super().__init__()
        protons = torch.tensor(species.numbers, dtype=torch.float32)
        self.register_buffer("protons", protons, persistent=False)
        self.register_buffer("heavy", (protons > 1).float(), persistent=False)
        n_counts = len(species) + 3  # of elements, of heavy atoms, of neighbours awaited, of atoms that do not tell
        self.ramps = nn.Linear(n_counts * len(RAMPS), width, bias=False)
        self.n_heavy = nn.Embedding(N_COUNTS, width)
        self.n_awaited = nn.Embedding(N_COUNTS, width)
        self.electrons = nn.Embedding(4, width)  # odd or even: as it is, and with hydrogens wherever one is awaited
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, species: Tensor, prefix: Tensor, awaits: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, width).

        Args:
            species: (n_molecules, n_atoms) in the order of growth.
            prefix: (n_molecules, n_decisions), at least 1: how many of them are placed.
            awaits: (n_molecules, n_decisions, n_atoms), how many neighbours each of these awaits, or `UNKNOWN`.
        """
        totals = nn.functional.one_hot(species, len(self.heavy)).to(self.heavy).cumsum(1)
        elements = torch.take_along_dim(totals, (prefix - 1)[..., None], 1)
        placed = torch.arange(species.shape[1], device=prefix.device) < prefix[..., None]
        heavy = (elements * self.heavy).sum(-1)  # no product of matrices: autocast would round it
        awaited = torch.where(placed, awaits.clamp(min=0), 0).sum(-1)
        silent = (placed & (awaits == UNKNOWN)).sum(-1)
        counts = torch.cat([elements, torch.stack([heavy, awaited.to(heavy), silent.to(heavy)], -1)], -1)
        ramps = torch.stack([(counts / ramp).clamp(max=1.0) for ramp in RAMPS], -1).flatten(2)
        few = N_COUNTS - 1
        exact = self.n_heavy(heavy.long().clamp(max=few)) + self.n_awaited(awaited.long().clamp(max=few))
        electrons = (elements * self.protons).sum(-1).long()
        parity = 2 * (electrons % 2) + (electrons + awaited) % 2
        return self.ramps(ramps) + exact + self.electrons(parity)
