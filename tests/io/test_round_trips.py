"""What is written is read back, in every format, with the precision that the format promises."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st

from atomweave import Molecule
from atomweave.errors import InputError, UsageError
from atomweave.io import FORMATS, Refusal, format_of, iterate, read, write

PRECISION = {"xyz": 0.51e-8, "extxyz": 0.51e-8, "sdf": 0.51e-4, "asedb": 0.0, "npz": 0.0}  # Å
SUFFIX = {name: entry.suffixes[0] for name, entry in FORMATS.items()}

names = st.from_regex(r"[a-z][a-z_]{2,12}", fullmatch=True).filter(
    # names that the formats use themselves
    lambda name: name not in {"title", "pbc", "comment", "charges", "positions"}
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
values = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, width=64),
    texts,
    st.sampled_from(
        ["5", "-1e5", "nan", "T", "1 2 3", "_JSON 1", '"', "[1]", "a=b", "two\nlines", " x ", "$$$$", "> <x>"]
    ),
)
arrays = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=4).map(np.array)

NO_PROPERTIES = st.just({})


@st.composite
def molecules(draw: st.DrawFn, properties: st.SearchStrategy = NO_PROPERTIES) -> Molecule:
    """Atoms on a jittered grid, so that none coincide even after rounding."""
    n_atoms = draw(st.integers(1, 12))
    numbers = draw(st.lists(st.integers(1, 118), min_size=n_atoms, max_size=n_atoms))
    jitter = draw(st.lists(st.floats(-0.2, 0.2), min_size=3 * n_atoms, max_size=3 * n_atoms))
    origin = draw(st.sampled_from([0.0, -7.5, 812.25]))
    grid = np.array([[i % 3, i // 3 % 3, i // 9] for i in range(n_atoms)], float)
    return Molecule(numbers, grid + np.reshape(jitter, (-1, 3)) + origin, draw(properties))


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and a == b


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round_trips")


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None)
@given(batch=st.lists(molecules(), min_size=1, max_size=4))
def test_atoms_come_back(folder: Path, name: str, batch: list[Molecule]) -> None:
    path = folder / f"a{SUFFIX[name]}"
    write(path, batch)
    back = read(path)
    assert [m.numbers.tolist() for m in back] == [m.numbers.tolist() for m in batch]
    for a, b in zip(batch, back, strict=True):
        assert abs(a.positions - b.positions).max() <= PRECISION[name]


@pytest.mark.parametrize("name", ["extxyz", "sdf", "asedb"])
@settings(max_examples=40, deadline=None)
@given(molecule=molecules(st.dictionaries(names, st.one_of(values, arrays), max_size=4)))
def test_properties_come_back_with_their_types(folder: Path, name: str, molecule: Molecule) -> None:
    path = folder / f"p{SUFFIX[name]}"
    write(path, molecule)
    (back,) = read(path)
    assert set(back.properties) == set(molecule.properties)
    for key, value in molecule.properties.items():
        assert same(back.properties[key], value), (key, value, back.properties[key])


@settings(max_examples=25, deadline=None)
@given(
    batch=st.lists(
        molecules(st.fixed_dictionaries({}, optional={"gap": st.floats(-9, 9), "smiles": texts})), min_size=1
    )
)
def test_npz_keeps_numbers_and_text_and_what_is_missing(folder: Path, batch: list[Molecule]) -> None:
    path = folder / "p.npz"
    write(path, batch)
    assert [dict(m.properties) for m in read(path)] == [dict(m.properties) for m in batch]


@pytest.mark.parametrize("name", FORMATS)
def test_same_molecules_same_bytes(tmp_path: Path, name: str) -> None:
    batch = [
        Molecule(["O", "H", "H"], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], {"gap": 0.1 * i, "u": "a"})
        for i in range(3)
    ]
    files = [tmp_path / f"{i}{SUFFIX[name]}" for i in range(2)]
    for path in files:
        write(path, batch)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}  # and nothing beside them


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a{SUFFIX[name]}"
    path.write_text("old")

    def broken() -> object:
        yield Molecule(["He"], [[0, 0, 0]])
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        write(path, broken())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_comment_of_plain_xyz(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", Molecule(["He"], [[0, 0, 0]], {"comment": "noble  gas\nof two lines", "gap": 1.0}))
    assert read(tmp_path / "a.xyz")[0].properties == {"comment": "noble gas of two lines"}


def test_extended_frames_in_an_xyz_file_are_obeyed(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1\nProperties=forces:R:3:species:S:1:pos:R:3 e=-1.5\n9 9 9 He 1 2 3\n")
    (molecule,) = read(tmp_path / "a.xyz")
    assert molecule.positions.tolist() == [[1, 2, 3]]
    assert molecule.properties == {"e": -1.5}


def test_ase_reads_what_we_write_and_we_read_what_ase_writes(tmp_path: Path) -> None:
    water = Molecule(["O", "H", "H"], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    tagged = Molecule(
        water.numbers, water.positions, {"gap": 7.5, "name": "water 1", "good": True, "axis": np.array([1.5, 2.0])}
    )
    write(tmp_path / "ours.extxyz", tagged)
    atoms = ase.io.read(tmp_path / "ours.extxyz")
    assert (atoms.numbers == water.numbers).all()
    assert (atoms.info["gap"], atoms.info["name"], bool(atoms.info["good"])) == (7.5, "water 1", True)
    assert atoms.info["axis"].tolist() == [1.5, 2.0]
    atoms.set_array("tags", np.arange(3))
    ase.io.write(tmp_path / "theirs.extxyz", [atoms, atoms])
    for back in read(tmp_path / "theirs.extxyz"):
        assert np.allclose(back.positions, water.positions)
        assert same(back.properties["axis"], np.array([1.5, 2.0]))
        assert {k: v for k, v in back.properties.items() if k != "axis"} == {
            "gap": 7.5,
            "name": "water 1",
            "good": True,
        }
    with connect(tmp_path / "theirs.db") as database:
        database.write(atoms, gap=7.5, data={"mu": np.array([1.5]), "forces": np.zeros((3, 3))})
    assert read(tmp_path / "theirs.db")[0].properties == {"gap": 7.5, "mu": 1.5}


def test_numbers_as_fortran_and_mathematica_write_them(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("2\n\n6 1.5D-1 0 0\nCL 2.0*^-6 1 .5\n")
    (molecule,) = read(tmp_path / "a.xyz")
    assert molecule.symbols == ["C", "Cl"]
    assert molecule.positions.tolist() == [[0.15, 0, 0], [2e-6, 1, 0.5]]


def test_format_is_named_or_from_the_suffix(tmp_path: Path) -> None:
    assert format_of("A.XYZ") == "xyz"
    assert format_of("a.txt", "db") == "asedb"
    with pytest.raises(UsageError, match="did you mean 'extxyz'"):
        format_of("a", "extxy")
    with pytest.raises(UsageError, match=r"unknown suffix '\.pdb'"):
        format_of("a.pdb")
    with pytest.raises(InputError, match="there is no such file"):
        iterate(tmp_path / "none.xyz")
    with pytest.raises(InputError, match="this is a folder"):
        iterate(tmp_path, "xyz")
    with pytest.raises(InputError, match="no molecules to write"):
        write(tmp_path / "a.xyz", [])


def test_progress_reaches_most_of_a_file(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", [Molecule(["He"], [[0, 0, 0]])] * 20_000)
    shares: list[float] = []
    assert sum(isinstance(frame, Molecule) for frame in iterate(tmp_path / "a.xyz", progress=shares.append)) == 20_000
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def test_a_refusal_is_a_sentence_and_has_a_kind() -> None:
    refusal = Refusal("a.xyz", 3, "line 9, atom 12: unknown element 'Q7', wanted one")
    assert refusal.sentence == "a.xyz, frame 3: line 9, atom 12: unknown element 'Q7', wanted one."
    assert refusal.kind == "line …, atom …: unknown element …, wanted one"
