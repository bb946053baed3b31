"""NequIP (Batzner et al. 2022) with natural parities, computed once for all fragments of a molecule.

What is notable here:

- The tensor product is done in the frame where the edge is the polar axis (eSCN, Passaro and Zitnick 2023). There it is
  diagonal in m, and parity allows one real weight for each |m| and no mixing of +m with -m: all 91 paths of degree 5
  are 91 weights a channel.
- Harmonics and rotations depend on a pair of atoms alone, radial networks on its length: they are evaluated once a
  pair, or once for both its directions, and every prefix that holds both atoms reads them.
- The last layer is evaluated only at the atoms that are asked for: the focus.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ...geometry.edges import Pairs, PrefixRows, Reception, reception
from ...geometry.radial import bessel_basis, polynomial_envelope
from ...geometry.rotations import edge_rotations
from .convolution import convolution_paths, convolve
from .equivariant import Features, Linear, Network, SpeciesLinear, normal_embedding, normalised
from .equivariant_embedder import EquivariantEmbedder


class NequIPConfig(Config):
    """Sizes of the NequIP embedder; the defaults are the published position embedder."""

    kind: Literal["nequip"] = "nequip"
    channels: int = Field(64, ge=1, description="copies of each degree")
    lmax: int = Field(5, ge=0, le=8, description="highest degree of the features between layers")
    lmax_out: int | None = Field(None, ge=0, le=8, description="highest degree of the output; lmax when null")
    n_layers: int = Field(3, ge=1, le=1000, description="message-passing layers")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    n_radial: int = Field(8, ge=1, description="Bessel functions")
    radial_width: int = Field(64, ge=1, description="width of the radial network's two hidden layers")
    average_neighbours: float = Field(300.0, gt=0, description="messages are divided by its square root")
    degree_damping: float = Field(0.5, gt=0, description="output of degree l is multiplied by this to the power l")


class NequIP(EquivariantEmbedder):
    """Embeds every atom of every fragment, or only the atoms asked for, as features of degrees 0..lmax_out."""

    def __init__(self, config: NequIPConfig, n_species: int) -> None:
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.lmax = config.lmax if config.lmax_out is None else config.lmax_out
        self.embedding = normal_embedding(n_species, config.channels)
        last = config.n_layers - 1
        self.layers = nn.ModuleList(
            NequIPLayer(
                config,
                n_species,
                lmax_in=config.lmax if layer else 0,
                lmax_out=self.lmax if layer == last else config.lmax,
            )
            for layer in range(config.n_layers)
        )

    def forward(
        self,
        pairs: Pairs,
        species: Tensor,
        rows: PrefixRows,
        at: tuple[Tensor, Tensor, Tensor] | None = None,
        lmax: int | None = None,
    ) -> Features:
        """Embed; see `EquivariantEmbedder.forward`."""
        radial = bessel_basis(pairs.distances, self.config.n_radial, self.config.cutoff)
        radial = radial * polynomial_envelope(pairs.distances, self.config.cutoff)[:, None]
        lmax_between = self.config.lmax if len(self.layers) > 1 else self.lmax
        matrices = edge_rotations(pairs.vectors, max(self.lmax, lmax_between))
        rotations = torch.cat([matrix.flatten(1) for matrix in matrices], dim=1)
        row_species = species[rows.molecule, rows.atom]
        last = len(self.layers) - 1

        read = reception(rows, pairs, rows.molecule, rows.decision, rows.atom)
        first = self.layers[0]
        assert isinstance(first, NequIPLayer)
        features = first.from_species(self.embedding, radial, rotations, read, row_species)
        if last == 0 and at is not None:
            chosen = rows.row[at]
            features = [x.index_select(1, chosen) for x in features]
        for index, layer in enumerate(self.layers[1:], start=1):
            if index == last and at is not None:
                chosen = rows.row[at]
                read, row_species = reception(rows, pairs, *at), row_species[chosen]
                own = [x.index_select(1, chosen) for x in features]
            else:
                own = features
            features = layer(features, own, radial, rotations, read, row_species)
        n_degrees = self.lmax + 1 if lmax is None else lmax + 1
        return [x * self.config.degree_damping**degree for degree, x in enumerate(features[:n_degrees])]


class NequIPLayer(nn.Module):
    """One layer: convolution, skip by species, gate, linear map, residual.

    Args:
        config: sizes.
        n_species: species of the skip connection.
        lmax_in: highest degree of the input; 0 in the first layer.
        lmax_out: highest degree of the output.
    """

    def __init__(self, config: NequIPConfig, n_species: int, lmax_in: int, lmax_out: int) -> None:
        super().__init__()
        self.lmax_in, self.lmax_out, self.channels = lmax_in, lmax_out, config.channels
        self.neighbour_scale = config.average_neighbours**-0.5
        channels_in = [config.channels] * (lmax_in + 1)
        channels_out = [config.channels] * (lmax_out + 1)
        gated = [config.channels * (lmax_out + 1), *channels_out[1:]]  # degree 0 carries one gate a channel and degree
        self.n_paths = len(convolution_paths(lmax_in, lmax_out))
        self.linear_up = Linear(channels_in, channels_in)
        n_weights = self.n_paths * config.channels
        self.radial_network = Network([config.n_radial, config.radial_width, config.radial_width, n_weights], "silu")
        self.linear_down = Linear([config.channels * (lmax_in + 1)] * (lmax_out + 1), gated)
        self.skip = SpeciesLinear(n_species, channels_in, gated)
        self.linear_out = Linear(channels_out, channels_out)
        self.silu = normalised("silu")

    def from_species(
        self, embedding: Tensor, radial: Tensor, rotations: Tensor, read: Reception, row_species: Tensor
    ) -> Features:
        """First layer: embed every row from `embedding` (n_species, channels) of the atoms around it."""
        sent = functional.embedding(row_species, self.linear_up([embedding])[0])[None]
        mixed = self._receive(sent, radial, rotations, read)
        mixed[0] = mixed[0] + functional.embedding(row_species, self.skip.lookup(embedding))
        return self._gate_and_map(mixed)

    def forward(
        self,
        features: Features,
        own: Features,
        radial: Tensor,
        rotations: Tensor,
        read: Reception,
        receiver_species: Tensor,
    ) -> Features:
        """Later layers: `features` of all rows in, the receivers' out; `own` are the receivers' among the former."""
        mixed = self._receive(torch.cat(self.linear_up(features)), radial, rotations, read)
        skipped = self.skip(own, receiver_species)
        mixed = [x + skipped[degree] if degree < len(skipped) else x for degree, x in enumerate(mixed)]
        out = self._gate_and_map(mixed)
        return [x + own[degree] if degree < len(own) else x for degree, x in enumerate(out)]

    def _receive(self, sent: Tensor, radial: Tensor, rotations: Tensor, read: Reception) -> Features:
        weights = self.radial_network(radial[read.links]).unflatten(-1, (self.n_paths, self.channels))
        return self.linear_down(convolve(sent, weights, rotations, read, self.lmax_out), self.neighbour_scale)

    def _gate_and_map(self, mixed: Features) -> Features:
        scalars, *gates = mixed[0].split(self.channels, dim=-1)
        gated = [self.silu(scalars)]
        gated += [x * self.silu(gate) for x, gate in zip(mixed[1:], gates, strict=True)]
        return self.linear_out(gated)
