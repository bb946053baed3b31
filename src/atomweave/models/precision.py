"""Mixed precision: what leaves a wide layer in bfloat16 and enters a sum that decides a density."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32 if it is narrower, else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
