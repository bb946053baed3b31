"""The bispectrum of a local environment: numbers that do not change when it is turned.

An environment is the directions r_j from an atom to its bonded neighbours, without lengths or elements. Its harmonics
are x_lm = sum_j Y_lm(r_j) / sqrt(4 pi), l up to 4, with orthonormal real Y_lm. For every triple of degrees with an
invariant there is one component

    b = <Q, x (x) x (x) x> = sqrt(n) sum w_abc x_l1,a x_l2,b x_l3,c

where w is the Wigner 3j tensor (unit Frobenius norm), n = 6, 3 or 1 the number of distinct orders of (l1, l2, l3), and
Q hence the totally symmetric invariant of unit Frobenius norm: 15 components, as published with Symphony (A. Daigavane
et al.; R. Kakarala, arXiv:0902.0196 for the bispectrum on the sphere). The last one, (2, 3, 4), changes its sign under
reflection. The signs of w are a convention; here one neighbour gives positive components, and a fixed chiral set of
four gives a positive last one, so that numbers kept in a file do not depend on the library that made w.

One neighbour: 000 5.04e-4, 011 1.51e-3, 022 1.95e-3, 033 2.31e-3, 044 2.62e-3, 112 2.14e-3, 444 1.83e-3. A perfect
tetrahedron: 000 0.03225, 033 0.08211, 044 0.04345, 334 0.08169, 444 0.01831, all others 0.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from .harmonics import coupling, harmonics

LMAX = 4

SECTORS = (
    (0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4), (1, 1, 2), (1, 2, 3), (1, 3, 4),
    (2, 2, 2), (2, 2, 4), (2, 3, 3), (2, 4, 4), (3, 3, 4), (4, 4, 4), (2, 3, 4),
)  # fmt: skip
"""Degrees of each component, in the order of the columns."""

PSEUDOSCALAR = SECTORS.index((2, 3, 4))
"""Column of the component that changes its sign under reflection; the last."""

CHIRAL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.6, 0.8]])
"""Directions of the four neighbours whose pseudoscalar is positive."""

_AT_ONCE = 4096  # environments: what stays in a core's cache


def bispectra(directions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the bispectra of many environments.

    Args:
        directions: (n_neighbours, 3) from an atom to each of its neighbours, of any length but zero, environment after
            environment.
        offsets: (n_environments + 1,) where the neighbours of each environment begin; there may be none.

    Returns:
        (n_environments, 15) float64, columns as `SECTORS`; zeros where there is no neighbour.
    """
    found = np.zeros((len(offsets) - 1, len(SECTORS)))
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        sums = np.add.reduceat(_harmonics(directions), offsets[some])
        for start in range(0, len(some), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            found[some[rows]] = _contracted(sums[rows]) * _signs()
    return found


def _harmonics(directions: np.ndarray) -> np.ndarray:
    """Return Y_lm / sqrt(4 pi), (n, 25), squared norm (2 l + 1) / (4 pi)^2 in each degree."""
    return harmonics(directions, LMAX) / math.sqrt(4 * math.pi)


def _contracted(x: np.ndarray) -> np.ndarray:
    """Return (n, 15) components, signs as the couplings give them, of (n, 25) harmonics of environments."""
    degrees = [x[:, l * l : (l + 1) ** 2] for l in range(LMAX + 1)]
    found = np.empty((len(x), len(SECTORS)))
    for column, (l1, l2, l3) in enumerate(SECTORS):
        inner = (degrees[l1] @ _coupling(l1, l2, l3)).reshape(len(x), 2 * l2 + 1, 2 * l3 + 1)
        found[:, column] = np.einsum("nab,na,nb->n", inner, degrees[l2], degrees[l3])
    return found


@cache
def _coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return sqrt(n) w as (2 l1 + 1, (2 l2 + 1)(2 l3 + 1))."""
    n_orders = (1, 3, 6)[len({l1, l2, l3}) - 1]
    return math.sqrt(n_orders) * coupling(l1, l2, l3).reshape(2 * l1 + 1, -1)


@cache
def _signs() -> np.ndarray:
    """Return what turns each component to the sign that this module promises; (15,) of +-1."""
    signs = np.sign(_contracted(_harmonics(np.array([[0.0, 0.0, 1.0]])))[0])
    signs[PSEUDOSCALAR] = np.sign(_contracted(_harmonics(CHIRAL).sum(0, keepdims=True))[0, PSEUDOSCALAR])
    return signs
