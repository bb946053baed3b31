from __future__ import annotations

import math

import pytest
import torch
from scipy.special import ndtri

from atomweave.models.heads.affine_flow import AffineFlow, AffineFlowConfig, Gaussian, from_latent, to_latent
from atomweave.models.heads.circle import wrapped_log_density

N_ROWS, N_CONDITION, N_DIMENSIONS = 7, 5, 3


@pytest.fixture
def condition() -> torch.Tensor:
    return torch.randn(N_ROWS, N_CONDITION, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def flow() -> AffineFlow:
    """Return a flow of six layers that are far from the identity."""
    torch.manual_seed(0)
    flow = AffineFlow(AffineFlowConfig(width=8), N_CONDITION, N_DIMENSIONS).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.5)
    return flow


def test_untrained_flow_is_the_identity(condition):
    flow = AffineFlow(AffineFlowConfig(), N_CONDITION, N_DIMENSIONS).double()
    gaussian = flow(condition)
    assert gaussian.mean.abs().max() < 1e-6
    assert gaussian.log_std.abs().max() < 1e-6


def test_inverse_undoes_the_layers(flow, condition):
    layers = flow.layers(condition)
    x = torch.randn(N_ROWS, N_DIMENSIONS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    z, _ = to_latent(x, *layers)
    assert (z - x).abs().min() > 1e-3
    torch.testing.assert_close(from_latent(z, *layers), x)


def test_six_layers_are_one_gaussian(flow, condition):
    """The equivalence: sigma and mu by their formula, and the density that the layers and their Jacobian give."""
    scale, shift = flow.layers(condition)
    gaussian = flow(condition)
    mean = torch.zeros(N_ROWS, N_DIMENSIONS, dtype=torch.float64)
    for layer in range(6):
        mean -= shift[:, layer] * (-scale[:, :layer].sum(1)).exp()
    torch.testing.assert_close(gaussian.mean, mean)
    torch.testing.assert_close(gaussian.log_std, -scale.sum(1))
    x = torch.randn(N_ROWS, N_DIMENSIONS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    z, log_det = to_latent(x, scale, shift)
    by_layers = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) + log_det
    torch.testing.assert_close(gaussian.log_density(x), by_layers)


def test_log_det_is_that_of_the_jacobian(flow, condition):
    scale, shift = flow.layers(condition[:1])
    x = torch.randn(1, N_DIMENSIONS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    jacobian = torch.autograd.functional.jacobian(lambda x: to_latent(x[None], scale, shift)[0][0], x[0])
    _, log_det = to_latent(x, scale, shift)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_det.sum())


def test_scales_reach_the_width_of_a_bond(condition):
    """|s_l| < 1 in each of six layers: C-H bonds vary by 0.007 Å, log sigma = -5."""
    flow = AffineFlow(AffineFlowConfig(), N_CONDITION).double()
    with torch.no_grad():
        flow.bias[:, 0] = 10.0
    assert float(flow(condition).log_std.detach().max()) == pytest.approx(-6, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_temperature_is_the_standard_deviation_of_the_prior(temperature):
    gaussian = Gaussian(torch.tensor(1.5), torch.tensor(math.log(0.2)))
    uniforms = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    drawn = gaussian.draw(uniforms, temperature)
    assert float(drawn.mean()) == pytest.approx(1.5, abs=1e-6)
    assert float(drawn.std()) == pytest.approx(0.2 * temperature, rel=1e-4)


def test_draws_are_right_in_the_tails():
    """Quantiles of the normal distribution: 1e-12 and 1e-300 lie 7.034 and 37.047 standard deviations out."""
    drawn = Gaussian(torch.zeros(()), torch.zeros(())).draw(torch.tensor([1e-12, 1e-300], dtype=torch.float64), 1.0)
    assert drawn.tolist() == pytest.approx([float(ndtri(1e-12)), float(ndtri(1e-300))], rel=1e-12)


@pytest.mark.parametrize("std", [0.01, 0.5, 1.49, 1.51, 3.0, 8.0, 500.0])
def test_wrapped_density_integrates_to_one_and_has_no_seam(std):
    x = 2 * math.pi * (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    mean, log_std = torch.tensor(6.2, dtype=torch.float64), torch.tensor(math.log(std), dtype=torch.float64)
    density = wrapped_log_density(x, mean, log_std).exp()
    assert float(density.mean()) * 2 * math.pi == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(wrapped_log_density(x + 4 * math.pi, mean, log_std).exp(), density)
    turns = 2 * math.pi * torch.arange(-2000, 2001, dtype=torch.float64)
    plain = Gaussian(mean, log_std).log_density(x[::4000, None] + turns).logsumexp(1)
    torch.testing.assert_close(wrapped_log_density(x[::4000], mean, log_std), plain, rtol=1e-8, atol=1e-8)


def test_without_the_log_determinant_scales_diverge():
    """Algorithm 2 as printed adds log p(z) alone, which is largest where everything is mapped to z = 0.

    With the log-determinant of equation 1 the scale settles at that of the data; with the Jacobian the other way round,
    as equation 12 prints it, it diverges faster still.
    """
    data = 1.5 + 0.1 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    condition = torch.ones(1, 1, dtype=torch.float64)

    def fitted(weight_of_log_det: float) -> float:
        torch.manual_seed(0)
        flow = AffineFlow(AffineFlowConfig(n_layers=2, width=2), 1).double()
        optimizer = torch.optim.Adam(flow.parameters(), lr=0.03)
        for _ in range(300):
            z, log_det = to_latent(data, *flow.layers(condition))
            optimizer.zero_grad()
            (0.5 * z.square().mean() - weight_of_log_det * log_det.mean()).backward()
            optimizer.step()
        return float(flow(condition).log_std.detach().exp())

    assert fitted(1.0) == pytest.approx(float(data.std()), rel=0.02)
    assert fitted(0.0) > 20 * float(data.std())
    assert fitted(-1.0) > 100 * float(data.std())
