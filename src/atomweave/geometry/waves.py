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
_N_CELLS = 1024
"""Of the table of waves, cubic in each: with float32's rounding it is off by 1.3e-7 of the largest value."""


def spherical_bessel(degree: Tensor, argument: Tensor) -> Tensor:
    """Return j_l(x), float64.

    Args:
        degree: l, 0 to 7, int64, broadcast against the argument.
        argument: x >= 0.
    """
    x = argument.double()
    degree = degree.to(x.device)
    large = x.clamp(min=_SERIES_BELOW)
    sine, cosine = torch.sin(large), torch.cos(large)
    before, here = cosine / large, sine / large  # j_(-1), j_0
    upward = here
    for l in range(1, int(degree.max()) + 1):
        before, here = here, (2 * l - 1) / large * here - before
        upward = torch.where(degree == l, here, upward)
    # A large argument is not read here; as zero it stays finite.
    small = torch.where(x < _SERIES_BELOW, x, 0.0)
    half_square = -0.5 * small.square()
    series = torch.ones_like(x)
    for term in range(_N_TERMS, 0, -1):  # Horner's scheme
        series = 1 + series * half_square / (term * (2 * degree + 2 * term + 1))
    odd_factorial = torch.tensor([math.prod(range(1, 2 * l + 2, 2)) for l in range(8)], dtype=x.dtype, device=x.device)
    return torch.where(x < _SERIES_BELOW, series * small**degree / odd_factorial[degree], upward)


@functools.cache
def bessel_zeros(n_degrees: int, n_zeros: int) -> Tensor:
    """Return z_ln, the n-th positive zero of j_l: float64 (n_degrees, n_zeros).

    The zeros of j_l and of j_(l+1) interlace: those of j_0, n pi, bracket those of j_1, and so on.
    """
    zeros = [math.pi * torch.arange(1, n_zeros + n_degrees, dtype=torch.float64)]
    for l in range(1, n_degrees):
        low, high = zeros[-1][:-1].clone(), zeros[-1][1:].clone()
        degree = torch.tensor(l)
        rising = spherical_bessel(degree, high) > 0
        for _ in range(60):  # halvings: an interval of length pi shrinks below rounding
            middle = 0.5 * (low + high)
            right = (spherical_bessel(degree, middle) > 0) == rising
            low, high = torch.where(right, low, middle), torch.where(right, middle, high)
        zeros.append(0.5 * (low + high))
    return torch.stack([row[:n_zeros] for row in zeros])


def radial_waves(distances: Tensor, n_degrees: int, n_radial: int, cutoff: float) -> Tensor:
    """Return N_ln j_l(z_ln d / cutoff) with N_ln = (j_(l+1)(z_ln)^2 / 2)^(-1/2), zero at the cutoff.

    Args:
        distances: (...), Å, at most the cutoff.
        n_degrees: l = 0 .. n_degrees - 1.
        n_radial: n = 1 .. n_radial.
        cutoff: Å.

    Returns:
        (..., n_degrees, n_radial) of the distances' dtype: float64 as exact as it is, float32 from a table. Without an
        envelope (Liu et al. 2022).
    """
    x = distances.double() / cutoff
    if distances.dtype == torch.float64:
        return _waves(x, n_degrees, n_radial)
    cell = (_N_CELLS * x).long().clamp(max=_N_CELLS - 1)
    powers = ((_N_CELLS * x - cell)[..., None] ** torch.arange(4, device=x.device)).float()
    table = _table(n_degrees, n_radial, x.device)
    with torch.autocast(x.device.type, enabled=False):
        waves = torch.einsum("pt,ptq->pq", powers.view(-1, 4), table[cell.flatten()])
    return waves.view(*x.shape, n_degrees, n_radial).to(distances.dtype)


def _waves(x: Tensor, n_degrees: int, n_radial: int) -> Tensor:
    """Return (..., n_degrees, n_radial) waves at shares x (...) of the cutoff, float64."""
    zeros, scale = (values.to(x.device) for values in _zeros_and_scale(n_degrees, n_radial))
    return scale * spherical_bessel(torch.arange(n_degrees)[:, None], x[..., None, None] * zeros)


@functools.cache
def _table(n_degrees: int, n_radial: int, device: torch.device) -> Tensor:
    """Return float32 (_N_CELLS, 4, n_degrees * n_radial): a cubic a cell, which meets the waves at both its ends."""
    at = torch.arange(4, dtype=torch.float64) / 3
    x = (torch.arange(_N_CELLS)[:, None] + at) / _N_CELLS
    values = _waves(x, n_degrees, n_radial).flatten(2)
    return torch.linalg.solve(torch.linalg.vander(at), values).float().to(device)


@functools.cache
def _zeros_and_scale(n_degrees: int, n_radial: int) -> tuple[Tensor, Tensor]:
    zeros = bessel_zeros(n_degrees, n_radial)
    beyond = spherical_bessel(torch.arange(1, n_degrees + 1)[:, None], zeros)
    return zeros, (0.5 * beyond.square()).rsqrt()


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
