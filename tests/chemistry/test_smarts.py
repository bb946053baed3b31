from __future__ import annotations

import numpy as np
import pytest

from atomweave.chemistry.smarts import matching_atoms, open_graph
from atomweave.errors import InputError, UsageError
from atomweave.molecule import Molecule
from reference.worked_molecules import embedded


def without(molecule: Molecule, *atoms: int) -> Molecule:
    kept = np.delete(np.arange(len(molecule)), atoms)
    return Molecule(molecule.numbers[kept], molecule.positions[kept])


@pytest.mark.parametrize(
    ("smiles", "smarts", "wanted"),
    [
        ("CCO", "[OX2]", (2,)),
        ("CCO", "[#6]", (0, 1)),
        ("CCO", "C[O:1]", (2,)),
        ("CCO", "[CH3]", (0,)),
        ("CC(=O)N", "[N:1]C=O", (3,)),
        ("c1ccncc1", "[n]", (3,)),
        ("CCO", "N", ()),
        ("CCc1nnsc1C(=O)NC", "[NX3:1]C=O", (9,)),
        ("CS(=O)c1ccccc1", "[CH3:1]S=O", (0,)),
        ("O=[N+]([O-])c1ccccc1", "c[N+:1](=O)[O-]", (1,)),
    ],
)
def test_atoms_of_whole_molecules(smiles, smarts, wanted):
    assert matching_atoms(embedded(smiles), smarts) == wanted


def test_every_match_counts():
    assert len(matching_atoms(embedded("c1ccccc1"), "c")) == 6


@pytest.mark.parametrize("n_missing", [1, 2])
def test_double_bonds_of_a_fragment_stay(n_missing):
    whole = embedded("OCC(=O)CO")  # the first hydrogen is that of the first oxygen, the last that of the last
    fragment = without(whole, *(6, len(whole) - 1)[:n_missing])
    assert matching_atoms(fragment, "C=O") == (2, 3)
    assert matching_atoms(fragment, "C-[O:1]") == (0, 5)
    assert sum(atom.GetFormalCharge() for atom in open_graph(fragment).GetAtoms()) == -n_missing


@pytest.mark.parametrize("smarts", ["[N", "", "C1CC"])
def test_what_is_no_pattern_is_refused(smarts):
    with pytest.raises(UsageError, match="wanted a SMARTS pattern"):
        matching_atoms(embedded("C"), smarts)


def test_atoms_without_bond_orders_are_refused():
    five = Molecule(["C"] + ["H"] * 5, np.array([[0, 0, 0], *np.eye(3), [-1, 0, 0], [0, -1, 0]]) * 1.0)
    with pytest.raises(InputError, match="name the atoms by number"):
        matching_atoms(five, "C")
