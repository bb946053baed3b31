"""Naive NequIP, its tensor products written in the frame of each edge (facts 2.2).

With the edge along y, a coupling of degree l_in with the edge's harmonics to degree l_out is diagonal: component m is
multiplied by w_|m|. `product="frame"` does just that, with Wigner matrices of the whole rotation; `product="coupled"`
computes the same map from Clebsch-Gordan coefficients, one path for each l_edge = |l_in - l_out|, +2, .., l_in + l_out.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from e3nn import o3
from torch import Tensor, nn
from torch.nn.functional import silu

from .conventions import CUTOFF, Features, Graph, mix, normalised, sum_over_edges, weight

AVERAGE_NEIGHBOURS = 300
"""The published normalisation: messages are divided by its root."""


def radial_basis(distances: Tensor, n_basis: int) -> Tensor:
    """Return (n_edges, n_basis) Bessel functions times the polynomial envelope 1 - 28 x^6 + 48 x^7 - 21 x^8."""
    x = distances[:, None] / CUTOFF
    order = torch.arange(1, n_basis + 1).to(distances)
    envelope = torch.where(x < 1, 1 - 28 * x**6 + 48 * x**7 - 21 * x**8, 0.0)
    return math.sqrt(2) * torch.sin(order * math.pi * x) / x * envelope


def product_paths(degrees_in: list[int], lmax: int) -> list[tuple[int, int, int]]:
    """Return every (l_in, l_out, |m|) that carries a weight, in that order."""
    return [(i, o, m) for i in degrees_in for o in range(lmax + 1) for m in range(min(i, o) + 1)]


def to_edge_frame(vectors: Tensor, degree: int) -> Tensor:
    """Return (n_edges, 2l + 1, 2l + 1) Wigner matrices of rotations that lay the vectors along y."""
    x, y, z = vectors.unbind(-1)
    alpha, beta = torch.atan2(x, z), torch.atan2(torch.hypot(x, z), y)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # e3nn makes its generators in the default dtype, with an error of 1e-8
    try:
        turn = o3.Irrep(degree, (-1) ** degree).D_from_angles(
            alpha.double(), beta.double(), torch.zeros_like(alpha.double())
        )
    finally:
        torch.set_default_dtype(default)
    return turn.mT.to(vectors)


def frame_product(x: Features, vectors: Tensor, weights: dict[tuple[int, int, int], Tensor], lmax: int) -> Features:
    """Multiply component m by w_|m| in the frame of the edge.

    Args:
        x: degree -> (n_edges, n_channels, 2l + 1) features of the senders.
        vectors: (n_edges, 3), Å.
        weights: (l_in, l_out, |m|) -> (n_edges, n_channels).
        lmax: highest output degree.

    Returns:
        degree -> (n_edges, n_channels * number of input degrees, 2l + 1); input degree is the slower index.
    """
    rotations = {l: to_edge_frame(vectors, l) for l in range(max(lmax, *x) + 1)}
    messages: dict[int, list[Tensor]] = {l: [] for l in range(lmax + 1)}
    for l_in, features in x.items():
        framed = torch.einsum("eij,euj->eui", rotations[l_in], features)
        for l_out in range(lmax + 1):
            z = framed.new_zeros(*framed.shape[:2], 2 * l_out + 1)
            for m in range(-min(l_in, l_out), min(l_in, l_out) + 1):
                z[:, :, l_out + m] = weights[l_in, l_out, abs(m)] * framed[:, :, l_in + m]
            messages[l_out].append(torch.einsum("eji,euj->eui", rotations[l_out], z))
    return {l: torch.cat(parts, dim=1) for l, parts in messages.items()}


def coupled_product(x: Features, vectors: Tensor, weights: dict[tuple[int, int, int], Tensor], lmax: int) -> Features:
    """Return the same as `frame_product`, by Clebsch-Gordan coefficients and no frame."""
    messages: dict[int, list[Tensor]] = {l: [] for l in range(lmax + 1)}
    for l_in, features in x.items():
        for l_out in range(lmax + 1):
            l_edges = range(abs(l_in - l_out), l_in + l_out + 1, 2)
            couple = [o3.wigner_3j(l_in, l_edge, l_out, dtype=torch.float64) for l_edge in l_edges]
            # Along y only the component m = 0 of the edge's harmonics, sqrt(2 l_edge + 1), is not zero.
            to_w = torch.tensor(
                [
                    [
                        math.sqrt(2 * k + 1) * float(c[l_in + m, k, l_out + m])
                        for k, c in zip(l_edges, couple, strict=True)
                    ]
                    for m in range(min(l_in, l_out) + 1)
                ],
                dtype=torch.float64,
            )
            w = torch.stack([weights[l_in, l_out, m] for m in range(min(l_in, l_out) + 1)])
            path_weights = torch.einsum("pm,meu->peu", torch.linalg.inv(to_w).to(w), w)
            total = features.new_zeros(*features.shape[:2], 2 * l_out + 1)
            for v, c, l_edge in zip(path_weights, couple, l_edges, strict=True):
                edge = o3.spherical_harmonics(l_edge, vectors, True, "component")
                total = total + v[:, :, None] * torch.einsum("eui,ej,ijk->euk", features, edge, c.to(features))
            messages[l_out].append(total)
    return {l: torch.cat(parts, dim=1) for l, parts in messages.items()}


class Layer(nn.Module):
    """One message pass with gate, species-dependent skip and residual."""

    def __init__(
        self, degrees_in: list[int], lmax: int, n_channels: int, n_species: int, n_basis: int, *, residual: bool
    ) -> None:
        super().__init__()
        self.lmax, self.n_basis, self.residual = lmax, n_basis, residual
        self.paths = product_paths(degrees_in, lmax)
        degrees = range(lmax + 1)
        n_out = [n_channels * (1 + lmax)] + [n_channels] * lmax  # degree 0 holds the gates of the others, too
        self.up = nn.ParameterDict({str(l): weight(n_channels, n_channels) for l in degrees_in})
        self.radial_1 = weight(n_basis, n_channels)
        self.radial_2 = weight(n_channels, n_channels)
        self.radial_3 = weight(n_channels, n_channels * len(self.paths))
        self.down = nn.ParameterDict({str(l): weight(n_channels * len(degrees_in), n_out[l]) for l in degrees})
        self.skip = nn.ParameterDict({str(l): weight(n_species, n_channels, n_out[l]) for l in degrees_in})
        self.post = nn.ParameterDict({str(l): weight(n_channels, n_channels) for l in degrees})

    def forward(self, x: Features, graph: Graph, product: Literal["frame", "coupled"]) -> Features:
        """Return the features of the next layer."""
        n_atoms, n_channels = x[0].shape[:2]
        # (a) mix channels, gather the senders
        senders = {int(l): mix(x[int(l)], matrix)[graph.sender] for l, matrix in self.up.items()}
        # (b) radial network, no biases
        hidden = radial_basis(graph.vectors.norm(dim=-1), self.n_basis) @ self.radial_1 / math.sqrt(self.n_basis)
        hidden = normalised(silu, hidden) @ self.radial_2 / math.sqrt(n_channels)
        weights = normalised(silu, hidden) @ self.radial_3 / math.sqrt(n_channels)
        by_path = dict(zip(self.paths, weights.unflatten(1, (len(self.paths), n_channels)).unbind(1), strict=True))
        # (c) tensor product with the edge, (d) sum over neighbours
        multiply = {"frame": frame_product, "coupled": coupled_product}[product]
        messages = multiply(senders, graph.vectors, by_path, self.lmax)
        # (e) mix down, (f) add the species-dependent linear map of the layer's input
        y = {}
        for l in range(self.lmax + 1):
            summed = sum_over_edges(messages[l], graph.receiver, n_atoms) / math.sqrt(AVERAGE_NEIGHBOURS)
            y[l] = mix(summed, self.down[str(l)])
        for l, matrices in self.skip.items():
            own = torch.einsum("nui,nuv->nvi", x[int(l)], matrices[graph.species]) / math.sqrt(n_channels)
            y[int(l)] = y[int(l)] + own
        # (g) gate: silu on scalars and on gates
        scalars, gates = y[0][:, :n_channels], y[0][:, n_channels:].unflatten(1, (self.lmax, n_channels))
        y[0] = normalised(silu, scalars)
        for l in range(1, self.lmax + 1):
            y[l] = y[l] * normalised(silu, gates[:, l - 1])
        # (h) mix once more, (i) residual
        y = {l: mix(y[l], self.post[str(l)]) for l in y}
        return {l: x[l] + y[l] for l in y} if self.residual else y


class NaiveNequip(nn.Module):
    """Atom features of degrees 0..lmax, (n_atoms, n_channels, 2l + 1) each."""

    def __init__(
        self, n_species: int = 5, n_channels: int = 64, lmax: int = 5, n_layers: int = 3, n_basis: int = 8
    ) -> None:
        super().__init__()
        self.embedding = weight(n_species, n_channels)
        self.layers = nn.ModuleList(
            Layer([0] if i == 0 else list(range(lmax + 1)), lmax, n_channels, n_species, n_basis, residual=i > 0)
            for i in range(n_layers)
        )

    def forward(self, graph: Graph, product: Literal["frame", "coupled"] = "frame") -> Features:
        """Embed one fragment."""
        x = {0: self.embedding[graph.species][:, :, None]}
        for layer in self.layers:
            x = layer(x, graph, product)
        return {l: 0.5**l * features for l, features in x.items()}
