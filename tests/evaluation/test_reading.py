"""Samples as generators leave them are read as attempts, none lost, none counted twice."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from atomweave.data.store import MoleculeStore
from atomweave.errors import InputError, RefusedFileError, UsageError
from atomweave.evaluation.attempts import refusal_class
from atomweave.evaluation.reading import Attempts, attempts_of, read_attempts
from atomweave.io import Refusal, SdfRecord, write, write_sdf
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

MAKERS = [worked.methane, worked.water, worked.carbon_dioxide, worked.hydrogen_cyanide, worked.benzene]
MOLECULES = [make() for make in MAKERS]
WATER = "3\n\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"


def formulas(attempts: Attempts) -> list[str | None]:
    return [None if molecule is None else molecule.formula for molecule in attempts.molecules]


EXPECTED = ["CH4", "H2O", "CO2", "CHN", "C6H6"]


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz", ".sdf", ".db", ".npz", ".safetensors"])
def test_every_format_gives_its_molecules_and_their_frames(tmp_path: Path, suffix: str):
    path = tmp_path / f"samples{suffix}"
    if suffix == ".safetensors":
        MoleculeStore.from_molecules(MOLECULES).write(path)
    else:
        write(path, MOLECULES)
    attempts = read_attempts(path)
    assert formulas(attempts) == EXPECTED
    assert attempts.finished == [True] * 5
    assert attempts.reasons == attempts.details == [""] * 5
    assert attempts.labels == [f"samples{suffix}, frame {i}" for i in range(5)]
    assert attempts.source == str(path)
    assert attempts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for molecule, wanted in zip(attempts.molecules, MOLECULES, strict=True):
        assert molecule is not None
        assert abs(molecule.positions - wanted.positions).max() < 1e-4
    assert formulas(read_attempts(path, n=2)) == EXPECTED[:2]


def test_a_format_may_be_named(tmp_path: Path):
    write(tmp_path / "a.npz", MOLECULES)
    (tmp_path / "a.npz").rename(tmp_path / "a.samples")
    assert formulas(read_attempts(tmp_path / "a.samples", "npz")) == EXPECTED
    MoleculeStore.from_molecules(MOLECULES).write(tmp_path / "b.bin")
    assert formulas(read_attempts(tmp_path / "b.bin", "store")) == EXPECTED
    with pytest.raises(UsageError, match="unknown format 'xzy': did you mean 'xyz'"):
        read_attempts(tmp_path / "a.samples", "xzy")
    with pytest.raises(UsageError, match="wanted at least one"):
        read_attempts(tmp_path / "a.samples", "npz", n=0)


def test_a_folder_is_read_in_natural_order_without_what_is_hidden(tmp_path: Path):
    for index in (10, 9, 1, 0):
        write(tmp_path / f"mol_{index}.xyz", worked.methane() if index % 2 else worked.water())
    (tmp_path / ".mol_2.xyz").write_text(WATER)
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "log").mkdir()
    attempts = read_attempts(tmp_path)
    assert attempts.labels == ["mol_0.xyz", "mol_1.xyz", "mol_9.xyz", "mol_10.xyz"]
    assert formulas(attempts) == ["H2O", "CH4", "CH4", "H2O"]
    assert attempts.notes == ["left out of the folder, since they are no xyz files: README.md, log (2 in all)"]
    assert formulas(read_attempts(tmp_path, n=3)) == ["H2O", "CH4", "CH4"]


def test_the_hash_of_a_folder_follows_names_and_contents_only(tmp_path: Path):
    hashes = []
    for folder, names, text in [("a", "xy", WATER), ("b", "yx", WATER), ("c", "xz", WATER), ("d", "xy", WATER + "\n")]:
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.xyz").write_text(text)
        hashes.append(read_attempts(tmp_path / folder).sha256)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_folder_of_files_with_several_frames(tmp_path: Path):
    for seed in (0, 1):
        write(tmp_path / f"seed{seed}.sdf", MOLECULES)
    attempts = read_attempts(tmp_path)
    assert formulas(attempts) == 2 * EXPECTED
    assert attempts.labels[5:7] == ["seed1.sdf", "seed1.sdf, frame 1"]
    assert formulas(read_attempts(tmp_path, n=7)) == [*EXPECTED, *EXPECTED[:2]]


def test_a_folder_of_two_formats_asks_which(tmp_path: Path):
    for suffix in ("xyz", "sdf"):
        write(tmp_path / f"a.{suffix}", MOLECULES)
    with pytest.raises(InputError, match=r"several formats \(1 sdf, 1 xyz\): name the one to read with --format"):
        read_attempts(tmp_path)
    attempts = read_attempts(tmp_path, "sdf")
    assert formulas(attempts) == EXPECTED
    assert "left out of the folder, since they are no sdf files: a.xyz (1 in all)" in attempts.notes


def test_what_edm_writes(tmp_path: Path):
    # eval_analyze.py --save_to_xyz: a number, an empty line, atoms with nine decimals, in files that end in .txt.
    for index in range(12):
        (tmp_path / f"molecule_{index:03d}.txt").write_text(WATER)
    (tmp_path / "eval_log.txt").write_text("Overview: val nll -90.1 test nll -91.2")
    attempts = read_attempts(tmp_path)
    assert formulas(attempts) == ["H2O"] * 12
    assert attempts.notes == ["left out of the folder, since they are no xyz files: eval_log.txt (1 in all)"]
    assert formulas(read_attempts(tmp_path / "molecule_003.txt", "xyz")) == ["H2O"]
    with pytest.raises(InputError, match=r"unknown suffix '.txt'.*--format"):
        read_attempts(tmp_path / "molecule_003.txt")


@pytest.mark.parametrize("shape", ["flat", "column"])
def test_what_edm_holds_in_memory(tmp_path: Path, shape: str):
    one_hot, x = np.zeros((2, 4, 5)), np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    one_hot[0, [0, 1, 2], [3, 0, 0]] = 1  # O H H of H C N O F
    one_hot[1, [0, 1, 2, 3], [2, 4, 1, 0]] = 1
    mask = np.array([[1.0, 1, 1, 0], [1, 1, 1, 1]])
    np.savez(tmp_path / "a.npz", one_hot=one_hot, x=x, node_mask=mask if shape == "flat" else mask[..., None])
    attempts = read_attempts(tmp_path / "a.npz")
    assert [molecule.symbols for molecule in attempts.molecules] == [["O", "H", "H"], ["N", "F", "C", "H"]]
    assert attempts.molecules[0].positions.tolist() == x[0, :3].astype(float).tolist()


def test_edm_data_without_numbers_of_atoms(tmp_path: Path):
    np.savez(tmp_path / "a.npz", charges=np.array([[8, 1, 1], [2, 0, 0]]), positions=np.arange(18.0).reshape(2, 3, 3))
    assert formulas(read_attempts(tmp_path / "a.npz")) == ["H2O", "He"]


@pytest.mark.parametrize("suffix", [".extxyz", ".sdf", ".db", ".npz", ".safetensors"])
def test_unfinished_attempts_of_our_own_files_stay_attempts_with_their_reason(tmp_path: Path, suffix: str):
    told = [
        {"finished": True, "reason": "impossible valence"},  # finished, then found invalid: judged anew
        {"finished": False, "reason": "atom limit"},
        {"finished": False},
    ]
    molecules = [Molecule(m.numbers, m.positions, p) for m, p in zip(MOLECULES[:3], told, strict=True)]
    path = tmp_path / f"a{suffix}"
    if suffix == ".safetensors":
        MoleculeStore.from_molecules(molecules).write(path)
    else:
        write(path, molecules)
    attempts = read_attempts(path)
    assert attempts.finished == [True, False, False]
    assert attempts.reasons == ["", "atom limit", "unfinished"]
    assert formulas(attempts) == EXPECTED[:3]


@pytest.mark.parametrize("value", [False, 0, "False", "F", "no", "0"])
def test_every_spelling_of_unfinished(tmp_path: Path, value: object):
    assert attempts_of([Molecule(["He"], [[0, 0, 0]], {"finished": value})]).finished == [False]


@pytest.mark.parametrize("value", [True, 1, "yes", "T", 17, None, [1, 2]])
def test_everything_else_is_finished(value: object):
    assert attempts_of([Molecule(["He"], [[0, 0, 0]], {"finished": value})]).finished == [True]


def test_bonds_and_charges_of_an_sdf_are_not_used_and_that_is_said(tmp_path: Path):
    mol = Chem.AddHs(Chem.MolFromSmiles("C[N+](C)(C)CC(=O)[O-]"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    write_sdf(tmp_path / "a.sdf", [SdfRecord(Molecule.from_rdkit(mol), mol)])
    attempts = read_attempts(tmp_path / "a.sdf")
    assert formulas(attempts) == ["C5H11NO2"]
    assert any("bonds are perceived anew" in note for note in attempts.notes)


def test_a_set_without_hydrogen_is_told(tmp_path: Path):
    write(tmp_path / "a.xyz", worked.carbon_dioxide())
    assert any("no molecule has a hydrogen atom" in note for note in read_attempts(tmp_path / "a.xyz").notes)
    write(tmp_path / "a.xyz", worked.methane())
    assert read_attempts(tmp_path / "a.xyz").notes == []


def test_files_that_symphony_marks_as_not_stopped_are_judged_and_told(tmp_path: Path):
    write(tmp_path / "mol_seed=1.xyz", worked.water())
    write(tmp_path / "mol_seed=2_no_stop.xyz", worked.methane())
    attempts = read_attempts(tmp_path)
    assert attempts.finished == [True, True]
    assert any(note.startswith("1 files are named _no_stop") for note in attempts.notes)


def test_molecules_in_memory():
    mol = Chem.AddHs(Chem.MolFromSmiles("CC"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    given = [worked.water(), None, ase.Atoms("NH3", np.eye(4, 3)), mol, Chem.MolFromSmiles("CC")]
    attempts = attempts_of(given, "mine")
    assert formulas(attempts) == ["H2O", None, "H3N", "C2H6", None]
    assert attempts.reasons == ["", "no molecule", "", "", "unreadable: malformed"]
    assert "no conformer" in attempts.details[4]
    assert attempts.labels[2] == "mine 2"
    assert attempts_of(attempts) is attempts
    for alone in (worked.water(), ase.Atoms("OH2", np.eye(3))):
        assert formulas(attempts_of(alone)) == ["H2O"]
    assert formulas(attempts_of(MoleculeStore.from_molecules(MOLECULES))) == EXPECTED
    assert formulas(attempts_of(iter(MOLECULES))) == EXPECTED
    assert len(attempts_of([])) == 0


@pytest.mark.parametrize("given", ["a.xyz", b"x", {"a": 1}, [worked.water(), "CCO"], [1.0], 7])
def test_what_is_no_molecule_is_named(given: object):
    with pytest.raises(UsageError, match=r"entry [01] is a (str|bytes|dict|float|int), wanted a Molecule"):
        attempts_of(given)


def test_the_hash_of_molecules_follows_atoms_and_order():
    hashes = {attempts_of(given).sha256 for given in (MOLECULES, MOLECULES[::-1], MOLECULES[:4], [*MOLECULES, None])}
    assert len(hashes) == 4
    assert attempts_of(list(MOLECULES)).sha256 == attempts_of(MOLECULES).sha256


def test_classes_of_refusals_are_few_and_stable():
    said = {
        "atom 1 (H): position is not finite": "position not finite",
        "atoms 0 and 1 coincide (nearer than 0.001 Å)": "coincident atoms",
        "line 6, atom 0: unknown element 'Xx', wanted a symbol": "unknown element",
        "atom 0: atomic number 119 is unknown, wanted 1 to 118": "unknown element",
        "a molecule needs at least one atom, got none": "no atoms",
        "truncated: line 4 announces 3 atoms, 2 follow": "cut off",
        "line 4: got 'three' where the number of atoms was wanted": "not a frame",
        "something nobody foresaw": "malformed",
    }
    assert {reason: refusal_class(Refusal("f", 0, reason)) for reason in said} == said
    assert refusal_class(Refusal("f", None, "the file holds no frames")) == "no frames"
    assert refusal_class(Refusal("f", None, "no permission")) == "file not readable"


NOTHING = {
    "missing.xyz": (None, "there is no such file"),
    "empty.xyz": (b"", "holds no frames"),
    "blank.xyz": (b"\n\n  \n", "holds no frames"),
    "text.xyz": (b"Dear all,\nplease find attached\n", "where the number of atoms was wanted"),
    "binary.xyz": (bytes(range(256)) * 40, "where the number of atoms was wanted"),
    "binary.sdf": (bytes(range(256)) * 40, "truncated"),
    "a.pkl": (b"\x80\x04K\x01.", "pickles and bare arrays are not opened"),
    "generated.mol_dict": (b"\x80\x04K\x01.", "pickles and bare arrays are not opened"),
    "a.pdb": (b"ATOM", "unknown suffix '.pdb'"),
    "noname": (b"3\n", "unknown suffix ''"),
    "a.npz": (b"PK\x03\x04junk", "not an npz file"),
    "a.db": (b"SQLite format 3\x00" + bytes(500), "not a sound ASE database"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_where_nothing_can_be_read_one_sentence_says_why(tmp_path: Path, name: str):
    content, wanted = NOTHING[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_attempts(tmp_path / name)
    assert wanted in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"not a store at all")
    with pytest.raises(RefusedFileError):
        read_attempts(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="this is a folder, wanted a store"):
        read_attempts(tmp_path, "store")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [((), "it is empty"), (("a.pdb", "b.log"), "it holds a.pdb, b.log"), ((".hidden.xyz",), "it is empty")],
)
def test_a_folder_without_molecule_files(tmp_path: Path, names: tuple[str, ...], wanted: str):
    for name in names:
        (tmp_path / name).write_text(WATER)
    with pytest.raises(InputError, match=f"no molecule files .*{wanted}.*folders inside it are not searched"):
        read_attempts(tmp_path)


def test_a_folder_where_every_file_is_broken_names_the_first(tmp_path: Path):
    for index in range(3):
        (tmp_path / f"{index}.xyz").write_text("")
    with pytest.raises(InputError, match=r"none of 3 frames can be read; the first: .*0.xyz: the file holds no frames"):
        read_attempts(tmp_path)


def test_reading_is_fast(tmp_path: Path):
    """10,000 molecules take 0.6 s (xyz), 0.7 s (SDF) and 1.5 s (a folder); measured on a fifth, with a wide margin."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[:18]
    molecules = [Molecule(["C"] * 9 + ["H"] * 9, 1.5 * grid + rng.normal(0, 0.1, (18, 3))) for _ in range(2000)]
    (tmp_path / "folder").mkdir()
    write(tmp_path / "a.xyz", molecules)
    write(tmp_path / "a.sdf", molecules)
    text = (tmp_path / "a.xyz").read_text().splitlines(keepends=True)
    for index in range(2000):
        (tmp_path / "folder" / f"{index}.xyz").write_text("".join(text[20 * index : 20 * index + 20]))
    for name, limit in [("a.xyz", 0.3), ("a.sdf", 0.3), ("folder", 0.6)]:
        start = time.process_time()
        assert len(read_attempts(tmp_path / name)) == 2000
        assert time.process_time() - start < 2 * limit, name
