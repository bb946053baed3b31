"""SphereNet (Liu et al. 2022) as G-SphereNet (Luo & Ji 2022) embeds its prefixes: edges hear of angles and torsions.

    edges    x1 = act(L [emb_i | emb_j | act(L rbf)])
    layer    m  = act(W_down (act(L_kj x1) * W W rbf)),    u = act(W_up sum over triplets of m_kj * angles * torsions)
             x1 = R(R(act(L R(act(L_ji x1) + u)) + x1)),    R(x) = x + act(L act(L x)),    act = swish
    atoms    h_i = readout(sum over j of (W rbf) * x1)

What is notable here: edges of all prefixes of a molecule are one flat list, but what depends on two atoms alone is
computed once a pair: the bases, the first features, and the first layer's messages. Published quirks that are kept:

- the torsion basis multiplies harmonic q with the Bessel functions of degree q mod 7 (see `DirectionalLayer.forward`);
- an edge that is in no triplet keeps its features through all layers: two atoms alone are the first features only;
- an atom without neighbours is its type's embedding, not a readout of nothing;
- only the last layer's readout is read. The authors compute one after each layer; those are not built here, but the
  matrices (W rbf) before them are, so that the edges have the published parameters.

Their cap of 32 neighbours an atom, which no molecule of QM9 reaches, is left out.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ...geometry.radial import polynomial_envelope
from ...geometry.waves import radial_waves
from ...kernels import fused, swish
from ...kernels import triplets as triplet_kernel
from ...kernels.directional import WEIGHTS, CompiledLayer
from ...kernels.fused import FusedLayer
from .invariant_embedder import InvariantEmbedder
from .prefix_graphs import PrefixGraphs
from .triplets import Triplets, find_triplets, triplet_sum


class DirectionalConfig(Config):
    """Sizes that SphereNet and DimeNet++ share; the defaults are the published ones of SphereNet."""

    kind: str
    width: int = Field(128, ge=1, description="numbers a feature, of atoms and of edges")
    n_layers: int = Field(4, ge=1, le=1000, description="rounds of messages")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    triplet_width: int = Field(64, ge=1, description="channels of the sum over triplets")
    basis_width: int = Field(8, ge=1, description="numbers to which each basis is projected before it is expanded")
    readout_width: int = Field(256, ge=1, description="hidden width of the readout")
    n_spherical: int = Field(7, ge=1, le=7, description="degrees of the harmonics")
    n_radial: int = Field(6, ge=1, description="radial functions, and Bessel functions a degree")


class SphereNetConfig(DirectionalConfig):
    """SphereNet's sizes."""

    kind: Literal["spherenet"] = "spherenet"


