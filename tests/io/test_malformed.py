"""Broken files: each broken frame is one clear sentence, and the frames around it are still read."""

from __future__ import annotations

import io
import pickle
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest

from atomweave import Molecule
from atomweave.errors import InputError
from atomweave.io import Refusal, iterate, read, write
from reliability import broken_binary

GOOD = "1\n\nHe 0 0 0\n"

XYZ = {
    "nan": ("2\n\nH 0 0 0\nH nan 0 0\n", "atom 1 (H): position is not finite"),
    "infinite": ("1\n\nH inf 0 0\n", "atom 0 (H): position is not finite"),
    "overflow": ("1\n\nH 1e999 0 0\n", "atom 0 (H): position is not finite"),
    "coincident": ("2\n\nH 0 0 0\nC 0 0 0.0001\n", "atoms 0 and 1 coincide"),
    "unknown element": ("1\n\nXx 0 0 0\n", "line 6, atom 0: unknown element 'Xx'"),
    "number beyond": ("1\n\n119 0 0 0\n", "unknown element '119'"),
    "number zero": ("1\n\n0 0 0 0\n", "unknown element '0'"),
    "dummy": ("1\n\nX 0 0 0\n", "unknown element 'X'"),
    "no atoms": ("0\n\n", "at least one atom, got none"),
    "too few atoms": ("3\n\nH 0 0 0\nH 1 0 0\n", "truncated: line 4 announces 3 atoms, 2 follow"),
    "too many atoms": ("1\n\nH 0 0 0\nH 1 0 0\n", "where the number of atoms was wanted"),
    "bad head": ("three\n\nH 0 0 0\n", "line 4: got 'three' where the number of atoms was wanted"),
    "negative head": ("-1\n\nH 0 0 0\n", "line 4: got '-1'"),
    "float head": ("1.0\n\nH 0 0 0\n", "line 4: got '1.0'"),
    "bad number": ("1\n\nH 0 0 zero\n", "line 6, atom 0: got '0 0 zero' where three coordinates"),
    "underscore": ("1\n\nH 0 0 1_0\n", "three coordinates were wanted"),
    "two coordinates": ("1\n\nH 0 0\n", "where an element and three coordinates were wanted"),
    "blank inside": ("2\n\nH 0 0 0\n\nH 0 0 1\n", "truncated"),
    "element of 5000 digits": (f"1\n\n{'9' * 5000} 0 0 0\n", "unknown element '9999"),
    "binary": ("\x00\x01\x02\n", "where the number of atoms was wanted"),
}


def frames(path: Path) -> tuple[list[Molecule], list[Refusal]]:
    found = list(iterate(path))
    return [f for f in found if isinstance(f, Molecule)], [f for f in found if isinstance(f, Refusal)]


@pytest.mark.parametrize("case", XYZ)
def test_xyz_frame_is_refused_alone(tmp_path: Path, case: str) -> None:
    text, reason = XYZ[case]
    path = tmp_path / "a.xyz"
    path.write_text(GOOD + text + GOOD)
    molecules, refusals = frames(path)
    assert reason in refusals[0].reason
    assert all("\n" not in refusal.reason for refusal in refusals)
    assert molecules[0].symbols == molecules[-1].symbols == ["He"]
    # "too many atoms" reads its first atoms as a sound frame, and then finds no head.
    assert refusals[0].frame == (2 if case == "too many atoms" else 1)
    assert len(refusals) == 1
    with pytest.raises(InputError, match=f"a.xyz, frame {refusals[0].frame}: "):
        read(path)


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("Properties=pos:R:3", "wanted columns such as species:S:1:pos:R:3"),
        ("Properties=species:S:1:pos:R:x", "wanted columns such as"),
        ("Properties=species:S:1:pos:R:2", "wanted columns such as"),
        ('name="open', "where key=value was wanted"),
        ("=5", "where key=value was wanted"),
        ('x="_JSON {"', "is not JSON"),
        ('x="_JSON ' + "[" * 100_000 + '"', "is not JSON"),
        ("Properties=species:S:1:pos:R:3:x:R:²", "wanted columns such as"),
    ],
)
def test_extxyz_comment_is_refused_alone(tmp_path: Path, comment: str, reason: str) -> None:
    (tmp_path / "a.extxyz").write_text(f"{GOOD}1\n{comment}\nHe 0 0 0\n{GOOD}")
    molecules, refusals = frames(tmp_path / "a.extxyz")
    assert len(molecules) == 2
    assert [refusal.frame for refusal in refusals] == [1]
    assert reason in refusals[0].reason


def sdf(counts: str, atoms: str, end: str = "M  END\n", program: str = "  x") -> str:
    return f"name\n{program}\n\n{counts}\n{atoms}{end}$$$$\n"


def v3000(*lines: str) -> str:
    return sdf(V3000, "".join(f"M  V30 {line}\n" for line in lines))


