"""Counter-based randomness: every draw is a pure function of a key and a counter, never of what was drawn before.

`fold_in` names a stream ("train" at step 7); `generator` turns it into a torch generator for work that is done once
per step; `uniforms` gives each molecule of a batch its own stream (Philox 4x32-10, Salmon et al., SC 2011), so that
what a molecule draws does not depend on which others are grown beside it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def fold_in(seed: int, *parts: int | str) -> int:
    """Return a 63-bit key for the stream named by `seed` and `parts`, e.g. `fold_in(0, "train", step)`."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (int(seed), *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *parts: int | str) -> torch.Generator:
    """Return a torch CPU generator for the stream `fold_in(seed, *parts)`."""
    import torch

    return torch.Generator().manual_seed(fold_in(seed, *parts))


def uniforms(key: int, stream: np.ndarray, step: np.ndarray, n_draws: int) -> np.ndarray:
    """Return uniform numbers in (0, 1), each a function of (key, stream, step, draw) alone.

    Args:
        key: from `fold_in`.
        stream: (n,) integers in [0, 2^32), e.g. molecule indices.
        step: (n,) integers in [0, 2^32), e.g. how many decisions the molecule has taken.
        n_draws: how many numbers each stream gets at this step.

    Returns:
        (n, n_draws) float64, odd multiples of 2^-53: never 0 and never 1.
    """
    stream, step = np.asarray(stream, np.uint64), np.asarray(step, np.uint64)
    n_blocks = (n_draws + 1) // 2  # a Philox block holds 128 bits: two doubles
    counter = [
        np.broadcast_to(np.arange(n_blocks, dtype=np.uint64)[None, :], (len(stream), n_blocks)),
        np.broadcast_to(step[:, None], (len(stream), n_blocks)),
        np.broadcast_to(stream[:, None], (len(stream), n_blocks)),
        np.zeros((len(stream), n_blocks), np.uint64),
    ]
    words = _philox(counter, key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF)
    high = np.stack([words[0], words[2]], -1)
    low = np.stack([words[1], words[3]], -1)
    # 52 bits and a half: with 53 the largest would round to 1.
    bits = (high << np.uint64(20)) | (low >> np.uint64(12))
    return ((bits.astype(np.float64) + 0.5) * 2.0**-52).reshape(len(stream), 2 * n_blocks)[:, :n_draws]


def _philox(counter: list[np.ndarray], key_0: int, key_1: int) -> list[np.ndarray]:
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = counter
    for _ in range(10):
        product_0, product_1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product_1 >> shift) ^ c1 ^ np.uint64(key_0),
            product_1 & mask,
            (product_0 >> shift) ^ c3 ^ np.uint64(key_1),
            product_0 & mask,
        )
        key_0, key_1 = (key_0 + 0x9E3779B9) & 0xFFFFFFFF, (key_1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]
