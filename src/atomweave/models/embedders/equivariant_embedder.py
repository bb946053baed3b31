"""What the equivariant embedders share: their interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from ...geometry.edges import Pairs, PrefixRows
from .equivariant import Features


class EquivariantEmbedder(nn.Module, ABC):
    """Fragments -> features of their atoms, of degrees 0 to lmax, which turn with the molecule.

    Attributes:
        config: its sizes; `config.cutoff` (Å) is how far neighbours are.
        channels: copies of each degree.
        lmax: highest degree.
    """

    config: Any
    channels: int
    lmax: int

    @abstractmethod
    def forward(
        self,
        pairs: Pairs,
        species: Tensor,
        rows: PrefixRows,
        at: tuple[Tensor, Tensor, Tensor] | None = None,
        lmax: int | None = None,
    ) -> Features:
        """Embed.

        Args:
            pairs: all pairs within `config.cutoff`.
            species: (n_molecules, n_atoms) species indices.
            rows: the fragments.
            at: (molecule, decision, atom) of the features wanted, (n_wanted,) each; every row when None.
            lmax: highest degree wanted; all when None.

        Returns:
            For each degree l (2l + 1, n_wanted, channels).
        """
