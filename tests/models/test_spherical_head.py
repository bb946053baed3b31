from __future__ import annotations

import itertools
import math

import pytest
import torch

from atomweave.models.base import Temperatures
from atomweave.models.heads.affine_flow import Gaussian
from atomweave.models.heads.mixtures import OnCircle
from atomweave.models.heads.spherical import Placement

EVERY = torch.arange(1)
NONE = torch.arange(0)


def number(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


def placement(distance: tuple, angle: tuple, torsion: tuple, angle_rows=EVERY, torsion_rows=EVERY) -> Placement:
    """Return one row of Gaussians, (mean, standard deviation) each."""
    gaussians = [Gaussian(number(mean), number(std).log()) for mean, std in (distance, angle, torsion)]
    gaussians[1] = Gaussian(gaussians[1].mean[angle_rows], gaussians[1].log_std[angle_rows])
    gaussians[2] = Gaussian(gaussians[2].mean[torsion_rows], gaussians[2].log_std[torsion_rows])
    return Placement(*gaussians, angle_rows, torsion_rows)


def normal(x: float, mean: float, std: float) -> float:
    return math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def test_narrow_gaussians_are_the_published_density_over_the_volume():
    p = placement((1.1, 0.01), (1.9, 0.05), (3.0, 0.1))
    at = number(1.09), number(1.95), number(3.1)
    volume = 2 * math.log(1.09) + math.log(math.sin(1.95))
    assert float(p.log_density(*at)) == pytest.approx(float(p.log_density_as_published(*at)) - volume, abs=1e-9)


def test_density_is_the_sum_over_all_preimages():
    """Both signs of d, both sides of theta, all turns: by brute force over everything a Gaussian can draw."""
    parts = (0.5, 0.6), (2.9, 0.9), (6.0, 2.0)
    d, theta, phi = 0.8, 2.2, 4.0
    total = 0.0
    for sign, side in itertools.product((1, -1), (1, -1)):
        polar = theta if sign == 1 else math.pi - theta
        azimuth = phi + (math.pi if sign == -1 else 0.0) + (math.pi if side == -1 else 0.0)
        for m, k in itertools.product(range(-6, 7), range(-6, 7)):
            total += (
                normal(sign * d, *parts[0])
                * normal(side * polar + 2 * math.pi * m, *parts[1])
                * normal(azimuth + 2 * math.pi * k, *parts[2])
            )
    expected = math.log(total / (d * d * math.sin(theta)))
    assert float(placement(*parts).log_density(number(d), number(theta), number(phi))) == pytest.approx(expected)


@pytest.mark.parametrize(("angle_rows", "free"), [(EVERY, 2 * math.pi), (NONE, 4 * math.pi)])
def test_what_is_free_is_uniform(angle_rows, free):
    p = placement((1.1, 0.01), (1.9, 0.05), (3.0, 0.1), angle_rows, NONE)
    log_p = float(p.log_density(number(1.1), number(1.9), number(0.3)))
    assert log_p == pytest.approx(float(p.log_density(number(1.1), number(1.9), number(5.0))))
    of_angle = normal(1.9, 1.9, 0.05) / math.sin(1.9) if len(angle_rows) else 1.0
    assert log_p == pytest.approx(math.log(normal(1.1, 1.1, 0.01) * of_angle / (1.1**2 * free)))


def test_each_coordinate_has_its_temperature_and_the_free_ones_none():
    p = placement((1.1, 0.1), (1.9, 0.2), (3.0, 0.3))
    uniforms = torch.tensor([[0.9, 0.9, 0.9]], dtype=torch.float64)
    one = torch.cat(p.draw(uniforms, Temperatures()))
    modes = torch.tensor([1.1, 1.9, 3.0], dtype=torch.float64)
    cold = torch.cat(p.draw(uniforms, Temperatures(distance=0.3, angle=0.4, position=2.0)))
    factors = torch.tensor([0.3, 0.4, 2.0], dtype=torch.float64)
    torch.testing.assert_close(cold - modes, factors * (one - modes))
    free = placement((1.1, 0.1), (1.9, 0.2), (3.0, 0.3), NONE, NONE)
    for temperature in (1.0, 0.1):
        _, angle, torsion = free.draw(uniforms, Temperatures(position=temperature))
        assert float(angle.cos()) == pytest.approx(1 - 2 * 0.9)
        assert float(torsion) == pytest.approx(2 * math.pi * 0.9)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_around_the_circle_follow_the_tempered_mixture(temperature):
    rows = 2_000
    log_weights, means = torch.tensor([0.7, 0.3]).log(), torch.tensor([0.1, 3.0])
    mixture = OnCircle(*(x.double().expand(rows, 2) for x in (log_weights, means, torch.tensor([0.3, 0.5]).log())))
    uniforms = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    drawn = mixture.draw(uniforms, temperature).remainder(2 * math.pi)
    edges = torch.linspace(0, 2 * math.pi, 25, dtype=torch.float64)
    middles = (torch.arange(1200, dtype=torch.float64) + 0.5) / 1200 * 2 * math.pi
    one = OnCircle(*(x[:1] for x in (mixture.log_weights, mixture.means, mixture.log_stds)))
    mass = (one.log_density(middles[None])[0] / temperature).softmax(0).view(24, 50).sum(1)
    counts = torch.histogram(drawn, edges).hist
    assert (counts / rows - mass).abs().max() < 2e-3
