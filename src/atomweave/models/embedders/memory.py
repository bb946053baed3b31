"""What causal embedders keep of growing fragments: an atom is encoded once, when it is placed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeptKeysValues:
    """What one layer attends to, where it is kept: attention reads it there, for copies cost as much as all heads."""

    kept: Tensor  # (n_fragments, max_atoms, 2 * width)
    rows: Tensor  # (n_rows,) int64, the fragments that are meant

    def first(self, n: int) -> Tensor:
        """Return a copy for the first `n` atoms, (n_rows, n, 2 * width)."""
        return self.kept[:, :n].index_select(0, self.rows)


@dataclass(frozen=True)
class AtomMemory:
    """Encoded atoms, and the keys and values of every layer that attends to them."""

    atoms: Tensor  # (n_fragments, max_atoms, width)
    keys_values: Tensor  # (n_layers, n_fragments, max_atoms, 2 * width), encoder layers first, then decoder layers
    n_encoded: Tensor  # (n_fragments,) int64, how many atoms of each are known
    rows: Tensor  # (n_rows,) int64, the fragments that are meant

    @classmethod
    def empty(cls, n_fragments: int, max_atoms: int, n_layers: int, like: Tensor) -> AtomMemory:
        """Return room for fragments, in type and place of `like` (..., width)."""
        width = like.shape[-1]
        # Zeros: what attention masks out is still multiplied by its weight of zero, and may not be infinite.
        return cls(
            like.new_zeros(n_fragments, max_atoms, width),
            like.new_zeros(n_layers, n_fragments, max_atoms, 2 * width),
            torch.zeros(n_fragments, dtype=torch.int64, device=like.device),
            torch.arange(n_fragments, device=like.device),
        )

    def of(self, rows: Tensor) -> AtomMemory:
        """Return the same memory, of some of the fragments."""
        return replace(self, rows=self.rows[rows])

    def put(self, layer: int, atoms: Tensor, values: Tensor) -> KeptKeysValues:
        """Store keys and values (n_rows, n_new, 2 * width) of a layer; return those of all its atoms."""
        kept = self.keys_values[layer]
        place = self.rows[:, None] * kept.shape[1] + atoms
        kept.view(-1, kept.shape[2]).index_copy_(0, place.flatten(), values.flatten(0, 1).to(kept))
        return KeptKeysValues(kept, self.rows)

    def read(self, first_layer: int) -> list[KeptKeysValues]:
        """Return keys and values of the layers from `first_layer` on."""
        return [KeptKeysValues(kept, self.rows) for kept in self.keys_values[first_layer:].unbind()]