COUNTS = "  1  0  0  0  0  0            999 V2000"
HELIUM = "    0.0000    0.0000    0.0000 He  0  0\n"
V3000 = "  0  0  0     0  0            999 V3000"
DRAWING = (
    "\n  x                 2D\n\n  2  0  0  0  0  0            999 V2000\n" + HELIUM + HELIUM.replace("0.0", "1.0", 1)
)
SDF = {
    "short": ("name\n\n$$$$\n", "truncated: the record at line 8 has 2 lines"),
    "no end": (sdf(COUNTS, HELIUM, end=""), "has no line 'M  END'"),
    "counts": (sdf("one atom", HELIUM), "line 11: got 'one atom' where a counts line was wanted"),
    "too few": (sdf(COUNTS.replace("1", "9", 1), HELIUM), "line 11 announces 9 atoms, 1 lines follow"),
    "no atoms": (sdf(COUNTS.replace("1", "0", 1), ""), "at least one atom"),
    "element": (sdf(COUNTS, HELIUM.replace("He", "R#")), "line 12, atom 0: unknown element"),
    "coordinate": (sdf(COUNTS, HELIUM.replace("0.0000", "abcdef", 1)), "three coordinates were wanted"),
    "nan": (sdf(COUNTS, HELIUM.replace("0.0000", "   nan", 1)), "position is not finite"),
    "drawing": (DRAWING + "M  END\n$$$$\n", "a drawing in 2D"),
    "v3000 empty": (sdf(V3000, ""), "has no line COUNTS"),
    "v3000 short": (v3000("COUNTS 2 0 0 0 0", "BEGIN ATOM", "1 C 0 0 0 0", "END ATOM"), "COUNTS announces 2"),
    "v3000 atom": (v3000("COUNTS 1 0 0 0 0", "BEGIN ATOM", "1 C 0", "END ATOM"), "line 14, atom 0: got '1 C 0'"),
    "v3000 open": (v3000("COUNTS 1 0 0 0 0", "BEGIN ATOM", "1 C 0 0 0 0"), "truncated"),
}


@pytest.mark.parametrize("case", SDF)
def test_sdf_record_is_refused_alone(tmp_path: Path, case: str) -> None:
    text, reason = SDF[case]
    good = sdf(COUNTS, HELIUM)
    (tmp_path / "a.sdf").write_text(good + text + good)
    molecules, refusals = frames(tmp_path / "a.sdf")
    assert len(molecules) == 2
    assert [refusal.frame for refusal in refusals] == [1]
    assert reason in refusals[0].reason


def test_bonds_of_an_sdf_are_never_trusted(tmp_path: Path) -> None:
    nonsense = "  1 99  7  0\n  x  y  z\n"
    (tmp_path / "a.sdf").write_text(sdf("  1  2  0  0  0  0            999 V2000", HELIUM + nonsense))
    assert len(read(tmp_path / "a.sdf")) == 1


def test_sdf_that_ends_without_its_last_delimiter_is_whole_but_a_cut_one_is_not(tmp_path: Path) -> None:
    whole = sdf(COUNTS, HELIUM).removesuffix("$$$$\n")
    (tmp_path / "a.mol").write_text(whole)
    assert len(read(tmp_path / "a.mol")) == 1
    (tmp_path / "a.mol").write_text(whole[:-5])
    with pytest.raises(InputError, match="no line 'M  END'"):
        read(tmp_path / "a.mol")


@pytest.mark.parametrize("suffix", ["xyz", "extxyz", "sdf", "db", "npz"])
def test_empty_file_is_one_refusal_of_the_whole(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(b"")
    molecules, refusals = frames(tmp_path / f"a.{suffix}")
    assert molecules == []
    assert [refusal.frame for refusal in refusals] == [None]


@pytest.mark.parametrize("suffix", ["db", "npz"])
@pytest.mark.parametrize(
    "content", [b"not a database, not an archive" * 99, pickle.dumps({"x": 1}), b"PK\x03\x04" + bytes(99)]
)
def test_other_files_are_one_refusal_of_the_whole(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    molecules, refusals = frames(path)
    assert molecules == []
    assert len(refusals) == 1
    assert path.read_bytes() == content


def test_database_with_a_damaged_row(tmp_path: Path) -> None:
    write(tmp_path / "a.db", [Molecule(["He"], [[0, 0, 0]])] * 3)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE systems SET positions=x'00' WHERE id=2")
    connection.close()
    molecules, refusals = frames(tmp_path / "a.db")
    assert len(molecules) == 2
    assert [refusal.frame for refusal in refusals] == [1]
    assert "the row cannot be decoded" in refusals[0].reason


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (
            "key_value_pairs",
            '{"a": {"__ndarray__": [[10000000000], "float64", [0]]}}',
            "an array of 1 numbers that says",
        ),
        ("data", '{"a": ' * 100_000, "nested too deeply"),
        ("data", b"\x08" + bytes(7) + b'{"a": {"__ndarray__": [[9999], "float64", 0]}}', "beyond the end of its bytes"),
        ("numbers", "text", "its numbers are no array"),
        ("positions", bytes(8), "three 64-bit numbers for each of 1 atoms"),
    ],
)
def test_cells_of_a_database_are_not_trusted(tmp_path: Path, column: str, cell: object, reason: str) -> None:
    write(tmp_path / "a.db", [Molecule(["He"], [[0, 0, 0]])] * 3)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(f"UPDATE systems SET {column}=? WHERE id=2", (cell,))  # noqa: S608 - ours
    connection.close()
    molecules, refusals = frames(tmp_path / "a.db")
    assert len(molecules) == 2
    assert [refusal.frame for refusal in refusals] == [1]
    assert reason in refusals[0].reason


