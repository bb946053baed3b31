from __future__ import annotations

import math

import pytest
import torch

from atomweave.models.heads.bins import Bins, circle


@pytest.mark.parametrize("bins", [Bins(0.8, 1.8, 500), Bins(0.0, math.pi, 180), circle(360), Bins(0.0, 1.0, 7)])
@pytest.mark.parametrize("smoothing", [0.0, 0.7, 2.0])
def test_a_window_holds_all_of_a_target(bins, smoothing):
    ends = torch.tensor([bins.low, bins.high - 1e-9, bins.low - 0.3, bins.high + 0.3, bins.low + 2.5 * bins.width])
    rng = torch.Generator().manual_seed(0)
    inside = bins.low + (bins.high - bins.low) * torch.rand(50, generator=rng, dtype=torch.float64)
    x = torch.cat([ends.double(), inside])
    index, share = bins.window(x, smoothing)
    whole = torch.zeros(len(x), bins.n, dtype=torch.float64).scatter_add(1, index, share)
    torch.testing.assert_close(whole, bins.targets(x, smoothing), rtol=1e-9, atol=1e-10)
    assert index.shape[1] < 40, "most bins have no share"
