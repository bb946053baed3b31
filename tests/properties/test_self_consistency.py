from __future__ import annotations

import numpy as np
import pytest

from atomweave.properties.self_consistency import Orbitals, self_consistent


def mean_field(strength, n=12, seed=0):
    """Return a model Fock matrix: a fixed matrix, and a repulsion where the density is."""
    fixed = np.random.default_rng(seed).normal(size=(n, n))
    fixed += fixed.T
    calls = []

    def fock_of(orbitals):
        calls.append(orbitals)
        return fixed + strength * np.diag((orbitals.occupied**2).sum(1))

    return fock_of, Orbitals.of(fixed, 4), calls


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_the_solution_makes_its_own_field(shift):
    fock_of, start, calls = mean_field(3.0)
    found = self_consistent(fock_of, start, 1e-9, 200, shift)
    assert found.gradient(fock_of(found)) < 1e-8
    np.testing.assert_allclose(fock_of(found) @ found.occupied, found.occupied * found.energies[:4], atol=1e-7)
    assert len(calls) > 3


def test_a_shift_does_not_move_the_solution():
    fock_of, start, _ = mean_field(3.0)
    plain, shifted = (self_consistent(fock_of, start, 1e-10, 400, shift) for shift in (0.0, 2.0))
    np.testing.assert_allclose(plain.energies, shifted.energies, atol=1e-8)


def test_extrapolation_is_quick():
    fock_of, start, calls = mean_field(2.0)
    self_consistent(fock_of, start, 1e-8, 200)
    assert len(calls) <= 20


def test_too_few_cycles_find_nothing():
    fock_of, start, calls = mean_field(3.0)
    assert self_consistent(fock_of, start, 1e-9, 3) is None
    assert len(calls) == 3
