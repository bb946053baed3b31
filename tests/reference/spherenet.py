"""SphereNet as G-SphereNet's authors evaluate it: one graph at a time, edge by edge, triplet by triplet, in float64.

Written from the formulas, with scipy's functions and arctangents; nothing is shared and nothing is vectorised but the
width of a feature. It reads the weights of the fast embedder, and leaves gradients in them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import sph_harm_y, spherical_jn
from torch import Tensor
from torch.nn.functional import silu

if TYPE_CHECKING:
    from atomweave.models.embedders.spherenet import DirectionalLayer, Residual, SphereNet

N_DEGREES, N_RADIAL = 7, 6


def bessel_zero(l: int, n: int) -> float:
    """Return the n-th positive zero of j_l, found by scanning."""
    grid = np.linspace(1e-3, 40.0, 4000)
    values = spherical_jn(l, grid)
    # j_l is positive up to its first zero but for rounding at the left end.
    crossing = [k for k in range(len(grid) - 1) if values[k] * values[k + 1] < 0 and grid[k] > l]
    return float(brentq(lambda z: spherical_jn(l, z), grid[crossing[n - 1]], grid[crossing[n - 1] + 1], xtol=1e-14))


ZEROS = [[bessel_zero(l, n) for n in range(1, N_RADIAL + 1)] for l in range(N_DEGREES)]


def bessel(distance: float, cutoff: float) -> np.ndarray:
    """Return (7, 6)."""
    x = distance / cutoff
    return np.array(
        [[spherical_jn(l, z * x) / math.sqrt(0.5 * spherical_jn(l + 1, z) ** 2) for z in ZEROS[l]] for l in range(7)]
    )


def harmonics(theta: float, phi: float) -> np.ndarray:
    """Return (49,): for each degree m = 0, 1 .. l, -l .. -1."""
    out = []
    for l in range(N_DEGREES):
        for m in [*range(l + 1), *range(-l, 0)]:
            value = sph_harm_y(l, abs(m), theta, phi)
            out.append(value.real if m == 0 else math.sqrt(2) * (value.real if m > 0 else value.imag))
    return np.array(out)


def angle_of(positions: np.ndarray, i: int, j: int, k: int) -> float:
    a, b = positions[i] - positions[j], positions[k] - positions[j]
    return math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))


def torsion_of(positions: np.ndarray, i: int, j: int, k: int, reference: int) -> float:
    """Return the rotation about j -> i from k to the reference, in (0, 2 pi]."""
    axis = positions[i] - positions[j]
    first = np.cross(axis, positions[k] - positions[j])
    second = np.cross(axis, positions[reference] - positions[j])
    phi = math.atan2(float(np.cross(first, second) @ axis / np.linalg.norm(axis)), float(first @ second))
    return phi if phi > 0 else phi + 2 * math.pi


def residual(block: Residual, x: Tensor) -> Tensor:
    return x + silu(block.second(silu(block.first(x))))


def embed_graph(network: SphereNet, species: Tensor, positions: Tensor) -> Tensor:
    """Return (n_atoms, width) float64 of one graph; `network` is in float64."""
    n, cutoff, x = len(species), network.cutoff, positions.double().numpy()
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    near = [[a != b and distance[a, b] < cutoff for b in range(n)] for a in range(n)]
    edges = [(j, i) for i in range(n) for j in range(n) if near[j][i]]  # j -> i
    triplets = [(k, j, i) for j, i in edges for k in range(n) if near[k][j] and k != i]

    def radial(j: int, i: int) -> Tensor:
        d = distance[j, i] / cutoff
        u = 1 / d - 28 * d**5 + 48 * d**6 - 21 * d**7
        return u * torch.sin(network.frequencies * d)

    x1, x2 = {}, {}
    for j, i in edges:
        parts = [network.atom(species[i]), network.atom(species[j]), silu(network.distance(radial(j, i)))]
        x1[j, i] = silu(network.edge(torch.cat(parts)))
        x2[j, i] = (network.edge_weights[0] @ radial(j, i)) * x1[j, i]
    in_triplet = {(j, i) for _, j, i in triplets} | {(k, j) for k, j, _ in triplets}

    def message(layer: DirectionalLayer, k: int, j: int) -> Tensor:
        sent = silu(layer.message(x1[k, j])) * (layer.radial_out @ layer.radial_in @ radial(k, j))
        return silu(layer.down @ sent)

    angles, torsions = {}, {}
    for k, j, i in triplets:
        waves = bessel(float(distance[k, j]), cutoff)
        theta = angle_of(x, i, j, k)
        zonal = harmonics(theta, 0.0)[[l * l for l in range(N_DEGREES)]]
        angles[k, j, i] = torch.tensor((waves * zonal[:, None]).flatten())
        order = sorted((a for a in range(n) if a != j), key=lambda a: distance[a, j])
        reference = order[0] if order[0] != i else order[1]
        full = harmonics(theta, torsion_of(x, i, j, k, reference))
        torsions[k, j, i] = torch.tensor(np.array([full[q] * waves[q % N_DEGREES] for q in range(49)]).flatten())

    for index, layer in enumerate(network.layers):
        sent = {edge: message(layer, *edge) for edge in edges}
        heard = {edge: torch.zeros(layer.down.shape[0], dtype=torch.float64) for edge in edges}
        for k, j, i in triplets:
            weight = layer.angle_out @ layer.angle_in @ angles[k, j, i]
            if layer.torsion_in is not None and layer.torsion_out is not None:
                weight = weight * (layer.torsion_out @ layer.torsion_in @ torsions[k, j, i])
            heard[j, i] = heard[j, i] + sent[k, j] * weight
        new = dict(x1)
        for j, i in edges:
            if (j, i) not in in_triplet:
                continue
            e = silu(layer.own(x1[j, i])) + silu(layer.up @ heard[j, i])
            e = silu(layer.middle(residual(layer.before, e))) + x1[j, i]
            for block in layer.after:
                e = residual(block, e)
            new[j, i] = e
            x2[j, i] = (network.edge_weights[index + 1] @ radial(j, i)) * e
        x1 = new

    rows = []
    for i in range(n):
        arriving = [x2[j, a] for j, a in edges if a == i]
        if not arriving:
            rows.append(network.atom(species[i]))
            continue
        y = network.readout.up(torch.stack(arriving).sum(0))
        y = silu(network.readout.second(silu(network.readout.first(y))))
        rows.append(network.readout.out(y))
    return torch.stack(rows)
