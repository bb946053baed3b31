"""SchNet (Schütt et al. 2017) in G-SphereNet's ablation of the embedder: atoms hear of distances alone.

    x_i <- x_i + A act(A sum over j of (A x_j) * W(d_ij)),    act = shifted softplus, A atom-wise

Filters depend on two atoms alone and are computed once a pair, for all prefixes that hold it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from ...config import Config
from ...geometry.radial import cosine_cutoff, gaussian_basis
from .equivariant import shifted_softplus
from .invariant_embedder import InvariantEmbedder
from .prefix_graphs import Edges, PrefixGraphs


class SchNetConfig(Config):
    """Sizes of SchNet; the defaults match the published SphereNet's."""

    kind: Literal["schnet"] = "schnet"
    width: int = Field(128, ge=1, description="numbers a feature")
    n_layers: int = Field(4, ge=1, le=1000, description="interactions")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    n_radial: int = Field(50, ge=1, description="Gaussians on the distance")
    n_filters: int = Field(128, ge=1, description="channels of the continuous-filter convolution")


class SchNet(InvariantEmbedder):
    """The continuous-filter network; an atom without neighbours is its type's embedding."""

    def __init__(self, config: SchNetConfig, n_species: int) -> None:
        super().__init__(n_species, config.width, config.cutoff)
        self.config = config
        self.layers = nn.ModuleList(Interaction(config) for _ in range(config.n_layers))

    def embed(self, graphs: PrefixGraphs) -> Tensor:
        """Return (n_rows, width), the rows of `graphs`."""
        distances = graphs.pairs.distances
        radial = gaussian_basis(distances, self.config.n_radial, self.cutoff)
        cutoff = cosine_cutoff(distances, self.cutoff)[:, None]
        edges = graphs.edges(graphs.count)
        graph, atom = graphs.rows
        # The row of an edge's sender lies as far from the receiver's as its index does.
        sender = edges.row + graphs.pairs.sender[edges.pair] - atom[edges.row]
        has_neighbours = (graphs.count[graph, atom] > 0)[:, None]
        features = self.atom(graphs.row_species)
        for layer in self.layers:
            features = features + has_neighbours * layer(features, radial, cutoff, edges, sender)
        return features


class Interaction(nn.Module):
    """One continuous-filter convolution between atom-wise layers."""

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        self.filter_hidden = _dense(config.n_radial, config.n_filters)
        self.filter_out = _dense(config.n_filters, config.n_filters)
        self.send = nn.Linear(config.width, config.n_filters, bias=False)
        nn.init.xavier_uniform_(self.send.weight)
        self.receive = _dense(config.n_filters, config.width)
        self.out = _dense(config.width, config.width)

    def forward(self, features: Tensor, radial: Tensor, cutoff: Tensor, edges: Edges, sender: Tensor) -> Tensor:
        """Return what the atoms gain, (n_rows, width).

        Args:
            features: (n_rows, width).
            radial: (n_pairs, n_radial).
            cutoff: (n_pairs, 1).
            edges: of all graphs.
            sender: (n_edges,) int64, row of each edge's sender.
        """
        filters = self.filter_out(shifted_softplus(self.filter_hidden(radial))) * cutoff
        sent = self.send(features)
        heard = sent.index_select(0, sender) * filters.index_select(0, edges.pair)
        received = heard.new_zeros(len(features), heard.shape[1]).index_add(0, edges.row, heard)
        return self.out(shifted_softplus(self.receive(received)))


def _dense(n_in: int, n_out: int) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
