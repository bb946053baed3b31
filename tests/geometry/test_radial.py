"""Radial bases against their definitions."""

import math

import torch

from atomweave.geometry.radial import bessel_basis, cosine_cutoff, gaussian_basis, polynomial_envelope

DISTANCES = torch.tensor([1e-6, 0.7, 1.5, 4.999, 5.0, 6.0], dtype=torch.float64)


def test_bessel_functions() -> None:
    x = DISTANCES / 5.0
    basis = bessel_basis(DISTANCES, 8, 5.0)
    for n in range(1, 9):
        assert torch.allclose(basis[:, n - 1], math.sqrt(2) * torch.sin(n * math.pi * x) / x, rtol=1e-9, atol=1e-9)


def test_bessel_functions_are_finite_at_zero() -> None:
    basis = bessel_basis(torch.zeros(1, dtype=torch.float64), 8, 5.0)[0]
    expected = math.sqrt(2) * math.pi * torch.arange(1, 9, dtype=torch.float64)
    assert torch.allclose(basis, expected)


def test_gaussians_stand_on_equally_spaced_centres() -> None:
    centres = torch.arange(1, 9, dtype=torch.float64) * 5 / 9
    basis = gaussian_basis(centres, 8, 5.0)
    assert torch.allclose(basis.diagonal(), torch.full((8,), 1 / 1.12, dtype=torch.float64))
    assert torch.allclose(basis[0, 1], torch.tensor(math.exp(-1) / 1.12, dtype=torch.float64))


def test_cutoffs_end_smoothly() -> None:
    assert cosine_cutoff(DISTANCES, 5.0)[-2:].tolist() == [0.0, 0.0]
    near = torch.tensor([4.9999], dtype=torch.float64)
    assert 0 < cosine_cutoff(near, 5.0).item() < 1e-8
    assert abs(polynomial_envelope(near, 5.0).item()) < 1e-10
    assert polynomial_envelope(DISTANCES, 5.0)[-2:].abs().max() < 1e-12
    assert polynomial_envelope(torch.zeros(1), 5.0).item() == 1.0
