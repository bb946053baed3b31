"""Which placed atoms still want a partner for a multiple bond, as features of decisions.

An atom says with its element how many neighbours it will have, and so whether it lacks bonds: a carbon with three
neighbours needs another atom that lacks one beside it. Whether all that is placed can be paired off is a property of
the whole graph, which attention has to guess; half of the invalid molecules of a Weaver that guessed had an atom left
over. Here it is told: a maximum matching of the atoms that lack bonds (`chemistry.unmatched`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...chemistry.radii import reach
from ...chemistry.unmatched import lacking, unmatched
from ...growth.trajectories import UNKNOWN
from ...species import Species

N_FREE = 8
"""So many bonds left over, or more, are one case."""


@dataclass(frozen=True)
class Unpaired:
    """What maximum matchings of fragments leave over, now and with the next atom, which lacks 0, 1, 2... bonds."""

    wanting: Tensor  # (n_molecules, n_decisions, n_atoms) bool, atoms that some maximum matching leaves over now
    n_free: Tensor  # (n_molecules, n_decisions, n_lacks) int64, bonds that each of them leaves over; the first is now
    n_short: Tensor  # (n_molecules, n_decisions, n_lacks) int64, atoms that these are of, in the matching that is found
    n_stuck: Tensor  # (n_molecules, n_decisions, n_lacks, 2) int64, for good, the next atom awaiting none or some
    lacks: Tensor  # (n_molecules, n_decisions, n_atoms) int8, bonds that each atom lacks
    bonded: Tensor  # (n_molecules, n_atoms, n_atoms) bool


class Unsaturation(nn.Module):
    """How many bonds are left over, and whether the focus could be the one, as features; all begin at zero.

    Args:
        species: the element vocabulary.
        most: largest number of neighbours that an atom may say.
        width: of the result.
    """

    reach: Tensor  # (n_species,) Å
    lacking: Tensor  # (n_species, most + 1)

    def __init__(self, species: Species, most: int, width: int) -> None:
        super().__init__()
        self.register_buffer("reach", torch.tensor(reach(species.numbers), dtype=torch.float32), persistent=False)
        table = lacking(species.numbers, most)
        self.register_buffer("lacking", torch.from_numpy(table), persistent=False)
        self.n_lacks = int(table.max()) + 1  # numbers of bonds that an atom may lack
        self.n_free = nn.Embedding(N_FREE + 1, width)
        self.of_focus = nn.Embedding(2, width)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def unpaired(self, species: Tensor, positions: Tensor, prefix: Tensor, awaits: Tensor, focus: Tensor) -> Unpaired:
        """Return what is left over in every fragment.

        Args:
            species: (n_molecules, n_atoms) in the order of growth.
            positions: (n_molecules, n_atoms, 3) Å, without noise: they say which atoms are bonded.
            prefix: (n_molecules, n_decisions), at least 1: how many atoms are placed.
            awaits: (n_molecules, n_decisions, n_atoms), how many neighbours each of these awaits, or `UNKNOWN`: of an
                atom that does not tell, nobody knows what it lacks, and it counts as lacking nothing.
            focus: (n_molecules, n_decisions), the atom that the next one is bonded with.
        """
        index = torch.arange(species.shape[1], device=species.device)
        radius = self.reach[species]
        distances = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
        bonded = (distances <= radius[:, :, None] + radius[:, None]) & (index != index[:, None])
        counted = bonded.to(torch.int16).cumsum(1)  # (n_molecules, how many placed - 1, n_atoms): bonds are symmetric
        neighbours = torch.take_along_dim(counted, (prefix - 1)[..., None], 1)
        placed = index < prefix[..., None]
        told = (awaits != UNKNOWN) & placed
        most = self.lacking.shape[1] - 1
        total = torch.where(told, neighbours + awaits, 0).clamp(max=most).long()
        lacks = self.lacking[species[:, None].expand_as(total), total]
        molecule = torch.arange(len(species), device=species.device).repeat_interleave(prefix.shape[1])
        beside = index == focus[..., None]
        awaiting = placed & (awaits != 0) & ((awaits != 1) | ~beside)
        found = unmatched(
            lacks.flatten(0, 1), bonded, molecule, beside.flatten(0, 1), awaiting.flatten(0, 1), self.n_lacks
        )
        counts = found.wanting, found.n_free, found.n_short, found.n_stuck
        wanting, n_free, n_short, n_stuck = (x.unflatten(0, prefix.shape) for x in counts)
        return Unpaired(wanting, n_free, n_short, n_stuck, lacks, bonded)

    def forward(self, found: Unpaired, focus: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, width), given the focus (n_molecules, n_decisions) of each."""
        of_focus = torch.take_along_dim(found.wanting, focus[..., None], 2)[..., 0]
        return self.n_free(found.n_free[..., 0].clamp(max=N_FREE)) + self.of_focus(of_focus.long())
