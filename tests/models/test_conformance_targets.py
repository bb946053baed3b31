"""Constants of Symphony's targets and losses, measured from the published definition, and what the losses must obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from atomweave.geometry.harmonics import spherical_harmonics
from atomweave.geometry.sphere import delta_logits, grid_harmonics, log_integral, peak_target, sphere_grid
from atomweave.models.embedders.equivariant import SECOND_MOMENT
from atomweave.models.heads.angular import AngularConfig
from atomweave.models.heads.shells import ShellHead, ShellHeadConfig
from reference.conventions import SECOND_MOMENTS
from reference.heads import log_normaliser, position_logits
from reference.losses import angular_logits, angular_target, legendre
from reference.sphere import product_grid

DIGITS = 1e-5  # the facts give entropies and logarithms to five decimals or fewer
ANGULAR_ENTROPY = -3.35746
LAMBDA = (1, 0.997961, 0.993895, 0.987829, 0.979798, 0.969852)


@pytest.fixture(scope="module")
def target_on_nodes() -> tuple[Tensor, Tensor]:
    """Cosines of 400 Gauss-Legendre nodes and the target's probability on the ring at each."""
    cosine, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(400))
    mass = torch.exp(angular_logits(cosine) - angular_logits(torch.ones(1))) * weights
    return cosine, mass / mass.sum()


def directions(n: int) -> Tensor:
    vectors = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return vectors / vectors.norm(dim=1, keepdim=True)


def shell_head(coefficients: Tensor) -> ShellHead:
    """A head that has these coefficients (n_rows, n_radii, channels, n_harmonics), whatever the features."""
    angular = AngularConfig(channels=coefficients.shape[2])
    head = ShellHead(
        ShellHeadConfig(angular=angular), channels=1, lmax=math.isqrt(coefficients.shape[3]) - 1, n_species=1
    )
    head.coefficients = lambda features, species: coefficients
    return head


def divergence(coefficients: Tensor, vectors: Tensor) -> Tensor:
    species = torch.zeros(len(vectors), dtype=torch.int64)
    return shell_head(coefficients).divergence([], species, vectors, None)["position"]


def on_shell(vectors: Tensor, shell: int) -> Tensor:
    return vectors * torch.linspace(0.9, 2.0, 64, dtype=torch.float64)[shell]


def test_peak_logit_and_normaliser(target_on_nodes: tuple[Tensor, Tensor]) -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert delta_logits(one, 20.0, 5).item() == pytest.approx(57.296, abs=5e-4)
    peak = 20 / (4 * math.pi) * spherical_harmonics(directions(1), 5)
    weights = sphere_grid(180, 359).weights
    assert log_integral(peak, grid_harmonics(180, 359, 5), weights).item() == pytest.approx(52.9272, abs=1e-4)
    assert torch.exp(delta_logits(one, 20.0, 5) - 52.92723).item() == pytest.approx(78.92, abs=1e-2)


def test_entropy_of_the_angular_target() -> None:
    assert peak_target(20.0, 5).entropy == pytest.approx(ANGULAR_ENTROPY, abs=DIGITS)
    grid = product_grid(180, 359)
    g = angular_target(directions(1)[0], grid)
    assert -(torch.xlogy(g, g) * grid.weights).sum().item() == pytest.approx(ANGULAR_ENTROPY, abs=DIGITS)


@pytest.mark.parametrize("degree", range(6))
def test_mean_legendre_polynomials(degree: int, target_on_nodes: tuple[Tensor, Tensor]) -> None:
    cosine, probability = target_on_nodes
    assert (probability * legendre(cosine, degree)).sum().item() == pytest.approx(LAMBDA[degree], abs=1e-6)
    cap = peak_target(20.0, 5)
    assert (cap.probabilities * legendre(cap.points[:, 1], degree)).sum().item() == pytest.approx(
        LAMBDA[degree], abs=DIGITS
    )


@pytest.mark.parametrize(
    ("degree", "moment"), [(50, 0.077), (60, 0.026), (70, 7e-3), (80, 1.7e-3), (90, 3.4e-4), (100, 5.7e-5)]
)
def test_moments_that_set_the_quadrature(degree: int, moment: float, target_on_nodes: tuple[Tensor, Tensor]) -> None:
    cosine, probability = target_on_nodes
    assert (probability * legendre(cosine, degree)).sum().item() == pytest.approx(moment, rel=0.04)


