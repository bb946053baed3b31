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
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...kernels.attention import CompiledAttention, attended, compiled
from ..activation import silu
from ..precision import at_least_float32
from .memory import KeptKeysValues

KeysValues = Tensor | KeptKeysValues
"""What a layer attends to: (n_molecules, n_atoms, 2 * width), or where growing keeps it."""

Attend = Callable[[Tensor, KeysValues], Tensor]
"""(queries (n_molecules, n_rows, width), keys and values) -> what is attended to."""


@dataclass(frozen=True)
class Sight:
    """What rows see: the first so many atoms of their molecule, each from one frame."""

    pairs: Tensor  # (n_molecules, n_frames, n_atoms, pair_features), how a frame's atom sees every atom
    extent: Tensor  # (n_molecules, n_rows) int64, how many atoms a row sees, at least one
    frame: Tensor | None = None  # (n_molecules, n_rows) int64, from where; None: row i looks from frame i
    states: Tensor | None = None  # (n_molecules, n_rows, n_atoms, n_states), what rows know of atoms beside


class PairAttention(nn.Module):
    """One residual layer: attention with pair features, then a network over each row.

    Args:
        width: features a row.
        n_heads: attention heads.
        pair_features: numbers a pair, states included.
        expansion: hidden width of the network, in multiples of `width`.
    """

    def __init__(self, width: int, n_heads: int, pair_features: int, expansion: int) -> None:
        super().__init__()
        self.norm, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width + n_heads * pair_features, width)
        self.hidden = nn.Linear(width, expansion * width)
        self.back = nn.Linear(expansion * width, width)
        for last in (self.out, self.back):  # every layer begins as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, rows: Tensor, normed: Tensor, keys_values: KeysValues, attend: Attend) -> Tensor:
        """Return the new rows.

        Args:
            rows: (n_molecules, n_rows, width), what attends.
            normed: the same, normalised by `norm`.
            keys_values: what is attended to, out of `key_value`.
            attend: this layer's attention.
        """
        rows = rows + self.out(attend(self.query(normed), keys_values))
        return rows + self.back(silu(self.hidden(self.norm_hidden(rows))))


class PairTransformer(nn.Module):
    """A stack of `PairAttention`; encoder and decoder are one each.

    Args:
        width: features a row.
        n_layers: layers.
        n_heads: attention heads of each.
        pair_features: numbers a pair, states included.
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
        sight: Sight,
        keys_values: Sequence[KeysValues] | None = None,
        remember: Callable[[int, Tensor], KeysValues] | None = None,
    ) -> Tensor:
        """Return (n_molecules, n_rows, width) normalised features.

        Args:
            rows: (n_molecules, n_rows, width).
            sight: what they see.
            keys_values: what each layer attends to; None for the rows themselves.
            remember: takes number and keys and values of a layer's rows, and returns those of all atoms; None where
                the rows are all there is.
        """
        n_states = 0 if sight.states is None else sight.states.shape[-1]
        fits = compiled(sight.pairs, rows.shape[-1], self.shape[1], n_states)
        attention = (_compiled_attention if fits else _attention)(sight, self.bias.weight, self.shape)
        for number, (layer, attend) in enumerate(zip(self._layers(), attention, strict=True)):
            normed = layer.norm(rows)
            if keys_values is not None:
                seen = keys_values[number]
            else:
                own = layer.key_value(normed)
                seen = own if remember is None else remember(number, own)
            rows = layer(rows, normed, seen, attend)
        return self.norm(rows)

    def _layers(self) -> list[PairAttention]:
        return list(self.layers)  # type: ignore[arg-type]  # a ModuleList does not say of what


def _attention(sight: Sight, bias: Tensor, shape: tuple[int, int]) -> list[Attend]:
    """Return the attention of each layer, in torch.

    Args:
        sight: what the rows see.
        bias: (n_layers * n_heads, pair_features and states), makes logits of pairs.
        shape: layers and heads.
    """
    pairs = sight.pairs
    if sight.frame is not None:
        pairs = pairs[torch.arange(len(pairs), device=pairs.device)[:, None], sight.frame]
    if sight.states is not None:
        pairs = torch.cat([pairs, sight.states], -1)
    sees = torch.arange(pairs.shape[2], device=pairs.device) < sight.extent[..., None]
    # All layers' biases in one product; layers and heads go first, so that each layer reads its own in one piece.
    biases = functional.linear(pairs, bias).permute(3, 0, 1, 2)
    biases = at_least_float32(biases).masked_fill(~sees, -torch.inf).unflatten(0, shape).transpose(1, 2)

    def by_head(x: Tensor) -> Tensor:
        return x.unflatten(-1, (shape[1], -1)).transpose(1, 2)

    def of_layer(bias: Tensor) -> Attend:
        def attend(queries: Tensor, keys_values: KeysValues) -> Tensor:
            if isinstance(keys_values, KeptKeysValues):
                keys_values = keys_values.first(pairs.shape[2])
            query, (key, value) = by_head(queries), map(by_head, keys_values.chunk(2, -1))
            logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]) + bias
            weights = logits.softmax(-1).to(query.dtype)
            values = (weights @ value).transpose(1, 2).flatten(2)
            seen = (weights.transpose(1, 2) @ pairs).flatten(2)
            return torch.cat([values, seen.to(values.dtype)], -1)

        return attend

    return [of_layer(of_heads) for of_heads in biases]


def _compiled_attention(sight: Sight, bias: Tensor, shape: tuple[int, int]) -> list[Attend]:
    """Return what `_attention` returns, in C: nothing is gathered or copied, and what a row cannot see is free."""
    pairs = sight.pairs
    n_pair = pairs.shape[-1]
    biases = functional.linear(pairs, bias[:, :n_pair]).unflatten(-1, shape).unbind(3)
    states = None if sight.states is None else sight.states.to(pairs)
    of_states: Sequence[Tensor | None] = [None] * shape[0]
    if states is not None:
        of_states = bias[:, n_pair:].float().unflatten(0, shape).transpose(1, 2).unbind()

    def of_layer(of_pairs: Tensor, of_states: Tensor | None) -> Attend:
        seen = of_pairs.to(pairs), pairs, sight.extent, sight.frame, states, of_states

        def attend(queries: Tensor, keys_values: KeysValues) -> Tensor:
            queries = queries.to(pairs)
            if not isinstance(keys_values, KeptKeysValues):
                return CompiledAttention.apply(queries, keys_values.to(pairs), *seen)
            return attended(queries, keys_values.kept.to(pairs), keys_values.rows, *seen)

        return attend

    return list(map(of_layer, biases, of_states))
