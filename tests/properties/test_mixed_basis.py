from __future__ import annotations

import numpy as np
from pyscf import gto

from atomweave.properties import mixed_basis


def test_d_shells_stay_cartesian_and_f_shells_become_pure():
    shells = mixed_basis.shells([6, 1])
    atoms = "C 0 0 0; H 0.3 0.4 0.95"
    cartesian = gto.M(atom=atoms, basis=shells, cart=True, spin=1, verbose=0)
    pure = gto.M(atom=atoms, basis=shells, cart=False, spin=1, verbose=0)
    span = mixed_basis.span(cartesian)
    assert span.shape == (9 + 12 + 10 + 5, 9 + 12 + 7 + 5)
    overlap = span.T @ cartesian.intor("int1e_ovlp") @ span
    rows = [i for i, label in enumerate(pure.ao_labels(fmt=None)) if "f" in label[2]]
    found = slice(9 + 12, 9 + 12 + 7)
    np.testing.assert_allclose(overlap[found, found], pure.intor("int1e_ovlp")[np.ix_(rows, rows)], atol=1e-12)
    others = [i for i, label in enumerate(pure.ao_labels(fmt=None)) if label[0] == 1]
    np.testing.assert_allclose(overlap[found, -5:], pure.intor("int1e_ovlp")[np.ix_(rows, others)], atol=1e-12)
