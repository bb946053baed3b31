"""The nouns that everything is made of: molecules, species, whole files."""

import time
from pathlib import Path

import numpy as np
import pytest

from atomweave.errors import AtomweaveError, InputError, did_you_mean
from atomweave.files import sha256_of, write_atomic
from atomweave.molecule import Molecule, coincident_pair
from atomweave.species import Species

WATER = Molecule(["O", "H", "H"], [[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]], {"gap": 9.6})


def test_a_molecule_knows_its_formula() -> None:
    assert WATER.formula == "H2O"
    assert Molecule([6, 1, 8, 6], np.eye(4, 3)).formula == "C2HO"
    assert WATER.symbols == ["O", "H", "H"]


@pytest.mark.parametrize(
    ("numbers", "positions", "said"),
    [
        ([], np.zeros((0, 3)), "at least one atom"),
        ([6], np.zeros((2, 3)), "shape"),
        ([6, 0], np.eye(2, 3), "atom 1"),
        ([6, 119], np.eye(2, 3), "119"),
        (["C", "Xx"], np.eye(2, 3), "Xx"),
        ([6, 1], [[0, 0, 0], [0, np.nan, 0]], "atom 1 (H)"),
        ([6, 1], [[0, 0, 0], [0, np.inf, 0]], "not finite"),
        ([6, 1], [[0, 0, 0], [0, 5e-4, 0]], "atoms 0 and 1 coincide"),
        ([6], [["a", 0, 0]], "cannot be read"),
    ],
)
def test_what_is_no_molecule_is_refused(numbers: list, positions: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Molecule(numbers, positions)
    assert said in str(caught.value)


def test_arrays_of_a_molecule_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        WATER.positions[0, 0] = 1.0


def test_coincident_atoms_are_found_among_many_in_a_plane() -> None:
    positions = np.random.default_rng(0).normal(size=(300, 3)) * 10
    positions[:, 0] = 0.0
    assert coincident_pair(positions) is None
    positions[200] = positions[17] + 1e-5
    assert coincident_pair(positions) == (17, 200)


def test_a_large_sheet_at_one_x_takes_no_time() -> None:
    y, z = np.meshgrid(np.arange(300.0), np.arange(300.0))
    sheet = np.stack([np.zeros(90_000), y.ravel(), z.ravel()], 1)
    start = time.process_time()
    assert coincident_pair(sheet) is None
    sheet[777] = sheet[88_888] + 5e-4
    assert coincident_pair(sheet) == (777, 88_888)
    assert time.process_time() - start < 4


def test_atoms_of_different_groups_may_coincide() -> None:
    positions = np.array([[0.0, 0, 0], [1, 1, 1], [0, 0, 0]])
    assert coincident_pair(positions, np.array([0, 0, 1])) is None
    assert coincident_pair(positions, np.array([0, 1, 0])) == (0, 2)


def test_ase_and_back() -> None:
    back = Molecule.from_ase(WATER.to_ase())
    assert np.array_equal(back.numbers, WATER.numbers)
    assert np.array_equal(back.positions, WATER.positions)
    assert back.properties == WATER.properties


def test_rdkit_and_back() -> None:
    mol = WATER.to_rdkit()
    assert mol.GetNumBonds() == 2
    assert np.allclose(Molecule.from_rdkit(mol).positions, WATER.positions)


def test_rdkit_molecules_need_a_conformer_and_explicit_hydrogens() -> None:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    with pytest.raises(InputError, match="no conformer"):
        Molecule.from_rdkit(Chem.MolFromSmiles("CO"))
    heavy = Chem.RemoveHs(WATER.to_rdkit())
    with pytest.raises(InputError, match="implicit hydrogens"):
        Molecule.from_rdkit(heavy)
    full = Chem.AddHs(Chem.MolFromSmiles("CO"))
    AllChem.EmbedMolecule(full, randomSeed=1)
    assert Molecule.from_rdkit(full).formula == "CH4O"
    AllChem.Compute2DCoords(full)
    with pytest.raises(InputError, match="drawing in 2D"):
        Molecule.from_rdkit(full)
    ammonium = Chem.AddHs(Chem.MolFromSmiles("C[NH3+]"))
    AllChem.EmbedMolecule(ammonium, randomSeed=1)
    assert Molecule.from_rdkit(ammonium).properties == {"charge": 1}


def test_a_molecule_without_valid_bonds_says_why() -> None:
    with pytest.raises(InputError):
        Molecule(["C", "C"], [[0, 0, 0], [0, 0, 5.0]]).to_rdkit()


def test_species_index_elements_both_ways() -> None:
    species = Species(["H", "C", 7])
    assert species.indices(np.array([[7, 1], [6, 6]])).tolist() == [[2, 0], [1, 1]]
    assert species.atomic_numbers(np.array([0, 2])).tolist() == [1, 7]
    with pytest.raises(InputError, match="elements O Cl are not among"):
        species.indices(np.array([8, 17, 8]))
    for wrong in ([], ["H", "H"], ["Q"], [0]):
        with pytest.raises(InputError):
            Species(wrong)


def test_a_file_is_whole_or_untouched(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.txt"
    with write_atomic(path) as temporary:
        temporary.write_text("one")
        assert temporary.suffix == ".txt"
    assert path.read_text() == "one"

    def fail() -> None:
        with write_atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]
    assert sha256_of(path) == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"


def test_errors_know_their_exit_status_and_the_nearest_name() -> None:
    assert issubclass(InputError, AtomweaveError)
    assert InputError.exit_status == 3
    assert did_you_mean("symphny", ["symphony", "weaver"]).startswith("did you mean 'symphony'?")
    assert did_you_mean("zzz", ["symphony"]) == "Known: symphony."
