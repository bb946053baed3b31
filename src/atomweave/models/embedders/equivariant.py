"""Building blocks of the equivariant embedders: linear maps by degree, normalised activations, plain networks.

Features are lists over degrees: `features[l]` is (2l + 1, n_rows, channels). The components stand first, so that a
linear map over channels is one matrix product per degree on contiguous memory.

Weights are drawn from N(0, 1) and every map divides by the square root of its fan-in when applied, as e3nn does. Under
Adam this sets the learning rate of a layer, so it belongs to the published recipe.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Features = list[Tensor]

SECOND_MOMENT = {"silu": 0.59646, "softplus": 0.95981, "shifted_softplus": 0.53315}
"""Root of the second moment of each activation under N(0, 1); dividing by it keeps unit variance."""


def shifted_softplus(x: Tensor) -> Tensor:
    """Return `log(1 + exp(x)) - log 2` (Schütt et al. 2017)."""
    return functional.softplus(x) - math.log(2)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "softplus": functional.softplus,
    "shifted_softplus": shifted_softplus,
}


def normalised(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation of that name, divided by the root of its second moment under N(0, 1)."""
    return partial(_scaled, _ACTIVATIONS[name], 1 / SECOND_MOMENT[name])


def _scaled(activation: Callable[[Tensor], Tensor], scale: float, x: Tensor) -> Tensor:
    # No closure: those cannot be sent to the processes that grow molecules.
    return activation(x) * scale


class Linear(nn.Module):
    """One matrix a degree, no bias.

    Args:
        channels_in: input channels by degree.
        channels_out: output channels by degree; a degree without input gives zeros and has no weights.
    """

    def __init__(self, channels_in: Sequence[int], channels_out: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.randn(n_in, n_out) for n_in, n_out in zip(channels_in, channels_out, strict=False)
        )

    def forward(self, features: Features, scale: float = 1.0) -> Features:
        """Map (2l + 1, n_rows, channels_in[l]) to (2l + 1, n_rows, channels_out[l]), as many degrees as are given."""
        return [x @ (w * (scale / math.sqrt(w.shape[0]))) for x, w in zip(features, self.weights, strict=False)]


class SpeciesLinear(nn.Module):
    """One matrix a degree and species: each row is mapped by the matrix of its own atom's species."""

    def __init__(self, n_species: int, channels_in: Sequence[int], channels_out: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.randn(n_species, n_in, n_out) for n_in, n_out in zip(channels_in, channels_out, strict=False)
        )

    def forward(self, features: Features, species: Tensor) -> Features:
        """Map features (2l + 1, n_rows, channels_in[l]) by `species` (n_rows,)."""
        n_species = len(self.weights[0])
        rows = [(species == s).nonzero()[:, 0] for s in range(n_species)]
        order = torch.cat(rows)
        undo = torch.empty_like(order)
        undo[order] = torch.arange(len(order), device=order.device)
        mapped = []
        for x, w in zip(features, self.weights, strict=False):
            scaled = w / math.sqrt(w.shape[1])
            parts = [x.index_select(1, rows[s]) @ scaled[s] for s in range(n_species)]
            mapped.append(torch.cat(parts, dim=1).index_select(1, undo))
        return mapped

    def lookup(self, embedding: Tensor) -> Tensor:
        """Map degree 0 of one (n_species, channels_in) row a species by that species' own matrix."""
        weight = self.weights[0]
        return torch.bmm(embedding[:, None], weight / math.sqrt(weight.shape[1]))[:, 0]


class Network(nn.Module):
    """A fully connected network on invariants: no biases, normalised activation between the layers.

    Args:
        widths: input width, hidden widths, output width.
        activation: a name in `SECOND_MOMENT`.
    """

    def __init__(self, widths: Sequence[int], activation: str) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.randn(n_in, n_out) for n_in, n_out in itertools.pairwise(widths))
        self.activation = normalised(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        for layer, w in enumerate(self.weights):
            if layer:
                x = self.activation(x)
            x = x @ (w / math.sqrt(w.shape[0]))
        return x


def normal_embedding(n_species: int, channels: int) -> nn.Parameter:
    """Return an (n_species, channels) table drawn from a standard normal truncated at two deviations."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(n_species, channels), a=-2.0, b=2.0))
