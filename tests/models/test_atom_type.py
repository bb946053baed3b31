from __future__ import annotations

import math

import pytest
import torch

from atomweave.models.heads.affine_flow import Gaussian
from atomweave.models.heads.atom_type import DequantisedConfig, DequantisedType, argmax_log_probs


def gaussian(means: list[float], stds: list[float]) -> Gaussian:
    return Gaussian(torch.tensor([means]).double(), torch.tensor([stds]).double().log())


@pytest.mark.parametrize(
    ("means", "stds"),
    [
        ([0.45, 1.2, 0.45, 0.45, 0.45], [0.26, 0.4, 0.26, 0.2, 0.1]),
        ([0.0, 0.0, 0.3], [1.0, 0.01, 3.0]),
        ([0.5, 0.50001, -40.0], [1e-5, 2e-5, 30.0]),
    ],
)
def test_probability_of_the_largest_against_monte_carlo(means, stds):
    log_p = argmax_log_probs(gaussian(means, stds))[0]
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-9)
    n = 200_000
    uniforms = torch.rand(n, len(means), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.bincount(gaussian(means, stds).draw(uniforms, 1.0).argmax(1), minlength=len(means))
    error = (log_p.exp() * (1 - log_p.exp()) / n).sqrt()
    assert ((counts / n - log_p.exp()).abs() <= 5 * error + 1e-9).all()


def test_probability_of_the_larger_of_two_is_in_closed_form_far_into_the_tail():
    """P(x_0 > x_1) = Phi((mu_0 - mu_1) / sqrt(sigma_0^2 + sigma_1^2))."""
    for means, stds in (([1.0, 0.2], [0.3, 0.5]), ([0.0, 5.0], [0.3, 0.4]), ([0.0, 3.0], [0.01, 0.2])):
        log_p = argmax_log_probs(gaussian(means, stds))[0, 0]
        z = torch.tensor((means[0] - means[1]) / math.hypot(*stds), dtype=torch.float64)
        assert float(log_p) == pytest.approx(float(torch.special.log_ndtr(z)), rel=1e-6, abs=1e-9)


def test_loss_without_noise_is_the_mean_over_the_noise():
    torch.manual_seed(0)
    head = DequantisedType(DequantisedConfig(width=8), 4, 5).double()
    with torch.no_grad():
        head.flow.bias.normal_(std=0.3)
    condition = torch.randn(3, 4, dtype=torch.float64)
    species = torch.tensor([0, 1, 4])
    n = 20_000
    noise = torch.rand(n * 3, 5, generator=torch.Generator().manual_seed(1))
    noisy = head.divergence(condition.repeat(n, 1), species.repeat(n), noise).view(n, 3)
    exact = head.divergence(condition, species, None)
    assert ((noisy.mean(0) - exact).abs() < 5 * noisy.std(0) / math.sqrt(n)).all()


def test_untrained_loss_is_half_the_mean_square():
    """The flow begins as the identity, so that each number costs x^2 / 2 and the constant (F 7.3)."""
    head = DequantisedType(DequantisedConfig(), 4, 5).double()
    loss = head.divergence(torch.zeros(1, 4, dtype=torch.float64), torch.tensor([2]), None)
    square = 4 * 0.9**2 / 3 + (1.9**3 - 1) / (3 * 0.9)  # of four uniform numbers below 0.9 and one in (1, 1.9)
    assert float(loss.detach()) == pytest.approx(square / 2 + 2.5 * math.log(2 * math.pi), abs=1e-6)


def test_low_temperature_draws_the_mode():
    head = DequantisedType(DequantisedConfig(), 1, 3).double()
    with torch.no_grad():
        head.flow.bias[0, 3:] = torch.tensor([-0.1, -0.5, -0.2])  # t = -mu of a single shift
    uniforms = torch.rand(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    condition = torch.zeros(200, 1, dtype=torch.float64)
    assert len(head.draw(condition, uniforms, 1.0).unique()) == 3
    assert (head.draw(condition, uniforms, 0.01) == 1).all()