def test_a_database_whose_table_never_ends_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.db", [Molecule(["He"], [[0, 0, 0]])])
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("DROP TABLE systems")
        rows = "WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM c) SELECT id FROM c"
        connection.execute(f"CREATE VIEW systems AS {rows}")
    connection.close()
    molecules, refusals = frames(tmp_path / "a.db")
    assert molecules == []
    assert "no table 'systems'" in refusals[0].reason


def test_long_numbers_among_sd_data_take_no_time(tmp_path: Path) -> None:
    good = sdf(COUNTS, HELIUM).removesuffix("$$$$\n")
    (tmp_path / "a.sdf").write_text(f"{good}> <x>\n{'9' * 900_000}x\n\n$$$$\n")
    (molecule,) = read(tmp_path / "a.sdf")
    assert len(molecule.properties["x"]) == 900_001


def test_halves_of_characters_do_not_reach_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.extxyz").write_text('1\nx="_JSON \\"\\\\ud800\\""\nHe 0 0 0\n')
    molecules = read(tmp_path / "a.extxyz")
    assert molecules[0].properties == {"x": "?"}
    write(tmp_path / "b.db", molecules)


def test_an_archive_of_zeros_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **edm(), zeros=np.zeros(9_000_000))
    molecules, refusals = frames(tmp_path / "a.npz")
    assert molecules == []
    assert "unpacks to 72 MB" in refusals[0].reason


def edm(**changes: object) -> dict[str, np.ndarray]:
    arrays = {
        "num_atoms": np.array([1, 2, 1]),
        "charges": np.array([[2, 0], [1, 1], [2, 0]]),
        "positions": np.arange(18.0).reshape(3, 2, 3),
    }
    return {name: array for name, array in (arrays | changes).items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_atoms": np.array([1, 5, 1])}, "num_atoms is 5, wanted at most 2"),
        ({"num_atoms": np.array([1, 1, 1])}, "num_atoms is 1, but there are elements beyond"),
        ({"num_atoms": np.array([1, -1, 1])}, "num_atoms is -1"),
        ({"charges": np.array([[2, 0], [1, 0], [2, 0]])}, "atomic number 0 is unknown"),
        ({"charges": np.array([[2, 0], [1, 300], [2, 0]])}, "atomic number 300 is unknown"),
        ({"positions": np.where(np.arange(18) == 8, np.nan, np.arange(18.0)).reshape(3, 2, 3)}, "not finite"),
    ],
)
def test_npz_molecule_is_refused_alone(tmp_path: Path, changes: dict[str, np.ndarray], reason: str) -> None:
    np.savez(tmp_path / "a.npz", **edm(**changes))
    molecules, refusals = frames(tmp_path / "a.npz")
    assert len(molecules) == 2
    assert [refusal.frame for refusal in refusals] == [1]
    assert reason in refusals[0].reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"charges": None}, "it holds no charges"),
        ({"charges": None, "positions": None}, "it holds no charges and no positions"),
        ({"positions": np.zeros((3, 2, 2))}, "positions are float64 (3, 2, 2)"),
        ({"charges": np.zeros((2, 2), int)}, "num_atoms and charges are not whole numbers"),
        ({"num_atoms": np.array([1.0, 2.0, 1.0])}, "num_atoms and charges are not whole numbers"),
        ({"num_atoms": np.array([{}, {}, {}])}, "Object arrays cannot be loaded"),
    ],
)
def test_npz_of_another_layout_is_refused_as_a_whole(
    tmp_path: Path, changes: dict[str, np.ndarray], reason: str
) -> None:
    np.savez(tmp_path / "a.npz", **edm(**changes))
    molecules, refusals = frames(tmp_path / "a.npz")
    assert molecules == []
    assert reason in refusals[0].reason


def test_a_cut_npz_and_a_single_array_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **edm())
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])
    assert "not an npz file" in frames(tmp_path / "a.npz")[1][0].reason
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    assert "a single array" in frames(tmp_path / "a.npz")[1][0].reason


def test_an_outdated_name_of_a_type_is_no_warning(tmp_path: Path) -> None:
    """The fuzzer's find: NumPy warns of "a", which it calls "S" since version 2, and the user was shown that."""
    entries = broken_binary.entries_of(edm())
    header = "{'descr': '|a4', 'fortran_order': False, 'shape': (1,), }"
    content = broken_binary.archive({**entries, "note.npy": broken_binary.with_header(header, b"text")})
    (tmp_path / "a.npz").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        molecules, refusals = frames(tmp_path / "a.npz")
    if refusals:  # since version 2.5 it knows the name no more
        assert (len(molecules), len(refusals)) == (0, 1)
        assert "the header of array 'note' cannot be read" in refusals[0].reason
    else:
        assert len(molecules) == len(edm()["num_atoms"])
