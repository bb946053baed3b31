"""E3SchNet: SchNet (Schütt et al. 2017) with features of higher degree; the published embedder of focus and species.

At lmax 0 it is SchNet. What is notable here: everything between two atoms (filters, couplings with the harmonics) is
computed once a pair and shared by all prefixes (`filters`). What nobody reads is not computed: paths that leave the
natural parities, and in the last layer, where invariants are wanted, all but degree 0.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...config import Config
from ...geometry.edges import Pairs, PrefixRows, Reception, reception
from ...geometry.harmonics import spherical_harmonics
from ...geometry.radial import cosine_cutoff, gaussian_basis
from .equivariant import Features, Linear, normal_embedding, normalised, shifted_softplus
from .equivariant_embedder import EquivariantEmbedder
from .filters import FilterPath, convolve


class E3SchNetConfig(Config):
    """Sizes of the E3SchNet embedder; the defaults are the published focus and species embedder."""

    kind: Literal["e3schnet"] = "e3schnet"
    channels: int = Field(64, ge=1, description="copies of each degree")
    lmax: int = Field(2, ge=0, le=4, description="highest degree of features and harmonics")
    n_layers: int = Field(3, ge=1, le=1000, description="interactions")
    cutoff: float = Field(5.0, gt=0, description="neighbours are nearer than this, Å")
    n_radial: int = Field(8, ge=1, description="Gaussians on the distance")
    n_filters: int = Field(16, ge=1, description="channels of the continuous-filter convolution")


class E3SchNet(EquivariantEmbedder):
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
        """Embed; see `EquivariantEmbedder.forward`."""
        read = reception(rows, pairs, rows.molecule, rows.decision, rows.atom)
        distances = pairs.distances[read.links]
        radial = gaussian_basis(distances, self.config.n_radial, self.config.cutoff)
        cutoff = cosine_cutoff(distances, self.config.cutoff)
        harmonics = spherical_harmonics(pairs.vectors, self.lmax)

        features = [functional.embedding(species[rows.molecule, rows.atom], self.linear_in([self.embedding])[0])[None]]
        for index, layer in enumerate(self.layers):
            wanted = self.lmax if lmax is None or index < len(self.layers) - 1 else lmax
            features = layer(features, radial, cutoff, harmonics, read, rows, wanted)
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
        # Nobody reads pseudo-tensors, nor degrees beyond lmax; their paths keep their filters, so that the network has
        # the published parameters.
        self.paths = [
            FilterPath(a, b, out) for a in degrees_in for b in degrees for out in range(abs(a - b), a + b + 1)
        ]
        n_inputs = [sum(path.degree_out == degree and path.natural for path in self.paths) for degree in degrees]
        channels_in, channels_out = [config.channels] * len(degrees_in), [config.channels] * len(degrees)
        self.linear_filter = Linear(channels_in, [config.n_filters] * len(degrees_in))
        self.filter_hidden = _dense(config.n_radial, config.n_filters)
        self.filter_out = _dense(config.n_filters, config.n_filters * len(self.paths))
        self.linear_mix = Linear([n * config.n_filters for n in n_inputs], channels_out)
        self.linear_out = Linear(channels_out, channels_out)
        self.activation = normalised("shifted_softplus")

    def forward(
        self,
        features: Features,
        radial: Tensor,
        cutoff: Tensor,
        harmonics: Tensor,
        read: Reception,
        rows: PrefixRows,
        lmax: int,
    ) -> Features:
        """Return features of degrees up to `lmax` for all rows.

        Args:
            features: for each degree in (2l + 1, n_rows, channels).
            radial: (n_links_read, n_radial).
            cutoff: (n_links_read,).
            harmonics: (n_pairs, (lmax + 1)^2).
            read: every row receives.
            rows: the fragments.
            lmax: highest degree wanted.
        """
        live = [position for position, path in enumerate(self.paths) if path.degree_out <= lmax and path.natural]
        hidden = shifted_softplus(self.filter_hidden(radial))
        weight = self.filter_out.weight.unflatten(0, (len(self.paths), self.n_filters))[live].flatten(0, 1)
        bias = self.filter_out.bias.unflatten(0, (len(self.paths), self.n_filters))[live].flatten()
        filters = (functional.linear(hidden, weight, bias) * cutoff[:, None]).unflatten(1, (len(live), self.n_filters))
        paths = tuple(self.paths[position] for position in live)
        mixed = self.linear_mix(convolve(self.linear_filter(features), filters, harmonics, read, rows, paths))
        mixed[0] = self.activation(mixed[0])
        out = self.linear_out(mixed)
        return [x + features[degree] if degree < len(features) else x for degree, x in enumerate(out)]


def _dense(n_in: int, n_out: int) -> nn.Linear:
    """A layer with bias as the authors' framework initialises it: truncated normal over root fan-in, zero bias."""
    layer = nn.Linear(n_in, n_out)
    nn.init.trunc_normal_(layer.weight, std=n_in**-0.5, a=-2 * n_in**-0.5, b=2 * n_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
