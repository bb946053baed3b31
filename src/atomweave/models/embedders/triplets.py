"""Sums over triplets (k -> j, j -> i): what an edge hears from the edges that enter its sender, by angle and torsion.

    sum over k of  m_kj * (W_s s_kji) * (W_t t_kji),    s_kji = A_kj Y_l0(theta),    t_kji = T_kj Y_lm(theta, phi)

The basis of 294 torsion functions is never formed. Its radial half depends on the pair (k -> j) alone and is contracted
with the learnt 294 x 8 matrix there (T_kj, 49 x 8); its angular half is evaluated on the fly. The angular part of a
triplet depends on the prefix only through the atom from which the torsion is counted: all prefixes with the same
reference share it, and a triplet of a molecule is met in some five prefixes, with fewer than two references.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...geometry.waves import harmonic_norms, wave_harmonics
from ...kernels.directional import LayerGraph
from ...kernels.triplets import MAX_DEGREES, CompiledTripletSum, compiled
from .prefix_graphs import Edges, PrefixGraphs

COLLINEAR = 1e-4
"""Sine below which a reference atom lies on the axis and tells no azimuth: harmonics of m > 0 then count with their
mean over all azimuths, zero. The authors' torsion is rounding noise there."""


@dataclass(frozen=True)
class Triplets:
    """The triplets of all graphs, by their target edges (j -> i)."""

    graphs: PrefixGraphs
    edges: Edges  # those that are in some triplet
    # (n_graphs, n_atoms) int64 each: the atom nearest to each in the prefix and the next; None without torsions.
    nearest: Tensor | None
    second: Tensor | None

    @cached_property
    def tables(self) -> dict[str, Tensor]:
        """What the compiled kernel reads of the graphs."""
        graphs, pairs = self.graphs, self.graphs.pairs
        n_graphs = torch.bincount(graphs.molecule, minlength=len(graphs.species))
        tables = {
            "positions": graphs.positions,
            "towards": -pairs.vectors / pairs.distances[:, None],
            "sender": pairs.sender,
            "link": graphs.links[1],
            "first_pair": graphs.first_pair,
            "graph_start": torch.nn.functional.pad(n_graphs.cumsum(0), (1, 0)),
            "first": self.edges.first,
            "count": self.edges.count,
            "nearest": self.nearest,
            "second": self.second,
            "norms": harmonic_norms(MAX_DEGREES),
        }
        return {name: x.contiguous() for name, x in tables.items() if x is not None}

    def layer_graph(self, shared: bool) -> LayerGraph:
        """Return what a compiled layer reads, of features of pairs or of edges."""
        graphs, edges = self.graphs, self.edges
        molecule = graphs.pairs.molecule if shared else graphs.molecule[self.targets[0]]
        n_rows = torch.bincount(molecule, minlength=len(graphs.species))
        link = graphs.links[1]
        return LayerGraph(
            self.tables,
            edges.pair,
            link if shared else link[edges.pair],
            torch.nn.functional.pad(n_rows.cumsum(0), (1, 0)),
            shared,
        )

    @cached_property
    def targets(self) -> tuple[Tensor, Tensor, Tensor]:
        """(graph, j, i) of each edge j -> i, (n_edges,) int64 each."""
        graph, atom = self.graphs.rows
        return graph[self.edges.row], self.graphs.pairs.sender[self.edges.pair], atom[self.edges.row]


def find_triplets(graphs: PrefixGraphs, with_torsions: bool) -> Triplets:
    """List the edges that are in triplets, and with torsions the atoms from which those are counted."""
    edges = graphs.edges(graphs.count.masked_fill(graphs.couples, 0))
    if not with_torsions:
        return Triplets(graphs, edges, None, None)
    between = (graphs.positions[:, :, None] - graphs.positions[:, None]).square().sum(-1)
    between.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    outside = torch.arange(between.shape[1], device=between.device) >= graphs.size[:, None]
    distance = between[graphs.molecule].masked_fill(outside[:, None], torch.inf)
    nearest = distance.argmin(-1, keepdim=True)  # the first of equals
    second = distance.scatter(-1, nearest, torch.inf).argmin(-1)
    return Triplets(graphs, edges, nearest[:, :, 0], second)


