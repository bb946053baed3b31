"""Real spherical harmonics and the couplings between them.

Conventions, everywhere in Atomweave: the polar axis is y, degree 1 is ordered (x, y, z), and components are normalised
so that `sum_m Y_lm(a) Y_lm(b) = (2l + 1) P_l(a . b)` ("component" normalisation: Y_00 = 1). Harmonics of degrees
0..lmax stand one after the other, degree l at `degree_slice(l)`.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def degree_slice(degree: int) -> slice:
    """Return where the 2l + 1 components of a degree stand among those of degrees 0..lmax."""
    return slice(degree**2, (degree + 1) ** 2)


def spherical_harmonics(vectors: Tensor, lmax: int) -> Tensor:
    """Return (..., (lmax + 1)^2) harmonics of the directions of `vectors` (..., 3); zero vectors give Y_00 alone."""
    from e3nn import o3

    return o3.spherical_harmonics(list(range(lmax + 1)), vectors, normalize=True, normalization="component")


@functools.cache
def coupling(degree_1: int, degree_2: int, degree_out: int) -> Tensor:
    """Return the (2l1 + 1, 2l2 + 1, 2l + 1) Clebsch-Gordan coefficients, component-normalised, float64.

    Two inputs whose components have unit variance give an output whose components have unit variance.
    """
    from e3nn import o3

    return o3.wigner_3j(degree_1, degree_2, degree_out, dtype=torch.float64) * (2 * degree_out + 1) ** 0.5
