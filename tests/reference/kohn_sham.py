"""Kohn-Sham orbitals and polarizabilities the plain way: exact integrals in every cycle, dipoles in finite fields."""

from __future__ import annotations

import numpy as np
from pyscf import dft, gto, lib
from scipy.linalg import block_diag, eigh

from atomweave.properties import mixed_basis
from atomweave.species import SYMBOLS


def qm9_molecule(numbers, positions):
    """Return the molecule with QM9's basis, Cartesian throughout, and the matrix to the mixed functions."""
    shells = {
        SYMBOLS[number]: gto.basis.load("6-31g", SYMBOLS[number])
        + (
            [[1, [1.1, 1]]]
            if number == 1
            else [[2, [1.6, 1]], [2, [0.4, 1]], [3, [mixed_basis.F_EXPONENTS[number], 1]]]
        )
        for number in set(map(int, numbers))
    }
    atoms = [(SYMBOLS[number], position) for number, position in zip(numbers, positions, strict=True)]
    mol = gto.M(atom=atoms, basis=shells, cart=True, verbose=0)
    degrees = [mol.bas_angular(shell) for shell in range(mol.nbas) for _ in range(mol.bas_nctr(shell))]
    sizes = {0: 1, 1: 3, 2: 6}
    return mol, block_diag(*[gto.cart2sph(3) if degree == 3 else np.eye(sizes[degree]) for degree in degrees])


def solve(mol, mixed, electric_field=(0.0, 0.0, 0.0), tolerance=1e-8):
    """Return energy (Hartree), orbital energies (Hartree) and dipole (e Bohr) in a uniform field (atomic units)."""
    engine = dft.RKS(mol, xc="b3lypg")
    core = engine.get_hcore() + np.einsum("d,dpq->pq", electric_field, mol.intor("int1e_r"))
    overlap, n_occupied = mixed.T @ engine.get_ovlp() @ mixed, mol.nelectron // 2
    extrapolation = lib.diis.DIIS()
    density = engine.get_init_guess(key="minao")
    energies = inner = None
    for _ in range(60):
        potential = engine.get_veff(mol, density)
        fock = mixed.T @ (core + potential) @ mixed
        if inner is not None:  # the first density is no combination of the mixed functions
            product = fock @ inner @ overlap
            if abs(product - product.T).max() < tolerance:
                return engine.energy_tot(density, core, potential), energies, engine.dip_moment(mol, density, "AU")
            fock = extrapolation.update(fock, xerr=product - product.T)
        energies, orbitals = eigh(fock, overlap)
        inner = 2 * orbitals[:, :n_occupied] @ orbitals[:, :n_occupied].T
        density = mixed @ inner @ mixed.T
    raise AssertionError("no self-consistent field")


def polarizability(mol, mixed, strength=1e-3):
    """Return a third of the trace of the dipole's central differences, Bohr^3."""
    fields = strength * np.eye(3)
    rises = [solve(mol, mixed, field)[2] - solve(mol, mixed, -field)[2] for field in fields]
    return np.trace(rises) / (6 * strength)