def test_angles_of_the_target(target_on_nodes: tuple[Tensor, Tensor]) -> None:
    cosine, probability = target_on_nodes
    degrees = torch.rad2deg(torch.acos(cosine))
    assert (probability * degrees).sum().item() == pytest.approx(3.24, abs=5e-3)
    assert (probability * degrees.square()).sum().sqrt().item() == pytest.approx(3.66, abs=5e-3)
    assert probability[degrees > 10].sum().item() == pytest.approx(7e-4, rel=0.1)


def test_uniform_model_with_the_target_on_a_shell() -> None:
    vectors = on_shell(directions(3), 20)
    kl = divergence(torch.zeros(3, 64, 2, 36, dtype=torch.float64), vectors)
    assert kl.tolist() == pytest.approx([10.0474] * 3, abs=1e-4)
    assert kl.tolist() == pytest.approx([math.log(4 * math.pi) + math.log(64) - ANGULAR_ENTROPY] * 3, abs=DIGITS)


@pytest.mark.parametrize("distance", [1.1, 1.2345, 1.5])
def test_floor_of_a_single_atom(distance: float) -> None:
    """No direction is preferred around a lone atom: with the right radii, ln 4 pi - H_ang is what is left."""
    vectors = distance * directions(1)
    radii = torch.linspace(0.9, 2.0, 64, dtype=torch.float64)
    coefficients = torch.zeros(1, 64, 1, 36, dtype=torch.float64)
    coefficients[0, :, 0, 0] = -(radii - distance).square() / 2e-5
    assert divergence(coefficients, vectors).item() == pytest.approx(5.89, abs=5e-3)
    assert divergence(coefficients, vectors).item() == pytest.approx(
        math.log(4 * math.pi) - ANGULAR_ENTROPY, abs=DIGITS
    )


@pytest.mark.parametrize("n_channels", [1, 2])
def test_divergence_vanishes_where_the_model_is_the_target(n_channels: int) -> None:
    there = directions(6)
    coefficients = torch.zeros(6, 64, n_channels, 36, dtype=torch.float64)
    coefficients[..., 0] = -1000.0
    peak = 20 / (4 * math.pi) * spherical_harmonics(there, 5)
    coefficients[:, 30] = peak[:, None]
    assert divergence(coefficients, on_shell(there, 30)).abs().max() < 2e-3  # the error of log Z on 45 x 90
    off = divergence(coefficients, on_shell(there, 31))
    assert (off > 100).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_divergence_is_never_negative(scale: float) -> None:
    rng = torch.Generator().manual_seed(0)
    coefficients = scale * torch.randn(20, 64, 2, 36, generator=rng, dtype=torch.float64)
    distances = 0.9 + 1.1 * torch.rand(20, 1, generator=rng, dtype=torch.float64)
    assert divergence(coefficients, distances * directions(20)).min() > -1e-3


def test_teaching_grid_agrees_with_the_published_grid() -> None:
    there = directions(200)
    coefficients = 20 / (4 * math.pi) * spherical_harmonics(there, 5)
    fine = log_integral(coefficients, grid_harmonics(180, 359, 5), sphere_grid(180, 359).weights)
    for n_azimuth in (89, 90):
        coarse = log_integral(coefficients, grid_harmonics(45, n_azimuth, 5), sphere_grid(45, n_azimuth).weights)
        assert (coarse - fine).square().mean().sqrt() < 7e-4
        assert (coarse - fine).abs().max() < 2e-3
    grid = product_grid(180, 359)
    naive = log_normaliser(position_logits(coefficients[:1, None], grid.harmonics(5)), grid)
    assert fine[0].item() == pytest.approx(naive.item(), abs=1e-10)


def test_second_moments_of_the_activations() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    for activation, published in SECOND_MOMENTS.items():
        exact = torch.sqrt((activation(z).square() * density).sum() * (z[1] - z[0])).item()
        assert exact == pytest.approx(published, abs=2e-5)
    assert sorted(SECOND_MOMENT.values()) == sorted(SECOND_MOMENTS.values())
