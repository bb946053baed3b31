"""What every next atom would leave behind, told to the logit of that choice alone.

A network that hears what a fragment lacks still has to work out, for each element and degree, what the fragment with
that atom would lack, and a mistake of one in a thousand at every decision is one molecule in thirty. Here a table says
it: how many bonds the choice would leave without a partner, how many of them for good since nothing beside them awaits
neighbours, how many neighbours would then be awaited, and how many heavy atoms there would be.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...chemistry.unmatched import lacking
from ...species import Species
from ..embedders.unsaturation import Unpaired
from ..precision import at_least_float32

N_FREE, N_STUCK, N_AWAITED, N_HEAVY = 5, 3, 9, 48
"""Cases of each count; the last stands for so many or more."""

GAIN = 4.0
"""Of the tables' numbers, each of which learns from the few decisions that read it."""


class Foresight(nn.Module):
    """Logits of elements and degrees by what is left behind; all begin at zero.

    Args:
        species: the element vocabulary.
        max_degree: largest number of neighbours that an atom may say.
    """

    lacks: Tensor  # (n_choices,) bonds that the next atom lacks
    awaits: Tensor  # (n_choices,) neighbours that it awaits
    heavy: Tensor  # (n_species,) whether an element is heavier than hydrogen

    def __init__(self, species: Species, max_degree: int) -> None:
        super().__init__()
        table = torch.from_numpy(lacking(species.numbers, max_degree))
        self.register_buffer("lacks", table[:, 1:].flatten().long(), persistent=False)
        self.register_buffer("awaits", torch.arange(max_degree).repeat(len(species)), persistent=False)
        self.register_buffer("heavy", torch.tensor(species.numbers) > 1, persistent=False)
        self.max_degree = max_degree
        n_choices = len(self.lacks)
        self.of_rest = nn.Embedding(n_choices * N_FREE * N_STUCK * N_AWAITED, 1)
        self.of_size = nn.Embedding(n_choices * N_FREE * N_HEAVY, 1)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, found: Unpaired, species: Tensor, prefix: Tensor, awaits: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, n_choices) logits.

        Args:
            found: what fragments leave over with a further atom beside the focus.
            species: (n_molecules, n_atoms) in the order of growth.
            prefix: (n_molecules, n_decisions), at least 1: how many of them are placed.
            awaits: (n_molecules, n_decisions, n_atoms), how many neighbours each of these awaits, or `UNKNOWN`.
        """
        placed = torch.arange(species.shape[1], device=prefix.device) < prefix[..., None]
        awaited = torch.where(placed, awaits.clamp(min=0), 0).sum(-1, dtype=torch.int64)
        heavy = (placed & self.heavy[species][:, None]).sum(-1)
        free = found.n_free[..., self.lacks]
        stuck = found.n_stuck[..., self.lacks, (self.awaits > 0).long()]
        awaited = (awaited[..., None] - 1 + self.awaits).clamp(min=0)  # one of the focus's is placed
        heavy = heavy[..., None] + self.heavy.repeat_interleave(self.max_degree)
        choice = torch.arange(len(self.lacks), device=prefix.device)
        row = _index(choice, (free, N_FREE), (stuck, N_STUCK), (awaited, N_AWAITED))
        logits = self.of_rest(row) + self.of_size(_index(choice, (free, N_FREE), (heavy, N_HEAVY)))
        return GAIN * at_least_float32(logits[..., 0])


def _index(first: Tensor, *counts: tuple[Tensor, int]) -> Tensor:
    """Return the rows of a table by a first index and counts, each of so many cases."""
    row = first
    for count, n_cases in counts:
        row = row * n_cases + count.clamp(max=n_cases - 1)
    return row