class SphereNet(InvariantEmbedder):
    """The directional message passing network; with angles alone it is DimeNet++ (see there)."""

    def __init__(self, config: DirectionalConfig, n_species: int, with_torsions: bool = True) -> None:
        super().__init__(n_species, config.width, config.cutoff)
        self.config, self.with_torsions = config, with_torsions
        width, n_radial = config.width, config.n_radial
        nn.init.uniform_(self.atom.weight, -math.sqrt(3), math.sqrt(3))
        self.frequencies = nn.Parameter(math.pi * torch.arange(1.0, n_radial + 1))
        self.distance = nn.Linear(n_radial, width)
        self.edge = nn.Linear(3 * width, width)
        # After the first features and after each layer; only the first and the last are read.
        weights = [glorot_orthogonal(width, n_radial) for _ in range(config.n_layers + 1)]
        self.edge_weights = nn.Parameter(torch.stack(weights))
        self.layers = nn.ModuleList(DirectionalLayer(config, with_torsions) for _ in range(config.n_layers))
        self.readout = Readout(width, config.readout_width)

    def embed(self, graphs: PrefixGraphs) -> Tensor:
        """Return (n_rows, width), the rows of `graphs`."""
        pairs, config = graphs.pairs, self.config
        links, link = graphs.links
        distances = pairs.distances[links]
        radial = self.radial_basis(distances)
        waves = radial_waves(distances, config.n_spherical, config.n_radial, config.cutoff)
        features = self._first_features(graphs, radial)

        triplets = find_triplets(graphs, self.with_torsions)
        summed = self._couples(graphs, radial, features)
        if len(triplets.edges.row):
            for index, layer in enumerate(self.layers):
                features = layer(features, radial, waves, triplets, shared=index == 0)
            read = functional.linear(radial, self.edge_weights[-1])[link[triplets.edges.pair]] * features
            summed = summed.index_add(0, triplets.edges.row, read.to(summed.dtype))
        graph, atom = graphs.rows
        has_neighbours = graphs.count[graph, atom] > 0
        embedded = self.atom(graphs.row_species)
        return torch.where(has_neighbours[:, None], self.readout(summed).to(embedded.dtype), embedded)

    def radial_basis(self, distances: Tensor) -> Tensor:
        """Return (n_links, n_radial) `u(x) sin(f_n x)`, x = d / cutoff, u = 1/x - 28 x^5 + 48 x^6 - 21 x^7."""
        x = distances / self.cutoff
        envelope = polynomial_envelope(distances, self.cutoff) / x
        return envelope[:, None] * torch.sin(self.frequencies * x[:, None])

    def _first_features(self, graphs: PrefixGraphs, radial: Tensor) -> Tensor:
        """Return (n_pairs, width) act(L [emb_i | emb_j | act(L rbf)]), its products once a pair of elements and a link.

        Args:
            graphs: whose pairs.
            radial: (n_links, n_radial).
        """
        pairs, link = graphs.pairs, graphs.links[1]
        of_receiver, of_sender, of_link = self.edge.weight.split(self.width, dim=1)
        receivers, senders = (functional.linear(self.atom.weight, part) for part in (of_receiver, of_sender))
        elements = (receivers[:, None] + senders).flatten(0, 1)
        between = functional.linear(functional.silu(self.distance(radial)), of_link, self.edge.bias)
        i, j = (graphs.species[pairs.molecule, atom] for atom in (pairs.receiver, pairs.sender))
        # Rows of a product one by one: indexing would cost several times as much backward.
        told = elements.index_select(0, i * len(receivers) + j)
        return functional.silu(between.index_select(0, link) + told)

    def _couples(self, graphs: PrefixGraphs, radial: Tensor, features: Tensor) -> Tensor:
        """Return (n_rows, width): what atoms hear over edges that are in no triplet, zero elsewhere."""
        graph, atom = graphs.rows
        row = graphs.couples[graph, atom].nonzero()[:, 0]
        pair = graphs.first_pair[graphs.molecule[graph[row]], atom[row]]
        heard = functional.linear(radial[graphs.links[1][pair]], self.edge_weights[0]) * features[pair]
        summed = self.atom.weight.new_zeros(len(graph), self.width)
        return summed.index_add(0, row, heard.to(summed.dtype))


