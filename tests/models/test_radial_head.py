"""Densities of the bond length: exact, normalised, and followed by the draws."""

import numpy as np
import pytest
import torch
from scipy import stats

from atomweave.models.heads import radial
from atomweave.models.heads.radial import RadialConfig

SMALLEST_P = 1e-6


def _case(kind: str, scale: float = 1.5) -> tuple[RadialConfig, torch.Tensor]:
    config = RadialConfig(kind=kind, n_components=12)
    rng = torch.Generator().manual_seed(5)
    return config, scale * torch.randn(4, config.n_parameters, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["mixture", "spline"])
def test_density_is_the_derivative_of_a_cumulative_that_ends_at_one(kind: str) -> None:
    config, parameters = _case(kind)
    r = torch.linspace(config.minimum, config.maximum, 24_001, dtype=torch.float64)
    r = r.expand(4, -1).clone().requires_grad_()
    level = radial.cumulative(parameters[:, None], r, config)
    assert torch.allclose(level[:, [0, -1]], torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-9)
    assert (level.diff(dim=1) >= -1e-15).all()
    (slope,) = torch.autograd.grad(level.sum(), r)
    density = radial.log_density(parameters[:, None], r, config).exp()
    assert torch.allclose(density[:, 1:-1], slope[:, 1:-1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["mixture", "spline"])
def test_nothing_lies_outside_the_interval(kind: str) -> None:
    config, parameters = _case(kind)
    outside = torch.tensor([config.minimum - 0.01, config.maximum + 0.01], dtype=torch.float64)
    assert torch.isneginf(radial.log_density(parameters[:1].expand(2, -1), outside, config)).all()


@pytest.mark.parametrize("kind", ["mixture", "spline"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_follow_the_density_at_its_temperature(kind: str, temperature: float) -> None:
    config, parameters = _case(kind)
    n = 20_000 if temperature == 1.0 else 2_000  # a tempered row is tabulated, which takes longer
    uniforms = torch.rand(n, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    drawn = radial.draw(parameters[:1].expand(n, -1), uniforms, config, temperature)
    r = torch.linspace(config.minimum, config.maximum, 24_001, dtype=torch.float64)
    middles = (r[1:] + r[:-1]) / 2
    mass = torch.softmax(radial.log_density(parameters[:1].expand(24_000, -1), middles, config) / temperature, 0)
    level = torch.cat([torch.zeros(1, dtype=torch.float64), mass.cumsum(0)])

    def cumulative(x: np.ndarray) -> np.ndarray:
        position = ((torch.from_numpy(x) - config.minimum) / (r[1] - r[0])).clamp(0, 24_000)
        left = position.long().clamp(max=23_999)
        return (level[left] + (position - left) * mass[left]).numpy()

    assert stats.kstest(drawn.numpy(), cumulative).pvalue > SMALLEST_P
    # The test notices a density that is off by 2 %: stretched about the lower end.
    stretched = config.minimum + (drawn - config.minimum) * 1.02
    assert stats.kstest(stretched.numpy(), cumulative).pvalue < SMALLEST_P


@pytest.mark.parametrize("kind", ["mixture", "spline"])
def test_gradients_are_finite_at_the_ends_and_far_parameters(kind: str) -> None:
    config, parameters = _case(kind, scale=8.0)
    parameters.requires_grad_()
    ends = torch.tensor([config.minimum + 1e-6, config.maximum - 1e-6, 1.1, 1.5], dtype=torch.float64)
    radial.log_density(parameters, ends, config).sum().backward()
    assert torch.isfinite(parameters.grad).all()
