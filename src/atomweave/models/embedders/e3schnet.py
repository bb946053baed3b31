"""E3SchNet: SchNet (Schütt et al. 2017) with features of higher degree; the published embedder of focus and species.

At lmax 0 it is SchNet. What is notable here: everything between two atoms (filter times coupling) is an operator from
the sender's components to the receiver's, one a pair and channel, shared by all prefixes; a layer is one batched matrix
product of these operators with the features of all prefixes. Operators whose output nobody reads are not computed:
those that leave the natural parities, and in the last layer, where invariants are wanted, all but degree 0.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ...geometry.edges import Pairs, PrefixRows
from ...geometry.harmonics import coupling, degree_slice, spherical_harmonics
from ...geometry.radial import cosine_cutoff, gaussian_basis
from .equivariant import Features, Linear, normal_embedding, normalised, shifted_softplus


class E3SchNetConfig(Config):
    """Sizes of the E3SchNet embedder; the defaults are the published focus and species embedder."""

    kind: Literal["e3schnet"] = "e3schnet"
    channels: int = Field(64, ge=1, description="copies of each degree")
    lmax: int = Field(2, ge=0, le=4, description="highest degree of features and harmonics")
    n_layers: int = Field(3, ge=1, description="interactions")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    n_radial: int = Field(8, ge=1, description="Gaussians on the distance")
    n_filters: int = Field(16, ge=1, description="channels of the continuous-filter convolution")


class E3SchNet(nn.Module):
    """Embeds every atom of every fragment, or only the atoms asked for, as features of degrees 0..lmax."""

    def __init__(self, config: E3SchNetConfig, n_species: int) -> None:
        super().__init__()
        self.config = config
        self.channels, self.lmax = config.channels, config.lmax
        self.embedding = normal_embedding(n_species, config.channels)
        self.linear_in = Linear([config.channels], [config.channels])
        self.layers = nn.ModuleList(
            Interaction(config, lmax_in=config.lmax if layer else 0) for layer in range(config.n_layers)
        )

    def forward(
        self,
        pairs: Pairs,
        species: Tensor,
        rows: PrefixRows,
        at: tuple[Tensor, Tensor, Tensor] | None = None,
        lmax: int | None = None,
    ) -> Features:
        """Embed.

        Args:
            pairs: all pairs within `config.cutoff`.
            species: (n_molecules, n_atoms) species indices.
            rows: the fragments.
            at: (molecule, decision, atom) of the features wanted, (n_wanted,) each; every row when None.
            lmax: highest degree wanted; all when None.

        Returns:
            For each degree l (2l + 1, n_wanted, channels).
        """
        exists = pairs.index < len(pairs.molecule)
        vectors = torch.cat([pairs.vectors, pairs.vectors.new_zeros(1, 3)])[pairs.index]
        distances = torch.cat([pairs.distances, pairs.distances.new_zeros(1)])[pairs.index]
        radial = gaussian_basis(distances, self.config.n_radial, self.config.cutoff)
        cutoff = cosine_cutoff(distances, self.config.cutoff) * exists
        harmonics = spherical_harmonics(vectors, self.lmax)

        features = [functional.embedding(species[rows.molecule, rows.atom], self.linear_in([self.embedding])[0])[None]]
        for index, layer in enumerate(self.layers):
            wanted = self.lmax if lmax is None or index < len(self.layers) - 1 else lmax
            features = layer(features, radial, cutoff, harmonics, rows, wanted)
        if at is None:
            return features
        chosen = rows.row[at]
        return [x.index_select(1, chosen) for x in features]


class Interaction(nn.Module):
    """One interaction: filter-weighted couplings with the harmonics, summed over neighbours, then an atom-wise part.

    Args:
        config: sizes.
        lmax_in: highest degree of the input; 0 in the first interaction.
    """

    def __init__(self, config: E3SchNetConfig, lmax_in: int) -> None:
        super().__init__()
        self.n_filters = config.n_filters
        degrees_in, degrees = range(lmax_in + 1), range(config.lmax + 1)
        # (degree in, degree of the harmonic, degree out). Nobody reads pseudo-tensors, those with odd sum, nor degrees
        # beyond lmax; they keep their filters, so that the network has the published parameters.
        self.paths = [(a, b, out) for a in degrees_in for b in degrees for out in range(abs(a - b), a + b + 1)]
        n_inputs = [sum(out == degree and (a + b + out) % 2 == 0 for a, b, out in self.paths) for degree in degrees]
        channels_in, channels_out = [config.channels] * len(degrees_in), [config.channels] * len(degrees)
        self.linear_filter = Linear(channels_in, [config.n_filters] * len(degrees_in))
        self.filter_hidden = _dense(config.n_radial, config.n_filters)
        self.filter_out = _dense(config.n_filters, config.n_filters * len(self.paths))
        self.linear_mix = Linear([n * config.n_filters for n in n_inputs], channels_out)
        self.linear_out = Linear(channels_out, channels_out)
        self.activation = normalised("shifted_softplus")

    def forward(
        self, features: Features, radial: Tensor, cutoff: Tensor, harmonics: Tensor, rows: PrefixRows, lmax: int
    ) -> Features:
        """Return features of degrees up to `lmax` for all rows.

        Args:
            features: for each degree in (2l + 1, n_rows, channels).
            radial: (n_molecules, n_atoms receiving, n_atoms sending, n_radial).
            cutoff: (n_molecules, n_atoms, n_atoms), zero where there is no pair.
            harmonics: (n_molecules, n_atoms, n_atoms, (lmax + 1)^2).
            rows: the fragments.
            lmax: highest degree wanted.
        """
        live = [position for position, (a, b, out) in enumerate(self.paths) if out <= lmax and (a + b + out) % 2 == 0]
        filters = self._filters(live, radial, cutoff)
        gathered: list[list[Tensor]] = [[] for _ in range(lmax + 1)]
        for degree_in, sent in enumerate(self.linear_filter(features)):
            here = [(column, self.paths[p]) for column, p in enumerate(live) if self.paths[p][0] == degree_in]
            received = self._receive(here, sent, filters, harmonics, rows)
            sizes = [2 * out + 1 for _, (_, _, out) in here]
            for (_, (_, _, out)), part in zip(here, received.split(sizes), strict=True):
                gathered[out].append(part)
        mixed = self.linear_mix([torch.cat(parts, dim=-1) for parts in gathered])
        mixed[0] = self.activation(mixed[0])
        out = self.linear_out(mixed)
        return [x + features[degree] if degree < len(features) else x for degree, x in enumerate(out)]

    def _filters(self, live: list[int], radial: Tensor, cutoff: Tensor) -> Tensor:
        """Return (n_molecules, n_filters, n_live, n_atoms receiving, n_atoms sending), zero where there is no pair."""
        hidden = shifted_softplus(self.filter_hidden(radial))
        weight = self.filter_out.weight.unflatten(0, (len(self.paths), self.n_filters))[live].flatten(0, 1)
        bias = self.filter_out.bias.unflatten(0, (len(self.paths), self.n_filters))[live].flatten()
        n_molecules, n_atoms = cutoff.shape[:2]
        # The pairs stand last, where the operators want them: the product is written that way round.
        filters = torch.baddbmm(bias[:, None], weight.expand(n_molecules, -1, -1), hidden.flatten(1, 2).mT)
        filters = filters.unflatten(1, (len(live), self.n_filters)) * cutoff.flatten(1)[:, None, None]
        return filters.transpose(1, 2).unflatten(-1, (n_atoms, n_atoms))

    def _receive(
        self,
        live: list[tuple[int, tuple[int, int, int]]],
        sent: Tensor,
        filters: Tensor,
        harmonics: Tensor,
        rows: PrefixRows,
    ) -> Tensor:
        """Sum over the neighbours in each prefix, for the (column of `filters`, path) pairs of one degree in.

        Returns:
            (components of all these paths, n_rows, n_filters).
        """
        n_molecules, n_decisions, n_atoms = rows.row.shape
        degree_in = live[0][1][0]
        blocks = []
        for column, (_, b, out) in live:
            couple = coupling(degree_in, b, out).to(harmonics)
            basis = torch.einsum("bijy,xyo->biojx", harmonics[..., degree_slice(b)], couple)
            blocks.append(filters[:, :, column, :, None, :, None] * basis[:, None])
        # (n_molecules, n_filters, receiving, components out, sending, components in)
        operator = torch.cat(blocks, dim=3)
        sources = sent.new_zeros(2 * degree_in + 1, n_molecules * n_decisions * n_atoms, self.n_filters)
        place = (rows.molecule * n_decisions + rows.decision) * n_atoms + rows.atom
        sources = sources.index_copy(1, place, sent).unflatten(1, (n_molecules, n_decisions, n_atoms))
        sources = sources.permute(1, 4, 3, 0, 2).flatten(2, 3)  # (molecules, filters, sending x components, decisions)
        received = operator.flatten(4, 5).flatten(2, 3) @ sources
        received = received.unflatten(2, (n_atoms, -1)).permute(3, 0, 4, 2, 1).flatten(1, 3)
        return received.index_select(1, place)


def _dense(n_in: int, n_out: int) -> nn.Linear:
    """A layer with bias as the authors' framework initialises it: truncated normal over root fan-in, zero bias."""
    layer = nn.Linear(n_in, n_out)
    nn.init.trunc_normal_(layer.weight, std=n_in**-0.5, a=-2 * n_in**-0.5, b=2 * n_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
