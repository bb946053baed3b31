from __future__ import annotations

import torch
from torch.nn import functional

from atomweave.models.heads.attention import FragmentAttention


def test_it_is_attention_with_keys_and_values_of_every_atom():
    torch.manual_seed(0)
    attention = FragmentAttention(n_query=24, width=12, n_heads=3).double()
    query = torch.randn(4, 24, dtype=torch.float64)
    features = torch.randn(4, 6, 12, dtype=torch.float64)
    placed = torch.arange(6) < torch.tensor([[1], [6], [3], [2]])
    heads = [
        part(x).unflatten(-1, (3, 4)).transpose(1, 2)
        for part, x in ((attention.query, query[:, None]), (attention.key, features), (attention.value, features))
    ]
    plain = functional.scaled_dot_product_attention(*heads, attn_mask=placed[:, None, None])
    expected = attention.out(plain.transpose(1, 2).flatten(2)[:, 0])
    torch.testing.assert_close(attention(query, features, placed), expected)
