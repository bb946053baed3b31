"""Pair features: what every atom sees of every other in its own frame, once a molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...chemistry.radii import reach
from ...geometry.frames import Frames
from ...geometry.radial import N_LOG_GAUSSIANS, gaussian, log_gaussians
from ...species import Species
from ..activation import silu

N_FINE = 16
"""Gaussians between 0.9 and 1.8 Å, where 0.06 Å tell a double bond from an aromatic one."""

BOND_EDGE = 0.05
"""Å over which the bond rule is smoothed where it is an input."""


class PairFeatures(nn.Module):
    """A small network over labels, distance, direction and bond of every ordered pair of atoms.

    Args:
        species: the element vocabulary.
        n_degrees: labels an element: an atom's label is species index * n_degrees + degree.
        hidden: width of its one hidden layer.
        features: numbers a pair.
    """

    reach: Tensor
    fine: Tensor

    def __init__(self, species: Species, n_degrees: int, hidden: int, features: int) -> None:
        super().__init__()
        by_label = torch.tensor(reach(species.numbers), dtype=torch.float32).repeat_interleave(n_degrees)
        self.register_buffer("reach", by_label, persistent=False)  # (n_labels,) Å
        self.register_buffer("fine", torch.linspace(0.9, 1.8, N_FINE), persistent=False)  # Å
        self.geometry = nn.Linear(N_LOG_GAUSSIANS + N_FINE + 8, hidden)
        self.of_self = nn.Embedding(len(by_label), hidden)
        self.of_other = nn.Embedding(len(by_label), hidden)
        self.out = nn.Linear(hidden, features)

    def forward(self, frames: Frames, labels: Tensor) -> Tensor:
        """Return (n_molecules, n_frames, n_atoms, features): how the atom of each frame sees every atom.

        Args:
            frames: of all or some atoms.
            labels: (n_molecules, n_atoms) of the atoms.
        """
        # In bfloat16 an atom 3 Å away would be seen on a grid of 0.02 Å.
        with torch.autocast(labels.device.type, enabled=False):
            own = labels.gather(1, frames.centres)
            hidden = self.geometry(self._inputs(frames, own, labels))
            hidden += self.of_self(own)[:, :, None]  # in place: the widest tensors there are
            hidden += self.of_other(labels)[:, None]
        return self.out(silu(hidden))

    def _inputs(self, frames: Frames, own: Tensor, labels: Tensor) -> Tensor:
        d = frames.distances
        fine = gaussian((d[..., None] - self.fine) / (self.fine[1] - self.fine[0]))
        bonded = torch.sigmoid((self.reach[own][:, :, None] + self.reach[labels][:, None] - d) / BOND_EDGE)
        later = (torch.arange(d.shape[2], device=d.device) > frames.centres[:, :, None]).to(d)
        vectors = frames.directions * (d / (1 + d))[..., None]
        return torch.cat([log_gaussians(d), fine, frames.directions, vectors, bonded[..., None], later[..., None]], -1)
