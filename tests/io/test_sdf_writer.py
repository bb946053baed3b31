"""Records with perceived bonds, as the sample command writes them: RDKit reads them as they were meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from atomweave import Molecule
from atomweave.errors import InputError
from atomweave.io import SdfRecord, read, write_sdf

SMILES = ["c1ccncc1", "[O-][N+](=O)C", "C[CH2]", "[NH3+]CC(=O)[O-]", "[H][H]", "C#N", "O=C1C=CC(=O)C=C1"]


def embedded(smiles: str) -> tuple[Molecule, Chem.Mol]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    return Molecule([atom.GetAtomicNum() for atom in mol.GetAtoms()], mol.GetConformer().GetPositions()), mol


@pytest.mark.parametrize("n_copies", [1, 120])
@pytest.mark.parametrize("smiles", SMILES)
def test_rdkit_reads_the_bonds_back(tmp_path: Path, smiles: str, n_copies: int) -> None:
    molecule, mol = embedded(smiles)
    shifts = 20.0 * np.arange(n_copies)[:, None, None]
    crowd = Molecule(
        np.tile(molecule.numbers, n_copies), (molecule.positions + shifts).reshape(-1, 3)
    )  # past 999 atoms: V3000
    many = mol
    for _ in range(n_copies - 1):
        many = Chem.CombineMols(many, mol)
    Chem.SanitizeMol(many)
    write_sdf(tmp_path / "a.sdf", [SdfRecord(crowd, many, {"valid": True})])
    assert ("V3000" in (tmp_path / "a.sdf").read_text()) == (len(crowd) > 999)
    (back,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False)
    expected = ".".join([Chem.CanonSmiles(smiles)] * n_copies)
    assert Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(back))) == expected
    assert np.allclose(back.GetConformer().GetPositions(), crowd.positions, atol=0.51e-4)
    assert back.GetProp("valid") == "True"
    assert read(tmp_path / "a.sdf")[0].numbers.tolist() == crowd.numbers.tolist()


@pytest.mark.parametrize("v3000", [False, True])
def test_a_charge_is_read_kept_and_gives_the_bonds_of_the_ion(tmp_path: Path, v3000: bool) -> None:
    smiles = ["[NH3+]CC[NH3+]", "O=C([O-])C(=O)[O-]", "[NH3+]CC(=O)[O-]", "CCO", "CC(=O)[O-]"]
    writer = Chem.SDWriter(str(tmp_path / "a.sdf"))
    writer.SetForceV3000(v3000)
    for each in smiles:
        writer.write(embedded(each)[1])
    writer.close()
    molecules = read(tmp_path / "a.sdf")
    assert [molecule.properties.get("charge") for molecule in molecules] == [2, -2, None, None, -1]
    write_sdf(tmp_path / "b.sdf", molecules)
    written = [Chem.MolToSmiles(Chem.RemoveHs(mol)) for mol in Chem.SDMolSupplier(tmp_path / "b.sdf", removeHs=False)]
    assert written == [Chem.CanonSmiles(each) for each in smiles]
    assert [molecule.properties.get("charge") for molecule in read(tmp_path / "b.sdf")] == [2, -2, None, None, -1]


@pytest.mark.parametrize("charge", [0.5, float("inf"), float("nan")])
def test_a_charge_that_no_molecule_has_gives_no_bonds(tmp_path: Path, charge: float) -> None:
    molecule, _ = embedded("CCO")
    write_sdf(tmp_path / "a.sdf", [Molecule(molecule.numbers, molecule.positions, {"charge": charge})])
    (mol,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False)
    assert mol.GetNumBonds() == 0


def test_the_charge_field_of_atoms_counts_where_no_line_tells_charges(tmp_path: Path) -> None:
    Chem.MolToMolFile(embedded("[NH3+]CC[NH3+]")[1], str(tmp_path / "a.mol"))
    lines = [line for line in (tmp_path / "a.mol").read_text().splitlines(True) if not line.startswith("M  CHG")]
    lines = [line[:36] + "  3" + line[39:] if line[31:33] == "N " else line for line in lines]  # 3: one positive charge
    (tmp_path / "a.mol").write_text("".join(lines))
    assert read(tmp_path / "a.mol")[0].properties["charge"] == 2


def test_without_bonds_the_record_is_still_whole(tmp_path: Path) -> None:
    carbon = Molecule(["C", "C"], [[0, 0, 0], [0, 0, 1.2]], {"seed": 3})
    write_sdf(
        tmp_path / "a.sdf",
        [SdfRecord(carbon, None, {"finished": False, "reason": "no bonds: valence"}, title="attempt 7")],
    )
    (mol,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False)
    assert mol.GetNumBonds() == 0
    assert [atom.GetTotalNumHs() for atom in mol.GetAtoms()] == [0, 0]  # nothing is filled up with hydrogens
    assert read(tmp_path / "a.sdf")[0].properties == {
        "title": "attempt 7",
        "seed": 3,
        "finished": False,
        "reason": "no bonds: valence",
    }


@pytest.mark.parametrize("title", ["$$$$", "> <x>", "M  END", "a\nb", "x" * 200])
def test_no_title_can_break_a_record(tmp_path: Path, title: str) -> None:
    write_sdf(tmp_path / "a.sdf", [SdfRecord(Molecule(["He"], [[0, 0, 0]]), title=title)] * 2)
    assert len(read(tmp_path / "a.sdf")) == 2


def test_atoms_that_differ_and_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    molecule, mol = embedded("C#N")
    other = Molecule(molecule.numbers[::-1], molecule.positions)
    with pytest.raises(InputError, match="frame 1: the RDKit molecule has other atoms"):
        write_sdf(tmp_path / "a.sdf", [SdfRecord(molecule, mol), SdfRecord(other, mol)])
    with pytest.raises(InputError, match="has a name that SDF cannot hold"):
        write_sdf(tmp_path / "a.sdf", [SdfRecord(molecule, mol, {"a>b": 1})])
    assert list(tmp_path.iterdir()) == []
