"""Causal attention over atoms in growth order: one pass gives what every decision about every prefix needs.

Encoder: atom i attends to the atoms up to i, seen in its own frame, so that its feature never changes again.
Decoder: a decision (focus f, prefix k) starts from the feature of f and attends to the first k atoms in the frame of f.
All fragments of a molecule cost n^2 instead of n^3, and a grown atom one new row.

Pair features enter attention twice: a linear map of them biases the logits of every layer and head, and the attention
averages them beside the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..precision import at_least_float32


class PairAttention(nn.Module):
    """One residual layer: attention with pair features, then a network over each row.

    Args:
        width: features a row.
        n_heads: attention heads.
        pair_features: numbers a pair.
        expansion: hidden width of the network, in multiples of `width`.
    """

    def __init__(self, width: int, n_heads: int, pair_features: int, expansion: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width + n_heads * pair_features, width)
        self.hidden = nn.Linear(width, expansion * width)
        self.back = nn.Linear(expansion * width, width)
        for last in (self.out, self.back):  # every layer begins as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, rows: Tensor, normed: Tensor, keys_values: Tensor, bias: Tensor, pairs: Tensor) -> Tensor:
        """Return the new rows.

        Args:
            rows: (n_molecules, n_rows, width), what attends.
            normed: the same, normalised by `norm`.
            keys_values: (n_molecules, n_atoms, 2 * width), what is attended to, out of `key_value`.
            bias: (n_molecules, n_heads, n_rows, n_atoms), -inf where a row may not look.
            pairs: (n_molecules, n_rows, n_atoms, pair_features), averaged with the attention's weights.
        """
        query = self._by_head(self.query(normed))
        key, value = keys_values.chunk(2, -1)
        logits = query @ self._by_head(key).transpose(2, 3) / math.sqrt(query.shape[-1]) + bias
        weights = logits.softmax(-1).to(query.dtype)
        values = (weights @ self._by_head(value)).transpose(1, 2).flatten(2)
        seen = (weights.transpose(1, 2) @ pairs).flatten(2)
        rows = rows + self.out(torch.cat([values, seen.to(values.dtype)], -1))
        return rows + self.back(functional.silu(self.hidden(self.norm_hidden(rows))))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class PairTransformer(nn.Module):
    """A stack of `PairAttention`; encoder and decoder are one each.

    Args:
        width: features a row.
        n_layers: layers.
        n_heads: attention heads of each.
        pair_features: numbers a pair.
        expansion: hidden width of each layer's network, in multiples of `width`.
    """

    def __init__(self, width: int, n_layers: int, n_heads: int, pair_features: int, expansion: int) -> None:
        super().__init__()
        self.shape = n_layers, n_heads
        self.bias = nn.Linear(pair_features, n_layers * n_heads, bias=False)
        self.layers = nn.ModuleList(PairAttention(width, n_heads, pair_features, expansion) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)

    def keys_values(self, atoms: Tensor) -> list[Tensor]:
        """Return what each layer attends to, (n_molecules, n_atoms, 2 * width), of atoms (n_molecules, n_atoms, width).

        For a decoder, whose rows attend to atoms that are encoded once and for all.
        """
        return [layer.key_value(atoms) for layer in self._layers()]

    def forward(
        self,
        rows: Tensor,
        sees: Tensor,
        pairs: Tensor,
        keys_values: Sequence[Tensor] | None = None,
        remember: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return (n_molecules, n_rows, width) normalised features.

        Args:
            rows: (n_molecules, n_rows, width).
            sees: (n_molecules, n_rows, n_atoms) bool, at least one True a row.
            pairs: (n_molecules, n_rows, n_atoms, pair_features).
            keys_values: what each layer attends to; None for the rows themselves.
            remember: takes number and keys and values of a layer's rows, and returns those of all atoms; None where
                the rows are all there is.
        """
        # All layers' biases in one product; layers and heads go first, so that each layer reads its own in one piece.
        biases = self.bias(pairs).permute(3, 0, 1, 2)
        biases = at_least_float32(biases).masked_fill(~sees, -torch.inf).unflatten(0, self.shape).transpose(1, 2)
        for number, (layer, bias) in enumerate(zip(self._layers(), biases, strict=True)):
            normed = layer.norm(rows)
            if keys_values is not None:
                attended = keys_values[number]
            else:
                attended = layer.key_value(normed)
                attended = attended if remember is None else remember(number, attended)
            rows = layer(rows, normed, attended, bias, pairs)
        return self.norm(rows)

    def _layers(self) -> list[PairAttention]:
        return list(self.layers)  # type: ignore[arg-type]  # a ModuleList does not say of what
