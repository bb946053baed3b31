"""Drawing on the sphere by rings: the compiled kernel draws the very points that the whole grid gives."""

from __future__ import annotations

import pytest
import torch

from atomweave.geometry.sphere import grid_harmonics, ring_series
from atomweave.kernels.directions import compiled
from atomweave.kernels.library import library
from atomweave.models.heads.angular import AngularConfig, draw_direction, draw_directions, tempered_grid_logits


def test_harmonics_on_rings_are_fourier_series() -> None:
    amplitudes, waves = ring_series(20, 23, 4)
    rebuilt = (amplitudes @ waves).flatten(1)
    assert torch.allclose(rebuilt, grid_harmonics(20, 23, 4), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("temperature", "tempering"), [(1.0, "exact"), (0.5, "coefficients"), (0.5, "exact")])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_compiled_kernel_draws_the_same_directions(temperature: float, tempering: str, channels: int) -> None:
    config = AngularConfig(n_polar_drawing=60, n_azimuth_drawing=119)
    rng = torch.Generator().manual_seed(0)
    coefficients = torch.randn(400, channels, 25, generator=rng) * torch.rand(400, 1, 1, generator=rng) * 5
    assert compiled(coefficients) == (library() is not None)
    uniforms = torch.rand(400, 3, generator=rng, dtype=torch.float64)
    drawn = draw_directions(coefficients, config, temperature, tempering, uniforms)
    logits = tempered_grid_logits(coefficients, grid_harmonics(60, 119, 4).float(), config, temperature, tempering)
    # One draw in some ten thousand falls on a border that rounding moves.
    moved = (drawn - draw_direction(logits, config, uniforms)).norm(dim=1) > 1e-5
    assert moved.sum() <= 1
