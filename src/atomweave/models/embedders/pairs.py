"""Pair features: what every atom sees of every other in its own frame, once a molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...chemistry.radii import CONNECTIVITY_FACTOR, COVALENT_RADII
from ...geometry.frames import Frames
from ...geometry.radial import N_LOG_GAUSSIANS, log_gaussians
from ...species import Species

N_FINE = 16
"""Gaussians between 0.9 and 1.8 Å, where 0.06 Å tell a double bond from an aromatic one."""

BOND_EDGE = 0.05
"""Å over which the bond rule is smoothed where it is an input."""


class PairFeatures(nn.Module):
    """A small network over species, distance, direction and bond of every ordered pair of atoms.

    Args:
        species: the element vocabulary.
        hidden: width of its one hidden layer.
        features: numbers a pair.
    """

    reach: Tensor
    fine: Tensor

    def __init__(self, species: Species, hidden: int, features: int) -> None:
        super().__init__()
        reach = CONNECTIVITY_FACTOR * torch.tensor(COVALENT_RADII[list(species.numbers)], dtype=torch.float32)
        self.register_buffer("reach", reach, persistent=False)  # (n_species,) Å
        self.register_buffer("fine", torch.linspace(0.9, 1.8, N_FINE), persistent=False)  # Å
        self.geometry = nn.Linear(N_LOG_GAUSSIANS + N_FINE + 8, hidden)
        self.of_self = nn.Embedding(len(species), hidden)
        self.of_other = nn.Embedding(len(species), hidden)
        self.out = nn.Linear(hidden, features)

    def forward(self, frames: Frames, species: Tensor) -> Tensor:
        """Return (n_molecules, n_frames, n_atoms, features): how the atom of each frame sees every atom.

        Args:
            frames: of all or some atoms.
            species: (n_molecules, n_atoms) species indices.
        """
        # In bfloat16 an atom 3 Å away would be seen on a grid of 0.02 Å.
        with torch.autocast(species.device.type, enabled=False):
            own = species.gather(1, frames.centres)
            hidden = self.geometry(self._inputs(frames, own, species))
            hidden = hidden + self.of_self(own)[:, :, None] + self.of_other(species)[:, None]
        return self.out(functional.silu(hidden))

    def _inputs(self, frames: Frames, own: Tensor, species: Tensor) -> Tensor:
        d = frames.distances
        fine = torch.exp(-0.5 * ((d[..., None] - self.fine) / (self.fine[1] - self.fine[0])).square())
        bonded = torch.sigmoid((self.reach[own][:, :, None] + self.reach[species][:, None] - d) / BOND_EDGE)
        later = (torch.arange(d.shape[2], device=d.device) > frames.centres[:, :, None]).to(d)
        vectors = frames.directions * (d / (1 + d))[..., None]
        return torch.cat([log_gaussians(d), fine, frames.directions, vectors, bonded[..., None], later[..., None]], -1)
