"""Naive E3SchNet: SchNet whose continuous filters multiply full Clebsch-Gordan products (facts 2.1)."""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from .conventions import (
    CUTOFF,
    Features,
    Graph,
    mix,
    normalised,
    shifted_softplus,
    sum_over_edges,
    weight,
)

Path = tuple[int, int, int]


def radial_basis(distances: Tensor, n_basis: int) -> Tensor:
    """Return (n_edges, n_basis) Gaussians centred at CUTOFF k / (n_basis + 1), as e3nn's `soft_one_hot_linspace`."""
    width = CUTOFF / (n_basis + 1)
    centres = width * torch.arange(1, n_basis + 1).to(distances)
    return torch.exp(-((distances[:, None] - centres) / width).square()) / 1.12


def cosine_cutoff(distances: Tensor) -> Tensor:
    """Return a factor that falls from 1 at 0 to 0 at `CUTOFF`."""
    return torch.where(distances < CUTOFF, 0.5 * (torch.cos(math.pi * distances / CUTOFF) + 1), 0.0)


def coupling_paths(degrees_in: list[int], lmax: int) -> list[Path]:
    """Return every (l_in, l_edge, l_out), all outputs kept; in order of l_in, l_edge, l_out."""
    return [
        (l_in, l_edge, l_out)
        for l_in in degrees_in
        for l_edge in range(lmax + 1)
        for l_out in range(abs(l_in - l_edge), l_in + l_edge + 1)
    ]


def natural(path: Path) -> bool:
    """Whether the output has parity (-1)^l_out, as l_in and l_edge do; the others (1e, 2o, ...) end nowhere."""
    return sum(path) % 2 == 0


class Interaction(nn.Module):
    """One message pass: filters on radii, times couplings of sender features and harmonics, summed over neighbours."""

    def __init__(self, degrees_in: list[int], lmax: int, n_channels: int, n_filters: int, n_basis: int) -> None:
        super().__init__()
        self.lmax, self.n_filters = lmax, n_filters
        self.paths = coupling_paths(degrees_in, lmax)
        self.n_basis = n_basis
        self.reduce = nn.ParameterDict({str(l): weight(n_channels, n_filters) for l in degrees_in})
        self.filter_1 = nn.Linear(n_basis, n_filters)
        self.filter_2 = nn.Linear(n_filters, n_filters * len(self.paths))
        fan_in = {l: n_filters * sum(natural(p) and p[2] == l for p in self.paths) for l in range(lmax + 1)}
        self.expand = nn.ParameterDict({str(l): weight(fan_in[l], n_channels) for l in range(lmax + 1)})
        self.update = nn.ParameterDict({str(l): weight(n_channels, n_channels) for l in range(lmax + 1)})

    def forward(self, x: Features, graph: Graph) -> Features:
        """Return what is added to the features x."""
        distances = graph.vectors.norm(dim=-1)
        edge = o3.spherical_harmonics(list(range(self.lmax + 1)), graph.vectors, True, "component")
        filters = self.filter_2(shifted_softplus(self.filter_1(radial_basis(distances, self.n_basis))))
        filters = (filters * cosine_cutoff(distances)[:, None]).unflatten(1, (len(self.paths), self.n_filters))
        reduced = {int(l): mix(x[int(l)], matrix)[graph.sender] for l, matrix in self.reduce.items()}
        messages: dict[int, list[Tensor]] = {l: [] for l in range(self.lmax + 1)}
        for index, path in enumerate(self.paths):
            l_in, l_edge, l_out = path
            if not natural(path) or l_out > self.lmax:
                continue  # the filter is evaluated all the same, and its weights count; nothing reads the product
            couple = o3.wigner_3j(l_in, l_edge, l_out, dtype=torch.float64).to(edge) * math.sqrt(2 * l_out + 1)
            product = torch.einsum("eui,ej,ijk->euk", reduced[l_in], edge[:, l_edge**2 : (l_edge + 1) ** 2], couple)
            messages[l_out].append(filters[:, index, :, None] * product)
        n_atoms = len(graph.species)
        v = {
            l: mix(sum_over_edges(torch.cat(parts, dim=1), graph.receiver, n_atoms), self.expand[str(l)])
            for l, parts in messages.items()
        }
        v[0] = normalised(shifted_softplus, v[0])
        return {l: mix(v[l], self.update[str(l)]) for l in v}


class NaiveE3SchNet(nn.Module):
    """Atom features of degrees 0..lmax, (n_atoms, n_channels, 2l + 1) each."""

    def __init__(
        self,
        n_species: int = 5,
        n_channels: int = 64,
        lmax: int = 2,
        n_layers: int = 3,
        n_filters: int = 16,
        n_basis: int = 8,
    ) -> None:
        super().__init__()
        self.lmax = lmax
        self.embedding = weight(n_species, n_channels)
        self.input = weight(n_channels, n_channels)
        self.layers = nn.ModuleList(
            Interaction([0] if i == 0 else list(range(lmax + 1)), lmax, n_channels, n_filters, n_basis)
            for i in range(n_layers)
        )

    def forward(self, graph: Graph) -> Features:
        """Embed one fragment."""
        scalars = mix(self.embedding[graph.species][:, :, None], self.input)
        x = {l: scalars.new_zeros(*scalars.shape[:2], 2 * l + 1) for l in range(self.lmax + 1)} | {0: scalars}
        for layer in self.layers:
            v = layer(x, graph)
            x = {l: x[l] + v[l] for l in x}
        return x
