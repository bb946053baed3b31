"""The continuous head while teaching: what it learns must exist."""

import math

import torch

from atomweave.geometry.rotations import random_rotation
from atomweave.models.heads.continuous import ContinuousHead, ContinuousHeadConfig

N_ROWS = 64


def _case(sharpness: float) -> tuple[ContinuousHead, list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return a head and features whose density is a peak of that sharpness at each row's own target."""
    config = ContinuousHeadConfig(n_components=4, width=8)
    head = ContinuousHead(config, channels=1, lmax=1, n_species=1)
    rng = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(N_ROWS, 3, generator=rng), dim=1)
    head.coefficients = lambda features, species, distances: features[1].permute(1, 2, 0)
    peaks = (sharpness * directions).T[:, :, None].clone()
    coefficients = torch.cat([torch.zeros(1, N_ROWS, 1), peaks]).requires_grad_()
    return head, [torch.zeros(1, N_ROWS, 1), coefficients], torch.zeros(N_ROWS, dtype=torch.int64), 1.4 * directions


def _directions_loss(sharpness: float, teaching: bool) -> torch.Tensor:
    head, features, species, vectors = _case(sharpness)
    rotation = random_rotation(torch.Generator().manual_seed(1)) if teaching else None
    return head.divergence(features, species, vectors, rotation)["direction"]


def test_a_peak_that_the_grid_misses_is_not_rewarded_without_bound() -> None:
    # exp(sharpness sqrt(3) cos) is 0.03 degrees wide here: the grid alone makes minus thousands of nats of it.
    assert _directions_loss(3e6, teaching=False).min() < -1e3
    cell = 4 * math.pi / (180 * 359)
    assert (_directions_loss(3e6, teaching=True) >= math.log(cell) - 1e-3).all()


def test_a_peak_that_the_grid_resolves_is_taught_as_it_is_measured() -> None:
    # As sharp as the published target: kappa = 1 / 0.0447^2.
    sharpness = 1 / 0.0447**2 / math.sqrt(3)
    kappa = sharpness * math.sqrt(3)
    exact = math.log(2 * math.pi / kappa) + math.log1p(-math.exp(-2 * kappa))
    assert (_directions_loss(sharpness, teaching=False) - exact).abs().max() < 2e-3
    assert (_directions_loss(sharpness, teaching=True) - exact).abs().max() < 2e-2
