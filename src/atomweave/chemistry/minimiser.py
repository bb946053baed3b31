"""Walk downhill to the nearest minimum: a quasi-Newton method that starts from a guess of the Hessian.

Relaxing a molecule asks for two things that general minimisers do not give: no step may carry an atom over into
another basin (every step is at most a fraction of a bond long, and energy may not rise), and energies are dear, so
that a chemist's guess of which motions are stiff pays (`model_hessian`: a molecule of QM9 then takes 30 GFN2-xTB
energies instead of 60 to a largest force of 0.01 eV/Å).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .radii import COVALENT_RADII

STIFFNESS = 30.0  # eV/Å^2 of two atoms at bonding distance
SOFTEST = 2.0  # eV/Å^2 of motions in which no two atoms approach each other
NOISE = 1e-4  # eV; energies of a self-consistent field that differ by less are equal
SMALLEST_STEP = 1e-4  # Å; shorter steps no longer change what a chemist sees

Energy = Callable[[np.ndarray], tuple[float, np.ndarray] | None]
"""Positions (n_atoms, 3) in Å -> energy in eV and its gradient (n_atoms, 3) in eV/Å; None if it cannot be had."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a walk ended.

    Attributes:
        positions: (n_atoms, 3) Å.
        energy: eV.
        largest_force: on any atom, eV/Å.
        n_energies: how many energies were asked for.
    """

    positions: np.ndarray
    energy: float
    largest_force: float
    n_energies: int


def minimise(
    energy_of: Energy,
    positions: np.ndarray,
    hessian: np.ndarray,
    threshold: float = 0.01,
    max_energies: int = 300,
    max_step: float = 0.2,
) -> Minimum | None:
    """Follow the energy downhill (BFGS with Powell's damping and a limited step; Nocedal & Wright, 2006, chapter 18).

    Args:
        energy_of: energy and gradient.
        positions: (n_atoms, 3) Å, where to start.
        hessian: (3 n_atoms, 3 n_atoms) eV/Å^2, a positive definite guess.
        threshold: largest force (eV/Å) of a minimum.
        max_energies: energies asked for at most.
        max_step: how far (Å) an atom may go in one step.

    Returns:
        The lowest point reached, a minimum if its `largest_force` is below the threshold; None if the start itself
        has no energy.
    """
    found = energy_of(positions)
    if found is None:
        return None
    energy, gradient = found
    reach, n_energies = max_step, 1
    while _longest(gradient) > threshold and n_energies < max_energies and reach > SMALLEST_STEP:
        step = -np.linalg.solve(hessian, gradient.ravel()).reshape(-1, 3)
        step *= min(1.0, reach / _longest(step))
        found = energy_of(positions + step)
        n_energies += 1
        if found is not None:
            hessian = _updated(hessian, step.ravel(), (found[1] - gradient).ravel())
        if found is None or found[0] > energy + NOISE:
            reach = 0.4 * _longest(step)
        else:
            positions, (energy, gradient) = positions + step, found
            reach = min(max_step, 1.5 * reach)
    return Minimum(positions, energy, _longest(gradient), n_energies)


def model_hessian(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a positive definite guess of a molecule's Hessian: springs that weaken with distance between all pairs.

    The spring of two atoms at distance d whose covalent radii sum to s has k = STIFFNESS exp(1 - (d/s)^2): stiff for
    bonds, weaker for the ends of an angle, weakest for those of a torsion (the form of R. Lindh et al., Chem. Phys.
    Lett. 241, 423 (1995), for pairs only).

    Args:
        numbers: (n_atoms,) atomic numbers.
        positions: (n_atoms, 3) Å.

    Returns:
        (3 n_atoms, 3 n_atoms) eV/Å^2.
    """
    n_atoms = len(numbers)
    radii = COVALENT_RADII[numbers]
    steps = positions[:, None] - positions
    squares = np.einsum("abi,abi->ab", steps, steps) + np.eye(n_atoms)
    springs = STIFFNESS * np.exp(1 - squares / (radii[:, None] + radii) ** 2) * (1 - np.eye(n_atoms)) / squares
    blocks = -np.einsum("ab,abi,abj->abij", springs, steps, steps)
    atoms = np.arange(n_atoms)
    blocks[atoms, atoms] = -blocks.sum(1)
    return blocks.transpose(0, 2, 1, 3).reshape(3 * n_atoms, 3 * n_atoms) + SOFTEST * np.eye(3 * n_atoms)


def _updated(hessian: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the Hessian that explains how the gradient changed along a step, kept positive definite."""
    expected = hessian @ step
    curvature = step @ expected
    if step @ change < 0.2 * curvature:
        change = expected + 0.8 * curvature / (curvature - step @ change) * (change - expected)
    return hessian + np.outer(change, change) / (step @ change) - np.outer(expected, expected) / curvature


def _longest(vectors: np.ndarray) -> float:
    """Return the length of the longest of (n, 3) vectors."""
    return float(np.sqrt(np.einsum("ai,ai->a", vectors, vectors).max()))
