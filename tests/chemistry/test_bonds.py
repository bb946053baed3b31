from __future__ import annotations

import time

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from atomweave.chemistry import bonds, uncharged
from atomweave.chemistry.bonds import perceive, perceive_many
from atomweave.errors import InputError
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

VALID = [
    (worked.methane, "[H]C([H])([H])[H]", True),
    (worked.water, "[H]O[H]", True),
    (worked.carbon_dioxide, "O=C=O", True),
    (worked.hydrogen_cyanide, "[H]C#N", True),
    (worked.benzene, "[H]c1c([H])c([H])c([H])c([H])c1[H]", True),
    (worked.methane_and_water, "[H]C([H])([H])[H].[H]O[H]", False),
    (worked.glycine_zwitterion, "[H]C([H])(C(=O)[O-])[N+]([H])([H])[H]", False),
]


@pytest.mark.parametrize(("make", "smiles", "strict"), VALID, ids=lambda value: getattr(value, "__name__", ""))
def test_valid_molecules_have_their_graph(make, smiles, strict):
    found = perceive(make())
    assert (found.valid, found.reason, found.smiles, found.strict) == (True, "", smiles, strict)
    assert found.n_fragments == smiles.count(".") + 1


def test_a_strained_cage_gets_no_spurious_bond():
    cage = worked.bicyclopentane()
    found = perceive(cage)
    assert found.strict
    assert found.mol.GetNumBonds() == 14  # eight C-H, six C-C; the two bridgeheads, 1.9 Å apart, are not bonded


@pytest.mark.parametrize(
    ("make", "reason"),
    [(worked.methyl, bonds.CHARGE), (worked.garbage, bonds.VALENCE), (worked.argon, bonds.NO_BONDS)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_invalid_molecules_say_why(make, reason):
    found = perceive(make())
    assert (found.valid, found.reason, found.smiles, found.strict, found.mol) == (False, reason, "", False, None)
    with pytest.raises(InputError, match=reason):
        found.mol_or_raise()


def test_endless_search_for_bond_orders_is_cut_short():
    # 25 separate N-O pairs: every N and O may have one of several valences, in 10^15 combinations and more.
    pairs = np.arange(25)[:, None, None] * [[[8.0, 0, 0]]] + [[[0, 0, 0], [0, 0, 1.4]]]
    molecule = Molecule([7, 8] * 25, pairs.reshape(-1, 3))
    start = time.perf_counter()
    found = perceive(molecule)
    assert found.reason == bonds.TOO_MANY
    assert time.perf_counter() - start < 20


def test_the_molecule_keeps_order_and_exact_positions():
    molecule = worked.glycine_zwitterion()
    for found in (perceive(molecule), perceive_many([molecule])[0]):
        mol = found.mol_or_raise()
        assert [atom.GetAtomicNum() for atom in mol.GetAtoms()] == molecule.numbers.tolist()
        np.testing.assert_array_equal(mol.GetConformer().GetPositions(), molecule.positions)


def test_verdict_does_not_depend_on_place_orientation_or_order_of_atoms():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))  # a rotation keeps handedness, hence the stereo labels
    for make, smiles, _ in VALID:
        molecule = make()
        order = rng.permutation(len(molecule))
        moved = Molecule(molecule.numbers[order], molecule.positions[order] @ turn.T + rng.normal(size=3))
        assert perceive(moved).smiles == smiles


