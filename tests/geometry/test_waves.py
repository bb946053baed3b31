"""Spherical waves against scipy, at distances where closed forms have lost every digit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import spherical_jn

from atomweave.geometry.waves import bessel_zeros, radial_waves, spherical_bessel, wave_harmonics
from reference.spherenet import ZEROS, bessel, harmonics


def test_bessel_functions_are_accurate_everywhere() -> None:
    x = torch.cat([torch.tensor([0.0]), torch.logspace(-6, math.log10(40), 2000, dtype=torch.float64)])
    values = spherical_bessel(torch.arange(8)[:, None], x)
    for l in range(8):
        expected = spherical_jn(l, x.numpy())
        assert np.abs(values[l].numpy() - expected).max() <= 1e-13
        small = (x > 0) & (x < 3)
        assert (values[l][small] / torch.from_numpy(expected)[small] - 1).abs().max() <= 1e-12


def test_zeros() -> None:
    assert torch.allclose(bessel_zeros(7, 6), torch.tensor(ZEROS, dtype=torch.float64), rtol=1e-13, atol=0)
    assert bessel_zeros(7, 6)[1, 0].item() == pytest.approx(4.4934, abs=5e-5)
    assert bessel_zeros(7, 6)[6, 0].item() == pytest.approx(10.5128, abs=5e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
def test_radial_waves_from_a_clash_to_the_cutoff(dtype: torch.dtype, tolerance: float) -> None:
    distances = torch.linspace(0.05, 5.0, 300).to(dtype)
    expected = np.stack([bessel(d, 5.0) for d in distances.tolist()])
    waves = radial_waves(distances, 7, 6, 5.0)
    assert waves.dtype == dtype
    assert np.abs(waves.numpy() - expected).max() <= tolerance * np.abs(expected).max()


def test_harmonics_are_ordered_and_signed_as_published() -> None:
    rng = np.random.default_rng(0)
    for theta, phi in zip(rng.uniform(0, math.pi, 20), rng.uniform(0, 2 * math.pi, 20), strict=True):
        direction = [math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)]
        values = wave_harmonics(torch.tensor(direction, dtype=torch.float64), 7)
        assert np.abs(values.numpy() - harmonics(theta, phi)).max() <= 1e-13