class DirectionalLayer(nn.Module):
    """One round: every edge hears from the edges that enter its sender.

    Args:
        config: sizes.
        with_torsions: whether triplets are weighed by their torsion too.
    """

    def __init__(self, config: DirectionalConfig, with_torsions: bool) -> None:
        super().__init__()
        width, narrow, n_basis = config.width, config.triplet_width, config.basis_width
        n_angular = config.n_spherical * config.n_radial
        self.radial_in = _weight(n_basis, config.n_radial)
        self.radial_out = _weight(width, n_basis)
        self.angle_in = _weight(n_basis, n_angular)
        self.angle_out = _weight(narrow, n_basis)
        self.torsion_in = _weight(n_basis, config.n_spherical * n_angular) if with_torsions else None
        self.torsion_out = _weight(narrow, n_basis) if with_torsions else None
        self.message, self.own = _linear(width, width), _linear(width, width)
        self.down, self.up = _weight(narrow, width), _weight(width, narrow)
        self.middle = _linear(width, width)
        self.before, self.after = Residual(width), nn.Sequential(Residual(width), Residual(width))

    def forward(self, features: Tensor, radial: Tensor, waves: Tensor, triplets: Triplets, shared: bool) -> Tensor:
        """Return features of the edges, (n_edges, width).

        Args:
            features: of the edges; of the pairs, (n_pairs, width), where all graphs share them.
            radial: (n_links, n_radial).
            waves: (n_links, n_degrees, n_radial).
            triplets: of the graphs.
            shared: whether features are of pairs, as before the first layer.
        """
        weights = functional.linear(functional.linear(radial, self.radial_in), self.radial_out)
        # In the precision of the parameters: the angular functions are polynomials of degree six.
        with torch.autocast(waves.device.type, enabled=False):
            angle_in = self.angle_in.unflatten(1, (1, *waves.shape[1:]))
            angle = _contract(waves, angle_in)
            torsion = None
            if self.torsion_in is not None:
                # A quirk of the published basis, born of a reshape: harmonic q = l^2 + ... goes with the Bessel
                # functions of degree q mod n_degrees, not with those of its own degree l.
                torsion = _contract(waves, self.torsion_in.unflatten(1, (-1, *waves.shape[1:])))
        bases = angle, torsion, self.angle_out, self.torsion_out
        dtype = _product_dtype(features)
        if swish.compiled(features.shape[1], dtype, features.device) and triplet_kernel.compiled(self.down.T, angle):
            learnt = [self.get_parameter(name) for name in WEIGHTS]
            graph = triplets.layer_graph(shared)
            if fused.compiled(features.shape[1], len(self.down), dtype, features.device):
                return FusedLayer.apply(features, weights, *bases, graph, torch.is_grad_enabled(), *learnt)
            return CompiledLayer.apply(features, weights, *bases, graph, dtype, *learnt)

        pair, link = triplets.edges.pair, triplets.graphs.links[1]
        messages = functional.silu(self.message(features)) * weights[link if shared else link[pair]]
        messages = functional.silu(functional.linear(messages, self.down))
        own = functional.silu(self.own(features))
        if shared:
            own, features = own[pair], features[pair]
        with torch.autocast(waves.device.type, enabled=False):
            heard = triplet_sum(messages.to(waves.dtype), *bases, triplets, shared)
        x = self.before(own + functional.silu(functional.linear(heard, self.up)))
        return self.after(functional.silu(self.middle(x)) + features)


def _product_dtype(x: Tensor) -> torch.dtype:
    """Return in which precision a product with `x` is formed here and now."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _contract(waves: Tensor, weights: Tensor) -> Tensor:
    """Contract the radial half of a basis: a weight for each harmonic, n_degrees of them a block.

    Degree by degree these are many narrow products and a shuffle; one product with the zeros between is quicker.

    Args:
        waves: (n_links, n_degrees, n_radial).
        weights: (n_basis, n_blocks, n_degrees, n_radial).

    Returns:
        (n_links, n_blocks * n_degrees, n_basis).
    """
    n_basis, n_blocks, n_degrees, n_radial = weights.shape
    spread = torch.diag_embed(weights.permute(3, 1, 0, 2)).permute(3, 0, 1, 4, 2)
    flat = spread.reshape(n_degrees * n_radial, n_blocks * n_degrees * n_basis)
    return (waves.flatten(1) @ flat).view(-1, n_blocks * n_degrees, n_basis)


class Residual(nn.Module):
    """x + act(L act(L x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _linear(width, width), _linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width), like `x`."""
        return x + functional.silu(self.second(functional.silu(self.first(x))))


class Readout(nn.Module):
    """Sums of edges -> features of atoms; no activation after the first and the last layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        with torch.no_grad():
            self.up.weight.copy_(glorot_orthogonal(hidden, width))  # the bias keeps its default
        self.first, self.second = _linear(hidden, hidden), _linear(hidden, hidden)
        self.out = _linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n_rows, width), from the same."""
        return self.out(functional.silu(self.second(functional.silu(self.first(self.up(x))))))


def glorot_orthogonal(n_out: int, n_in: int, scale: float = 2.0) -> Tensor:
    """Return an orthogonal matrix (n_out, n_in), scaled to the variance of Glorot's initialisation times `scale`."""
    weight = nn.init.orthogonal_(torch.empty(n_out, n_in))
    return weight * torch.sqrt(scale / ((n_in + n_out) * weight.var()))


def _weight(n_out: int, n_in: int) -> nn.Parameter:
    """A matrix without bias (the paper's W)."""
    return nn.Parameter(glorot_orthogonal(n_out, n_in))


def _linear(n_in: int, n_out: int) -> nn.Linear:
    """A layer with bias (the paper's L)."""
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(glorot_orthogonal(n_out, n_in))
        layer.bias.zero_()
    return layer
