"""SchNet as its paper prints it (Schütt et al. 2017, section 4): atom-wise layers, continuous-filter convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .conventions import shifted_softplus


class PlainSchNet(nn.Module):
    """x <- x + v, where v = atom-wise . ssp . atom-wise . cfconv . atom-wise; scalars only.

    The atom-wise layers have no bias, and the Gaussians those of E3SchNet, so that both can hold the same weights.
    """

    def __init__(
        self, n_species: int, n_channels: int, n_filters: int, n_basis: int, n_layers: int, cutoff: float
    ) -> None:
        super().__init__()
        self.cutoff, self.n_basis = cutoff, n_basis
        self.embedding = nn.Embedding(n_species, n_channels)
        self.atomwise_in = nn.ModuleList(nn.Linear(n_channels, n_filters, bias=False) for _ in range(n_layers))
        self.filters = nn.ModuleList(
            nn.ModuleList([nn.Linear(n_basis, n_filters), nn.Linear(n_filters, n_filters)]) for _ in range(n_layers)
        )
        self.atomwise_mid = nn.ModuleList(nn.Linear(n_filters, n_channels, bias=False) for _ in range(n_layers))
        self.atomwise_out = nn.ModuleList(nn.Linear(n_channels, n_channels, bias=False) for _ in range(n_layers))

    def forward(self, species: Tensor, positions: Tensor) -> Tensor:
        """Return (n_atoms, n_channels)."""
        x = self.embedding(species)
        n_atoms = len(species)
        for layer, first in enumerate(self.atomwise_in):
            sent = first(x)
            received = []
            for i in range(n_atoms):
                total = torch.zeros_like(sent[0])
                for j in range(n_atoms):
                    distance = (positions[i] - positions[j]).norm()
                    if i != j and distance < self.cutoff:
                        total = total + sent[j] * self.filter(layer, distance)
                received.append(total)
            x = x + self.atomwise_out[layer](shifted_softplus(self.atomwise_mid[layer](torch.stack(received))))
        return x

    def filter(self, layer: int, distance: Tensor) -> Tensor:
        """Return W(r) (n_filters,), cut off by a cosine."""
        spacing = self.cutoff / (self.n_basis + 1)
        centres = spacing * torch.arange(1, self.n_basis + 1).to(distance)
        basis = torch.exp(-(((distance - centres) / spacing) ** 2)) / 1.12
        first, second = self.filters[layer]
        return second(shifted_softplus(first(basis))) * 0.5 * (torch.cos(torch.pi * distance / self.cutoff) + 1)
