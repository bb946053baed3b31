"""Spherical waves: spherical Bessel functions and real harmonics, as SphereNet (Liu et al. 2022) orders them.

Closed forms of j_l cancel at short range (in float32 j_6 is noise below 0.7 Å at a cutoff of 5 Å), and so does the
recurrence in l from below. Here small arguments take the power series and large ones the recurrence, both in float64.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

_SERIES_BELOW = 3.0
"""Arguments below take the series; from here on the recurrence from below keeps 13 digits up to degree 7."""
_N_TERMS = 16
"""Of the series: at `_SERIES_BELOW` the next term is below 1e-17 of the first."""


def spherical_bessel(n_degrees: int, argument: Tensor) -> Tensor:
    """Return j_l of each argument for l = 0 .. n_degrees - 1 <= 7: float64 (n_degrees, ...), argument >= 0."""
    x = argument.double()
    safe = x.clamp(min=_SERIES_BELOW)
    above = [torch.sin(safe) / safe]
    if n_degrees > 1:
        above.append((above[0] - torch.cos(safe)) / safe)
    for l in range(2, n_degrees):
        above.append((2 * l - 1) / safe * above[-1] - above[-2])
    # A small argument, so that the series of a large one, which is not read, stays finite.
    small = torch.where(x < _SERIES_BELOW, x, 0.0)
    half_square = -0.5 * small.square()
    values, power, odd_factorial = [], torch.ones_like(x), 1.0
    for l in range(n_degrees):
        series = torch.ones_like(x)
        for term in range(_N_TERMS, 0, -1):  # Horner's scheme
            series = 1 + series * half_square / (term * (2 * l + 2 * term + 1))
        values.append(torch.where(x < _SERIES_BELOW, series * power / odd_factorial, above[l]))
        power, odd_factorial = power * small, odd_factorial * (2 * l + 3)
    return torch.stack(values)


@functools.cache
def bessel_zeros(n_degrees: int, n_zeros: int) -> Tensor:
    """Return z_ln, the n-th positive zero of j_l: float64 (n_degrees, n_zeros).

    The zeros of j_l and of j_(l+1) interlace: those of j_0, n pi, bracket those of j_1, and so on.
    """
    zeros = [math.pi * torch.arange(1, n_zeros + n_degrees, dtype=torch.float64)]
    for l in range(1, n_degrees):
        low, high = zeros[-1][:-1].clone(), zeros[-1][1:].clone()
        rising = spherical_bessel(l + 1, high)[l] > 0
        for _ in range(60):  # halvings: an interval of length pi shrinks below rounding
            middle = 0.5 * (low + high)
            right = (spherical_bessel(l + 1, middle)[l] > 0) == rising
            low, high = torch.where(right, low, middle), torch.where(right, middle, high)
        zeros.append(0.5 * (low + high))
    return torch.stack([row[:n_zeros] for row in zeros])


def radial_waves(distances: Tensor, n_degrees: int, n_radial: int, cutoff: float) -> Tensor:
    """Return N_ln j_l(z_ln d / cutoff) with N_ln = (j_(l+1)(z_ln)^2 / 2)^(-1/2), zero at the cutoff.

    Args:
        distances: (...), Å.
        n_degrees: l = 0 .. n_degrees - 1.
        n_radial: n = 1 .. n_radial.
        cutoff: Å.

    Returns:
        (..., n_degrees, n_radial) of the distances' dtype; computed in float64. Without an envelope (Liu et al. 2022).
    """
    zeros = bessel_zeros(n_degrees, n_radial)
    beyond = torch.stack([spherical_bessel(n_degrees + 1, zeros[l])[l + 1] for l in range(n_degrees)])
    scale = (0.5 * beyond.square()).rsqrt().to(distances.device)
    x = (distances.double() / cutoff)[..., None]
    zeros = zeros.to(distances.device)
    waves = [scale[l] * spherical_bessel(l + 1, x * zeros[l])[l] for l in range(n_degrees)]
    return torch.stack(waves, dim=-2).to(distances.dtype)


def wave_harmonics(directions: Tensor, n_degrees: int) -> Tensor:
    """Return real harmonics Y_lm of unit vectors, with the polar axis along z and the azimuth counted from x.

    Quirks of the published SphereNet: the Condon-Shortley sign (-1)^m is kept, and a degree's orders come as
    m = 0, 1 .. l, -l .. -1, where +m goes with cos(m phi) and -m with sin(m phi).

    Args:
        directions: (..., 3).
        n_degrees: l = 0 .. n_degrees - 1.

    Returns:
        (..., n_degrees^2).
    """
    x, y, z = directions.unbind(-1)
    columns: list[Tensor] = [z] * n_degrees**2
    cosine, sine, sectoral = torch.ones_like(z), torch.zeros_like(z), 1.0
    for m in range(n_degrees):
        # Legendre functions without their factor sin(theta)^m, which cosine and sine carry.
        legendre = [torch.full_like(z, sectoral)]
        for l in range(m + 1, n_degrees):
            before = legendre[-2] if l > m + 1 else torch.zeros_like(z)
            legendre.append(((2 * l - 1) * z * legendre[-1] - (l + m - 1) * before) / (l - m))
        for l in range(m, n_degrees):
            norm = harmonic_norm(l, m)
            columns[l * l + m] = norm * legendre[l - m] * cosine
            if m > 0:
                columns[l * l + 2 * l + 1 - m] = norm * legendre[l - m] * sine
        sectoral *= -(2 * m + 1)  # P_mm = (-1)^m (2m - 1)!! sin^m
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    return torch.stack(columns, dim=-1)


def harmonic_norm(l: int, m: int) -> float:
    """Return the factor before P_lm(cos theta) cos(m phi) in a normalised real harmonic, m >= 0."""
    squared = (2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m)
    return math.sqrt(squared * (2 if m > 0 else 1))


@functools.cache
def harmonic_norms(n_degrees: int) -> Tensor:
    """Return all of `harmonic_norm`, at l^2 + m: float32 (n_degrees^2,), as the compiled kernel reads them."""
    norms = torch.zeros(n_degrees**2)
    for l in range(n_degrees):
        for m in range(l + 1):
            norms[l * l + m] = harmonic_norm(l, m)
    return norms