# What RDKit's xyz2mol gives charges, or refuses in some orders of the atoms, though the molecule has other bond orders.
HARD = {
    "sulfide": "CS/C=C/C=O",
    "thiophene": "O=C(Sc1ccccc1)c1cccs1",
    "thiazole": "Cc1ncsc1C(N)=O",
    "a centre and a double bond": "CC(=O)/C=C/c1ccc([C@H](C)N)s1",
    "past a sulfonyl": "CN/C(=N\\S(C)(=O)=O)SC",
    "sulfoxide": "CS(C)=O",
    "phosphine oxide": "CP(C)(C)=O",
    "two isocyanates": "O=C=Nc1ccc(N=C=O)cc1",
    "sulfilimine": "CS(C)=Nc1ccccc1",
    "ylide": "CC(=O)C=S(C)C",
    "six thiophenes": "O=Cc1ccc(-c2ccc(-c3ccc(-c4ccc(-c5ccc(-c6cccs6)s5)s4)s3)s2)s1",
}
CHARGED = {
    "nitroarene": "O=[N+]([O-])c1ccccc1O",
    "dinitroarene": "O=[N+]([O-])c1cccc([N+](=O)[O-])c1",
    "nitrothiophene": "O=[N+]([O-])c1csc([N+](=O)[O-])c1",
    "nitrates with centres": "O=[N+]([O-])O[C@H]1CO[C@H]2[C@@H]1OC[C@H]2O[N+](=O)[O-]",
    "N-oxide": "COc1ccccc1/C=C/c1cccc[n+]1[O-]",
    "azoxy": "CCSc1ccc(/[N+]([O-])=N/c2ccccc2)cc1",
    "N-oxide beside a ketone": "CC(=O)c1cccc[n+]1[O-]",
    "chlordiazepoxide": "CNC1=Nc2ccc(Cl)cc2C(c2ccccc2)=[N+]([O-])C1",
    "amine oxide": "C[N+](C)(C)[O-]",
    "azide": "[N-]=[N+]=Nc1ccccc1",
    "diazo": "[N-]=[N+]=C1C=CC=CC1=O",
}


@pytest.mark.parametrize("smiles", [*HARD.values(), *CHARGED.values()], ids=[*HARD, *CHARGED])
def test_charges_are_where_they_cannot_be_done_without_in_any_order_of_atoms(smiles):
    molecule, rng = worked.embedded(smiles), np.random.default_rng(0)
    expected = Chem.MolToSmiles(Chem.AddHs(Chem.MolFromSmiles(smiles)))
    for _ in range(10):
        order = rng.permutation(len(molecule))
        found = perceive(Molecule(molecule.numbers[order], molecule.positions[order]))
        assert (found.smiles, found.strict) == (expected, smiles in HARD.values())
        np.testing.assert_array_equal(found.mol.GetConformer().GetPositions(), molecule.positions[order])


def test_where_charges_stay_the_molecule_is_the_same_object(monkeypatch):
    for smiles in ("[NH3+]CC(=O)[O-]", "C[N+](=O)[O-]", "C[N+]#[C-]", "c1ccccc1"):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        assert uncharged.uncharged(mol) is mol
    vinylogous = Chem.AddHs(Chem.MolFromSmiles("C[S+]=CC=C[O-]"))
    AllChem.EmbedMolecule(vinylogous, randomSeed=1)
    assert Chem.MolToSmiles(Chem.RemoveHs(uncharged.uncharged(vinylogous))) in {"CS/C=C/C=O", "CS/C=C\\C=O"}
    monkeypatch.setattr(uncharged, "MOST_STEPS", 3)
    assert uncharged.uncharged(vinylogous) is vinylogous


def test_mirror_images_of_a_chiral_molecule_differ():
    molecule = worked.embedded("C[C@H](N)O")
    mirrored = Molecule(molecule.numbers, molecule.positions * [-1, 1, 1])
    assert perceive(molecule).smiles != perceive(mirrored).smiles


def test_ring_sizes_are_those_of_the_smallest_set_of_smallest_rings():
    # Cubane has six faces, five of which are independent; RDKit's own ring information lists all six.
    cubane = worked.embedded("C12C3C4C1C5C2C3C45")
    for molecule, sizes in (
        (worked.methane(), []),
        (worked.benzene(), [6]),
        (worked.bicyclopentane(), [4, 4]),
        (cubane, [4] * 5),
        (worked.embedded("C1CC1CC1CCC1"), [3, 4]),
    ):
        assert sorted(perceive(molecule).rings) == sizes


def test_a_large_molecule_has_the_bonds_of_its_parts():
    part = worked.formaldehyde()
    places = 6.0 * np.stack(np.meshgrid(*[np.arange(5)] * 3), -1).reshape(-1, 1, 3)[:80]
    places[40:] += 1e6  # half of it far away
    whole = Molecule(np.tile(part.numbers, 80), (part.positions + places).reshape(-1, 3))
    found = perceive(whole)
    alone = perceive(part)
    assert (found.n_fragments, found.strict, len(found.bonds)) == (80, False, 240)
    expected = (np.arange(80)[:, None, None] * len(part) + alone.bonds).reshape(-1, 2)
    np.testing.assert_array_equal(found.bonds, expected)
    np.testing.assert_array_equal(found.orders, np.tile(alone.orders, 80))