def triplet_sum(
    messages: Tensor,
    angle: Tensor,
    torsion: Tensor | None,
    expand_angle: Tensor,
    expand_torsion: Tensor | None,
    triplets: Triplets,
    shared: bool,
) -> Tensor:
    """Sum over the triplets of each edge.

    Args:
        messages: (n_edges, channels), m_kj; (n_pairs, channels) where all graphs share them.
        angle: (n_links, n_degrees, n_basis), A of each pair k, j.
        torsion: (n_links, n_degrees^2, n_basis), T of each pair; None: only angles count.
        expand_angle: (channels, n_basis), W_s.
        expand_torsion: (channels, n_basis), W_t; None as above.
        triplets: of the graphs.
        shared: whether messages are of pairs.

    Returns:
        (n_edges, channels), zero for an edge whose sender hears from nobody else.
    """
    if len(triplets.edges.row) == 0:
        return messages.new_zeros(0, messages.shape[1])
    learnt = messages, angle, torsion, expand_angle, expand_torsion
    if compiled(messages, angle):
        return CompiledTripletSum.apply(*learnt, triplets.tables, len(triplets.edges.row), shared)
    # Computed again backward: what is kept of each triplet of each prefix would fill gigabytes.
    return checkpoint(_sum, *learnt, triplets, shared, use_reentrant=False)


def _sum(
    messages: Tensor,
    angle: Tensor,
    torsion: Tensor | None,
    expand_angle: Tensor,
    expand_torsion: Tensor | None,
    triplets: Triplets,
    shared: bool,
) -> Tensor:
    graphs, edges = triplets.graphs, triplets.edges
    graph, j, i = triplets.targets
    molecule, n_atoms = graphs.molecule[graph], graphs.species.shape[1]
    # A view is a triplet's target and reference; edges of several graphs share it.
    site = molecule * n_atoms + j
    reference = torch.zeros_like(i)
    if triplets.nearest is not None and triplets.second is not None:
        nearest = triplets.nearest[graph, j]
        reference = torch.where(nearest == i, triplets.second[graph, j], nearest)
    views, view = torch.unique((site * n_atoms + i) * n_atoms + reference, return_inverse=True)
    view_site, view_i, view_reference = views // n_atoms**2, views // n_atoms % n_atoms, views % n_atoms

    # Neighbours k of each site j, as pairs (k -> j); padded with the last pair, which is then not counted.
    n_neighbours = int(edges.count.max())
    rank = torch.arange(n_neighbours, device=i.device)
    pair = (graphs.first_pair.flatten()[:, None] + rank).clamp(
        max=len(graphs.pairs.sender) - 1
    )  # (n_sites, n_neighbours)
    k, link = graphs.pairs.sender[pair], graphs.links[1][pair]
    towards = -graphs.pairs.vectors / graphs.pairs.distances[:, None]  # from the receiver j to the sender k
    frame = _frames(graphs.positions, view_site, view_i, view_reference, torsion is not None)
    directions = torch.einsum("vkx,vcx->vkc", towards[pair[view_site]], frame)

    # Views side by side, site by site, so that A and T of a pair serve all its views in one product.
    slot = torch.arange(len(views), device=i.device) - torch.searchsorted(view_site, view_site)
    n_slots = int(slot.max()) + 1

    def embed(functions: Tensor, weights: Tensor) -> Tensor:
        wide = functions.new_zeros(len(pair), n_slots, *functions.shape[1:])
        wide[view_site, slot] = functions
        return torch.einsum("svkq,skqa->svka", wide, weights[link])[view_site, slot]

    harmonics = wave_harmonics(directions, angle.shape[1])
    zonal = [l * l for l in range(angle.shape[1])]
    basis = embed(harmonics[..., zonal], angle) @ expand_angle.T
    if torsion is not None and expand_torsion is not None:
        basis = basis * (embed(harmonics, torsion) @ expand_torsion.T)
    counted = (rank < edges.count[graph, j][:, None]) & (k[site] != i[:, None])
    source = pair[site] if shared else edges.first[graph, j][:, None] + rank
    heard = messages[source.clamp(max=len(messages) - 1)]
    return (heard * basis[view] * counted[:, :, None]).sum(1)


def _frames(positions: Tensor, site: Tensor, i: Tensor, reference: Tensor, with_torsions: bool) -> Tensor:
    """Return rows x, y, z (n_views, 3, 3): z along j -> i, the torsion phi of k such that x = cos phi, y = sin phi.

    phi is the right-handed rotation about j -> i that takes k to the reference (Liu et al. 2022; k itself as reference
    has phi = 2 pi), so that y points against the sense of rotation.
    """
    molecule, j = site // positions.shape[1], site % positions.shape[1]
    origin = positions[molecule, j]
    z = torch.nn.functional.normalize(positions[molecule, i] - origin, dim=-1)
    if not with_torsions:  # nobody reads x and y
        return torch.stack([torch.zeros_like(z), torch.zeros_like(z), z], dim=1)
    away = torch.nn.functional.normalize(positions[molecule, reference] - origin, dim=-1)
    x = away - (away * z).sum(-1, keepdim=True) * z
    sine = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    x = torch.where(sine > COLLINEAR, x / sine, 0.0)
    return torch.stack([x, torch.linalg.cross(x, z, dim=-1), z], dim=1)
