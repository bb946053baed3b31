"""Pair features: what every atom sees of every other in its own frame, once a molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...chemistry.radii import CONNECTIVITY_FACTOR, COVALENT_RADII
from ...geometry.frames import Frames
from ...species import Species

N_RADIAL = 24
"""Gaussians on log(1 + d): 0.2 Å apart at bond lengths, wider where less depends on it."""

LOG_RANGE = (0.5, 2.6)
"""Of log(1 + d), d in Å: from 0.65 to 12.5 Å."""

BOND_EDGE = 0.05
"""Å over which the bond rule is smoothed where it is an input."""


class PairFeatures(nn.Module):
    """A small network over species, distance, direction and bond of every ordered pair of atoms.

    Args:
        species: the element vocabulary.
        hidden: width of its one hidden layer.
        features: numbers a pair.
    """

    centres: Tensor
    reach: Tensor

    def __init__(self, species: Species, hidden: int, features: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(*LOG_RANGE, N_RADIAL), persistent=False)
        reach = CONNECTIVITY_FACTOR * torch.tensor(COVALENT_RADII[list(species.numbers)], dtype=torch.float32)
        self.register_buffer("reach", reach, persistent=False)  # (n_species,) Å
        self.geometry = nn.Linear(N_RADIAL + 8, hidden)
        self.of_self = nn.Embedding(len(species), hidden)
        self.of_other = nn.Embedding(len(species), hidden)
        self.out = nn.Linear(hidden, features)

    def forward(self, frames: Frames, species: Tensor) -> Tensor:
        """Return (n_molecules, n_atoms, n_atoms, features): [m, i, j] is how atom i sees atom j.

        Args:
            frames: of the molecules.
            species: (n_molecules, n_atoms) species indices.
        """
        # In bfloat16 an atom 3 Å away would be seen on a grid of 0.02 Å.
        with torch.autocast(species.device.type, enabled=False):
            hidden = self.geometry(self._inputs(frames, species))
            hidden = hidden + self.of_self(species)[:, :, None] + self.of_other(species)[:, None]
        return self.out(functional.silu(hidden))

    def _inputs(self, frames: Frames, species: Tensor) -> Tensor:
        d = frames.distances
        n = d.shape[1]
        spacing = (LOG_RANGE[1] - LOG_RANGE[0]) / (N_RADIAL - 1)
        radial = torch.exp(-0.5 * ((d.log1p()[..., None] - self.centres) / spacing).square())
        reach = self.reach[species]
        bonded = torch.sigmoid((reach[:, :, None] + reach[:, None] - d) / BOND_EDGE)
        later = torch.ones(n, n, dtype=d.dtype, device=d.device).triu(1).expand_as(d)
        vectors = frames.directions * (d / (1 + d))[..., None]
        return torch.cat([radial, frames.directions, vectors, bonded[..., None], later[..., None]], -1)
