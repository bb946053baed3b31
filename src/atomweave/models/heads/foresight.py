"""What every next atom, and every ring that it may close, would leave behind, told to the logit of that choice alone.

A network that hears what a fragment lacks still has to work out, for each element and degree, what the fragment with
that atom would lack, and a mistake of one in a thousand at every decision is one molecule in thirty. Here a table says
it: how many bonds the choice would leave without a partner and of how many atoms (each needs another atom, and in data
of at most nine heavy ones there is none after the ninth), how many of them for good since nothing beside them awaits
neighbours, how many neighbours would then be awaited, and how many heavy atoms there would be.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...chemistry.unmatched import lacking, unmatched
from ...species import Species
from ..embedders.unsaturation import Unpaired
from ..precision import at_least_float32

N_FREE, N_SHORT, N_STUCK, N_AWAITED, N_HEAVY = 5, 4, 3, 9, 48
"""Cases of each count; the last stands for so many or more."""

GAIN = 16.0
"""Of the tables' numbers, each of which learns from the few decisions that read it."""


class Foresight(nn.Module):
    """Logits of elements and degrees, and of second neighbours, by what is left behind; all begin at zero.

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
        self.of_size = nn.Embedding(n_choices * N_FREE * N_SHORT * N_HEAVY, 1)
        self.of_closure = nn.Embedding(2 * N_FREE * N_STUCK * N_AWAITED, 1)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    @staticmethod
    def rows_per_choice() -> dict[str, int]:
        """Return how many numbers a choice has in the tables that are by choice."""
        return {"of_rest.weight": N_FREE * N_STUCK * N_AWAITED, "of_size.weight": N_FREE * N_SHORT * N_HEAVY}

    def forward(self, found: Unpaired, species: Tensor, prefix: Tensor, awaits: Tensor) -> Tensor:
        """Return (n_molecules, n_decisions, n_choices) logits.

        Args:
            found: what fragments leave over with a further atom beside the focus.
            species: (n_molecules, n_atoms) in the order of growth.
            prefix: (n_molecules, n_decisions), at least 1: how many of them are placed.
            awaits: (n_molecules, n_decisions, n_atoms), how many neighbours each of these awaits, or `UNKNOWN`.
        """
        placed = torch.arange(species.shape[1], device=prefix.device) < prefix[..., None]
        heavy = (placed & self.heavy[species][:, None]).sum(-1)
        free, short = found.n_free[..., self.lacks], found.n_short[..., self.lacks]
        stuck = found.n_stuck[..., self.lacks, (self.awaits > 0).long()]
        awaited = _awaited(awaits, placed)[..., None] - 1 + self.awaits  # one of the focus's is placed
        heavy = heavy[..., None] + self.heavy.repeat_interleave(self.max_degree)
        choice = torch.arange(len(self.lacks), device=prefix.device)
        rest = self.of_rest(_index(choice, (free, N_FREE), (stuck, N_STUCK), (awaited, N_AWAITED)))
        size = self.of_size(_index(choice, (free, N_FREE), (short, N_SHORT), (heavy, N_HEAVY)))
        return GAIN * at_least_float32((rest + size)[..., 0])

    def of_closures(
        self,
        found: Unpaired,
        decision: tuple[Tensor, Tensor],
        focus: Tensor,
        prefix: Tensor,
        awaits: Tensor,
        choice: Tensor,
        may: Tensor,
    ) -> Tensor:
        """Return (n_rows, n_atoms + 1) logits of second neighbours, none last.

        Args:
            found: what the fragments lack.
            decision: (n_rows,) each, molecule and decision.
            focus: (n_rows,).
            prefix: (n_rows,).
            awaits: (n_rows, n_atoms), how many neighbours each atom awaits, or `UNKNOWN`.
            choice: (n_rows,) index of the atom to be placed among the choices.
            may: (n_rows, n_atoms) bool, who may be it; rows without any are not looked at.
        """
        n_rows, n = may.shape
        index = torch.arange(n + 1, device=may.device)
        row, second = torch.cat([may, may.any(1, keepdim=True)], 1).nonzero(as_tuple=True)
        none, atoms = second == n, index[:n]
        molecule = decision[0][row]
        lacks = found.lacks[molecule, decision[1][row]]
        beside = (atoms == focus[row][:, None]) | (atoms == second[:, None])
        placed = atoms < prefix[row][:, None]
        awaiting = placed & (awaits[row] != 0) & ((awaits[row] != 1) | ~beside)
        left = unmatched(lacks, found.bonded, molecule, beside, awaiting, found.n_free.shape[-1])
        own = self.awaits[choice[row]] - 1 + none.long()
        at = torch.arange(len(row), device=may.device), self.lacks[choice[row]]
        free, stuck = left.n_free[at], left.n_stuck[(*at, (own > 0).long())]
        awaited = _awaited(awaits[row], placed) - 2 + none.long() + own
        table = self.of_closure(_index(none.long(), (free, N_FREE), (stuck, N_STUCK), (awaited, N_AWAITED)))
        logits = at_least_float32(table[:, 0])
        return GAIN * logits.new_zeros(n_rows, n + 1).index_put((row, second), logits)


def _awaited(awaits: Tensor, placed: Tensor) -> Tensor:
    """Return (...) how many neighbours are awaited in all, of atoms (..., n_atoms)."""
    return torch.where(placed, awaits.clamp(min=0), 0).sum(-1, dtype=torch.int64)


def _index(first: Tensor, *counts: tuple[Tensor, int]) -> Tensor:
    """Return the rows of a table by a first index and counts, each of so many cases."""
    row = first
    for count, n_cases in counts:
        row = row * n_cases + count.clamp(0, n_cases - 1)
    return row
