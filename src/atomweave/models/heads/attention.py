"""What a fragment amounts to as seen by one query: multi-head attention over its atoms (equation 11)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..precision import at_least_float32


class FragmentAttention(nn.Module):
    """Attention of a single query a fragment; no residual, no normalisation.

    With one query, keys and values need never be computed atom by atom: q . (K h + b) = (K^T q) . h + q . b, and the
    weighted mean of V h + b is V (weighted mean of h) + b.

    Args:
        n_query: width of the query; the published code asks with all local features, the paper prints the focus alone.
        width: of the atoms' features and of the answer.
        n_heads: divides the width.
    """

    def __init__(self, n_query: int, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(n_query, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, query: Tensor, features: Tensor, placed: Tensor) -> Tensor:
        """Return (n_rows, width).

        Args:
            query: (n_rows, n_query).
            features: (n_rows, n_atoms, width).
            placed: (n_rows, n_atoms) bool, the atoms that a fragment has, at least one.
        """
        q = self.query(query).unflatten(1, (self.n_heads, -1))
        keys, values = (part.weight.unflatten(0, (self.n_heads, -1)) for part in (self.key, self.value))
        asked = torch.einsum("nhd,hdc->nhc", q, keys)
        # The keys' bias adds the same to all atoms of a head: attention does not see it.
        offset = torch.einsum("nhd,hd->nh", q, self.key.bias.unflatten(0, (self.n_heads, -1)))
        scores = torch.einsum("nhc,nac->nha", asked, features.to(asked.dtype)) + offset[..., None]
        scores = at_least_float32(scores) * q.shape[2] ** -0.5
        weights = scores.masked_fill(~placed[:, None], -torch.inf).softmax(-1)
        seen = torch.einsum("nha,nac->nhc", weights.to(features.dtype), features)
        value = torch.einsum("nhc,hdc->nhd", seen, values).flatten(1) + self.value.bias
        return self.out(value)
