"""Hostile input: each case is one clear sentence or one row with a reason; nothing hangs, nothing else is lost."""

from __future__ import annotations

import io
import os
import sqlite3
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from atomweave.chemistry import bonds
from atomweave.data.store import MoleculeStore
from atomweave.errors import AtomweaveError, InputError
from atomweave.evaluation.graphs import Graphs
from atomweave.evaluation.headline import summarise
from atomweave.evaluation.reading import Attempts, read_attempts
from atomweave.evaluation.stability import stability
from atomweave.evaluation.validity import assess
from atomweave.io import write
from atomweave.molecule import Molecule
from reference import worked_molecules as worked

LONGEST = 2.0  # s of CPU time for reading any of these files

GOOD = "3\n\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"


def xyz(*atoms: str, comment: str = "") -> str:
    return f"{len(atoms)}\n{comment}\n" + "".join(f"{atom}\n" for atom in atoms)


def around(frame: str) -> str:
    """A frame between two sound ones."""
    return GOOD + frame + GOOD


# What stands between two sound frames -> formula if it is read, else the class under which it is counted.
XYZ_FRAMES = {
    "nan": (xyz("H nan 0 0"), "position not finite"),
    "minus infinity": (xyz("H 0 -inf 0"), "position not finite"),
    "written-out infinity": (xyz("H 0 Infinity 0"), "position not finite"),
    "overflow": (xyz("H 1e999 0 0"), "position not finite"),
    "coincident": (xyz("H 0 0 0", "H 0 0 0.0009"), "coincident atoms"),
    "all at the origin": (xyz(*["C 0 0 0"] * 20), "coincident atoms"),
    "dummy atom": (xyz("X 0 0 0"), "unknown element"),
    "wildcard": (xyz("* 0 0 0"), "unknown element"),
    "mask token": (xyz("[MASK] 0 0 0"), "unknown element"),
    "numbered symbol": (xyz("C12 0 0 0"), "unknown element"),
    "atomic number 0": (xyz("0 0 0 0"), "unknown element"),
    "atomic number 119": (xyz("119 0 0 0"), "unknown element"),
    "negative atomic number": (xyz("-6 0 0 0"), "unknown element"),
    "huge atomic number": (xyz(f"{10**4000} 0 0 0"), "unknown element"),
    "unicode digit": (xyz("\u0661 0 0 0"), "unknown element"),
    "symbol with NUL": (xyz("C\x00 0 0 0"), "unknown element"),
    "script as symbol": (xyz("<script>alert(1)</script> 0 0 0"), "unknown element"),
    "escape sequence as symbol": (xyz("\x1b[31mC 0 0 0"), "unknown element"),
    "no atoms": ("0\n\n", "no atoms"),
    "decimal commas": (xyz("C 0,0 1,5 0,0"), "malformed atom line"),
    "asterisks of Fortran": (xyz("C ********** 0 0"), "malformed atom line"),
    "two coordinates": (xyz("C 0 0"), "malformed atom line"),
    "complex": (xyz("C 0 0 1j"), "malformed atom line"),
    "hexadecimal": (xyz("C 0x1 0 0"), "malformed atom line"),
    "underscore": (xyz("C 1_0 0 0"), "malformed atom line"),
    "fewer atoms than announced": ("4\n\nC 0 0 0\nH 1 0 0\n", "cut off"),
    "no comment line": ("2\nC 0 0 0\nO 1.2 0 0\n", "malformed comment line"),
    "a count of 1e12": ("1000000000000\n\nC 0 0 0\n", "not a frame"),
    "a count of nearly 1e9": ("999999999\n\nC 0 0 0\n", "cut off"),
    "a count in floats": ("1.0\n\nC 0 0 0\n", "not a frame"),
    "a negative count": ("-1\n\nC 0 0 0\n", "not a frame"),
    "atomic numbers": (xyz("6 0 0 0", "8 1.2 0 0"), "CO"),
    "lower and upper case": (xyz("c 0 0 0", "CL 1.7 0 0", "br -1.9 0 0"), "CBrCl"),
    "deuterium": (xyz("O 0 0 0", "D 0.96 0 0", "T -0.24 0.93 0"), "H2O"),
    "Fortran's exponents": (xyz("C 1.0D-01 -2.5d+00 0", "O 1.3 -2.5 0"), "CO"),
    "exponents of QM9's own files": (xyz("C 1.*^-1 0 0", "O 1.3 0 0"), "CO"),
    "extra columns": (xyz("C 0 0 0 -0.12 0.1 0.2 0.3 label", "O 1.2 0 0 # end"), "CO"),
    "tabs and blanks": (xyz("\tC\t0\t0\t0\t", "  O   1.2   0   0  "), "CO"),
    "hostile comment": (xyz("C 0 0 0", "O 1.2 0 0", comment="=cmd|'/c calc'!A0 <script>\x1b[2J\x07"), "CO"),
    "endless comment": (xyz("C 0 0 0", "O 1.2 0 0", comment="x" * 500_000), "CO"),
    "bytes that are no text": (xyz("C 0 0 0", "O 1.2 0 0", comment="\udcff\udcfe"), "CO"),
    "very far apart": (xyz("C -1e200 0 0", "O 1e200 0 0"), "position too far out"),
    "far apart": (xyz("C -1e7 0 0", "O 1e7 0 0"), "CO"),
    "denormal": (xyz("C 5e-324 0 0", "O 1.2 0 0"), "CO"),
}

BLOCK = "    0.0000    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0\n"
OXYGEN = BLOCK.replace("0.0000", "1.2000", 1).replace(" C ", " O ")


def sdf(
    atoms: str, counts: str = "  2  0  0  0  0  0  0  0  0  0999 V2000", *, title: str = "x", end: str = "M  END\n"
):
    return f"{title}\n  Program 01010100003D\n\n{counts}\n{atoms}{end}$$$$\n"


def v3000(*lines: str) -> str:
    return sdf("".join(f"M  V30 {line}\n" for line in lines), "  0  0  0     0  0            999 V3000")


CARBON_MONOXIDE = ["BEGIN ATOM", "1 C 0 0 0 0", "2 O 1.2 0 0 0 CHG=1", "END ATOM"]
MANY = "".join(f"{1.5 * i:10.4f}    0.0000    0.0000 C   0  0\n" for i in range(1005))

SDF_FRAMES = {
    "charges": (sdf(BLOCK + OXYGEN, end="M  CHG  2   1   1   2  -1\nM  END\n"), "CO"),
    "bonds to nowhere": (sdf(BLOCK + OXYGEN + "  1 99  7  0\n", "  2  1  0  0  0  0  0  0  0  0999 V2000"), "CO"),
    "aromatic and query bonds": (sdf(BLOCK + OXYGEN + "  1  2  8\n", "  2  1  0  0  0  0  0  0  0  0999 V2000"), "CO"),
    "no version": (sdf(BLOCK + OXYGEN, "  2  0"), "CO"),
    "blanks for columns": (sdf("0 0 0 C\n1.2 0 0 O\n"), "CO"),
    "deuterium": (sdf(BLOCK.replace(" C ", " D ") + OXYGEN), "HO"),
    "hostile title": (sdf(BLOCK + OXYGEN, title="=1+1 <img src=x onerror=alert(1)>\x1b]0;owned\x07"), "CO"),
    "endless title": (sdf(BLOCK + OXYGEN, title="x" * 300_000), "CO"),
    "title like an end": (sdf(BLOCK + OXYGEN, title="M  END"), "CO"),
    "hostile data": (sdf(BLOCK + OXYGEN, end="M  END\n> <a<b>c>\n=HYPERLINK()\n\n> <>\nx\n\n"), "CO"),
    "V3000": (v3000("COUNTS 2 0 0 0 0", *CARBON_MONOXIDE), "CO"),
    "V3000 continued lines": (
        v3000("COUNTS 2 0 0 0 0", "BEGIN ATOM", "1 C 0 0 -", "0 0", "2 O 1.2 0 0 0", "END ATOM"),
        "CO",
    ),
    "V3000 with a count of 1e12": (v3000("COUNTS 1000000000000 0 0 0 0", *CARBON_MONOXIDE), "cut off"),
    "V3000 atom list": (
        v3000("COUNTS 1 0 0 0 0", "BEGIN ATOM", "1 [C,N] 0 0 0 0", "END ATOM"), "unknown element"
    ),
    "atom list": (sdf(BLOCK.replace(" C ", " L ") + OXYGEN), "unknown element"),
    "R group": (sdf(BLOCK.replace(" C ", " R# ") + OXYGEN), "unknown element"),
    "lone pair": (sdf(BLOCK.replace(" C ", " LP ") + OXYGEN), "unknown element"),
    "missing M END": (sdf(BLOCK + OXYGEN, end=""), "cut off"),
    "fewer atoms than announced": (sdf(BLOCK, "  9  0  0  0  0  0"), "cut off"),
    "more than 999 atoms": (sdf(MANY, "10051004  0  0  0  0  0  0  0  0999 V2000"), "more atoms than announced"),
    "no counts": (sdf(BLOCK, "molecule"), "not a frame"),
    "a drawing": (sdf(BLOCK + OXYGEN).replace("3D", "2D"), "drawing in 2D"),
    "not a number": (sdf(BLOCK + OXYGEN.replace("1.2000", "   nan")), "position not finite"),
    "on one spot": (sdf(BLOCK + BLOCK), "coincident atoms"),
}  # fmt: skip


def told(attempts: Attempts) -> list[str]:
    """Formula or class of every attempt; proves on the way that what is read is sound."""
    n = len(attempts)
    assert [len(column) for column in (attempts.finished, attempts.reasons, attempts.labels, attempts.details)] == [
        n
    ] * 4
    rows = zip(attempts.molecules, attempts.finished, attempts.reasons, attempts.details, strict=True)
    for molecule, finished, reason, detail in rows:
        assert (molecule is None) == (not finished) == bool(reason) == bool(detail)
        assert molecule is None or np.isfinite(molecule.positions).all()
        assert "\n" not in detail
        assert len(reason) <= 80
    for text in [*attempts.labels, *attempts.details, *attempts.reasons, *attempts.notes]:
        assert text.isprintable()
    return [
        reason.removeprefix("unreadable: ") if molecule is None else molecule.formula
        for molecule, reason in zip(attempts.molecules, attempts.reasons, strict=True)
    ]


def read_in_time(path: Path, *arguments: object) -> Attempts:
    start = time.process_time()
    try:
        return read_attempts(path, *arguments)
    finally:
        assert time.process_time() - start < LONGEST


def refusal(path: Path, *arguments: object) -> str:
    """The one sentence with which a path is refused."""
    with pytest.raises(AtomweaveError) as caught:
        read_in_time(path, *arguments)
    said = str(caught.value)
    assert said.isprintable()
    assert said.endswith(".")
    return said


def told_or_refused(path: Path) -> list[str] | None:
    """Formulas and classes of what a file holds; None if it is refused as a whole, in a sentence."""
    try:
        return told(read_in_time(path))
    except AtomweaveError:
        assert refusal(path)
        return None


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("case", XYZ_FRAMES)
def test_xyz_frames(tmp_path: Path, case: str, ends: str):
    frame, wanted = XYZ_FRAMES[case]
    path = tmp_path / "a.xyz"
    path.write_bytes(around(frame).replace("\n", ends).encode(errors="surrogateescape"))
    assert told(read_in_time(path)) == ["H2O", wanted, "H2O"]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("case", SDF_FRAMES)
def test_sdf_frames(tmp_path: Path, case: str, ends: str):
    frame, wanted = SDF_FRAMES[case]
    good = sdf(BLOCK + OXYGEN)
    path = tmp_path / "a.sdf"
    path.write_bytes((good + frame + good).replace("\n", ends).encode())
    assert told(read_in_time(path)) == ["CO", wanted, "CO"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8", "latin-1"])
@pytest.mark.parametrize(("name", "text"), [("a.xyz", GOOD + GOOD), ("a.sdf", sdf(BLOCK + OXYGEN) * 2)])
def test_encodings_that_editors_write(tmp_path: Path, name: str, text: str, encoding: str):
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert told(read_in_time(tmp_path / name)) == (["H2O"] * 2 if name == "a.xyz" else ["CO"] * 2)


def test_utf_16_without_a_mark_is_refused_as_what_it_looks_like(tmp_path: Path):
    (tmp_path / "a.xyz").write_bytes(GOOD.encode("utf-16-le"))
    assert "where the number of atoms was wanted" in refusal(tmp_path / "a.xyz")


def test_nul_bytes_and_endless_lines(tmp_path: Path):
    (tmp_path / "nul.xyz").write_bytes(bytes(3_000_000))
    (tmp_path / "line.xyz").write_bytes(b"x" * 3_000_000)
    (tmp_path / "line.sdf").write_bytes(b"x" * 3_000_000)
    assert "where the number of atoms was wanted" in refusal(tmp_path / "nul.xyz")
    assert "where the number of atoms was wanted" in refusal(tmp_path / "line.xyz")
    assert "truncated" in refusal(tmp_path / "line.sdf")


FORMATS = [".xyz", ".extxyz", ".sdf", ".db", ".npz", ".safetensors"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four molecules in every format."""
    folder = tmp_path_factory.mktemp("whole")
    molecules = [
        Molecule(m.numbers, m.positions, {"finished": True}) for m in map(worked.embedded, ["CCO", "CC", "C", "O"])
    ]
    for suffix in FORMATS[:-1]:
        write(folder / f"a{suffix}", molecules)
    MoleculeStore.from_molecules(molecules).write(folder / "a.safetensors")
    return {suffix: folder / f"a{suffix}" for suffix in FORMATS}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_anywhere_keeps_the_frames_before(tmp_path: Path, whole: dict[str, Path], suffix: str):
    content = whole[suffix].read_bytes()
    formulas = told(read_attempts(whole[suffix]))
    path = tmp_path / f"cut{suffix}"
    read = set()
    for length in np.linspace(1, len(content) - 2, 25).astype(int).tolist():
        path.write_bytes(content[:length])
        found = told_or_refused(path)
        if found is None:
            continue
        # Sound frames first, then at most one that was cut; a database knows how many rows it should have.
        n_sound = sum(name in formulas for name in found)
        read.add(n_sound)
        assert found[:n_sound] == formulas[:n_sound]
        assert len(found) <= n_sound + 1 or suffix == ".db"
    if suffix in (".xyz", ".extxyz", ".sdf"):
        assert {1, 2, 3} <= read


def test_broken_frames_one_after_the_other_are_all_counted(tmp_path: Path):
    broken = [name for name, (_, wanted) in XYZ_FRAMES.items() if wanted in ("malformed atom line", "unknown element")]
    (tmp_path / "a.xyz").write_text(around("".join(XYZ_FRAMES[name][0] for name in broken)))
    assert told(read_in_time(tmp_path / "a.xyz")) == ["H2O", *(XYZ_FRAMES[name][1] for name in broken), "H2O"]


def test_a_cut_is_told(tmp_path: Path):
    (tmp_path / "a.xyz").write_text(GOOD + GOOD[:-20])
    attempts = read_in_time(tmp_path / "a.xyz")
    assert told(attempts) == ["H2O", "cut off"]
    assert any("the last frame is cut off" in note for note in attempts.notes)
    assert any(note.startswith("1 of 2 frames cannot be read") for note in attempts.notes)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # what ASE and numpy remark on damaged files
def test_flipped_bytes_are_rows_or_a_sentence(tmp_path: Path, whole: dict[str, Path], suffix: str):
    content = np.frombuffer(whole[suffix].read_bytes(), np.uint8)
    rng = np.random.default_rng(7)
    for _ in range(25):
        flipped = content.copy()
        places = rng.integers(0, len(content), rng.integers(1, 6))
        flipped[places] = rng.integers(0, 256, len(places))
        path = tmp_path / f"flipped{suffix}"
        path.write_bytes(flipped.tobytes())
        assert told_or_refused(path) != []


def test_npz_that_claims_to_be_huge(tmp_path: Path):
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("num_atoms", "charges", "positions"):
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(100))
    assert "not an npz file" in refusal(tmp_path / "a.npz")


def test_npz_with_objects_is_not_unpickled(tmp_path: Path):
    np.savez(
        tmp_path / "a.npz", num_atoms=np.array([{}], object), charges=np.array([[1]]), positions=np.zeros((1, 1, 3))
    )
    assert "Object arrays cannot be loaded" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("one_hot", "mask", "wanted"),
    [
        (np.zeros((1, 2, 7)), np.ones((1, 2)), "one_hot is"),
        (np.zeros((1, 2, 5)), np.ones((1, 3)), "one_hot is"),
        (np.zeros((1, 2, 5)), np.array([[0, 1]]), "atoms after its padding"),
    ],
)
def test_sampled_arrays_that_do_not_fit(tmp_path: Path, one_hot: np.ndarray, mask: np.ndarray, wanted: str):
    np.savez(tmp_path / "a.npz", one_hot=one_hot, x=np.zeros((1, 2, 3)), node_mask=mask)
    assert wanted in refusal(tmp_path / "a.npz")


def test_a_store_with_positions_that_are_no_numbers(tmp_path: Path):
    store = MoleculeStore.from_molecules([worked.water(), worked.methane()])
    positions = store.positions.copy()
    positions[4] = np.nan
    MoleculeStore(store.numbers, positions, store.offsets).write(tmp_path / "a.safetensors")
    assert "a position is not finite" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "damage", ["positions=x'00'", "numbers=x'ffffffffffffffffffffffff'", "key_value_pairs='{'", "data='{'"]
)
def test_a_database_with_a_damaged_row_loses_that_row_only(tmp_path: Path, damage: str):
    write(tmp_path / "a.db", [worked.water()] * 3)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(f"UPDATE systems SET {damage} WHERE id=2")  # noqa: S608 - ours
    connection.close()
    found = told(read_in_time(tmp_path / "a.db"))
    assert [found[0], found[2]] == ["H2O", "H2O"]
    assert found[1] != "H2O"


def test_reasons_and_labels_of_a_file_are_short_and_printable(tmp_path: Path):
    hostile = {"finished": False, "reason": "=1+1 <script>\x1b[2J" + "x" * 500}
    write(tmp_path / "a.extxyz", [Molecule(["He"], [[0, 0, 0]], hostile)])
    attempts = read_in_time(tmp_path / "a.extxyz")
    assert attempts.reasons[0].startswith("=1+1 <script>\\x1b[2Jxxx")
    assert len(attempts.reasons[0]) == 80


class TestFolders:
    def test_pipes_folders_and_links_named_like_molecules(self, tmp_path: Path):
        (tmp_path / "1.xyz").write_text(GOOD)
        os.mkfifo(tmp_path / "2.xyz")
        (tmp_path / "3.xyz").mkdir()
        (tmp_path / "4.xyz").symlink_to("1.xyz")
        (tmp_path / "5.xyz").symlink_to("nowhere.xyz")
        (tmp_path / "6.xyz").symlink_to("6.xyz")
        (tmp_path / "7.xyz").write_text("")
        attempts = read_in_time(tmp_path)
        unreadable = "file not readable"
        assert told(attempts) == ["H2O", "H2O", unreadable, unreadable, "no frames"]
        assert any("2.xyz, 3.xyz" in note for note in attempts.notes)

    def test_a_file_without_permission_is_one_lost_attempt(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        for index in (1, 2):
            (tmp_path / f"{index}.xyz").write_text(GOOD)
        original = Path.open

        def refusing(path: Path, *arguments: object, **further: object) -> object:
            if path.name == "1.xyz":
                raise PermissionError(13, "Permission denied")
            return original(path, *arguments, **further)

        monkeypatch.setattr(Path, "open", refusing)
        attempts = read_in_time(tmp_path)
        assert told(attempts) == ["file not readable", "H2O"]
        assert "Permission denied" in attempts.details[0]
        assert "Permission denied" in refusal(tmp_path / "1.xyz")

    def test_names_with_escape_sequences_and_bytes_that_are_no_text(self, tmp_path: Path):
        for name in ("\x1b[2J\n.xyz", "<script>.xyz", "=cmd.xyz", "caf\udce9.xyz", "9" * 240 + ".xyz"):
            (tmp_path / name).write_text(GOOD)
        (tmp_path / "\x1b[31m.pdb").write_text("")
        attempts = read_in_time(tmp_path)
        assert told(attempts) == ["H2O"] * 5
        assert "\\x1b[2J\\n.xyz" in attempts.labels

    def test_a_hostile_name_is_spelt_out_in_the_sentence(self, tmp_path: Path):
        (tmp_path / "\x1b[2J.xyz").write_text("")
        assert "\\x1b[2J.xyz: the file holds no frames." in refusal(tmp_path / "\x1b[2J.xyz")
        assert "\\x1b[2J" in refusal(tmp_path / "\x1b[2J.pdb")


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (os.mkfifo, "a pipe or a device"),
        (lambda path: path.symlink_to("nowhere"), "there is no such file"),
        (lambda path: path.symlink_to(path), "cannot be reached"),
        (lambda path: path.mkdir(), "the folder has no molecule files"),
    ],
)
def test_what_is_no_file(tmp_path: Path, make, wanted: str):
    make(tmp_path / "x.xyz")
    assert wanted in refusal(tmp_path / "x.xyz")


@pytest.mark.parametrize("name", ["x" * 5000 + ".xyz", "a\x00b.xyz", "/dev/null", "/dev/zero"])
def test_paths_that_no_file_can_have(name: str):
    assert refusal(Path(name), "xyz")


def crystal(n_atoms: int) -> Molecule:
    """A cube of carbon atoms 1.5 Å apart."""
    width = round(n_atoms ** (1 / 3) + 0.5)
    grid = np.stack(np.meshgrid(*[np.arange(width)] * 3), -1).reshape(-1, 3)[:n_atoms]
    return Molecule(np.full(n_atoms, 6), 1.5 * grid)


def test_ten_thousand_atoms_are_judged_in_little_time_and_memory(tmp_path: Path):
    import resource

    far_apart = Molecule(np.full(10_000, 1), np.arange(30_000).reshape(-1, 3) * 1.0)
    write(tmp_path / "a.xyz", [worked.methane(), crystal(10_000), far_apart])
    attempts = read_in_time(tmp_path / "a.xyz")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    verdicts = assess(attempts.molecules, timeout=20.0)
    found = stability([molecule for molecule in attempts.molecules if molecule is not None])
    graphs = Graphs.of([verdict for verdict in verdicts if verdict.valid])
    assert time.perf_counter() - start < 60
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000
    )  # kB; all pairs would take 800 MB each
    assert [verdict.valid for verdict in verdicts] == [True, False, False]
    assert verdicts[2].reason == bonds.NO_BONDS
    assert found.molecule_stable.tolist() == [True, False, False]
    assert found.n_atoms.tolist() == [5, 10_000, 10_000]
    assert len(graphs) == 1


def test_a_molecule_that_makes_perception_hang_costs_itself_only():
    sulphur = Molecule(["S"] * 600, [[2.0 * i, 0.3 * (i % 2), 0] for i in range(600)])
    start = time.perf_counter()
    verdicts = assess([worked.methane(), sulphur, worked.water(), worked.garbage(), worked.benzene()], timeout=5.0)
    assert time.perf_counter() - start < 60
    reasons = [verdict.reason for verdict in verdicts]
    assert reasons[:3] == ["", bonds.TIME_OUT, ""]
    assert reasons[3]
    assert reasons[4] == ""


def test_everything_that_can_be_read_is_judged_to_the_end(tmp_path: Path):
    """All frames of this page in one file each: every attempt has a verdict, every invalid one a reason."""
    (tmp_path / "a.xyz").write_bytes(GOOD.join(f for f, _ in XYZ_FRAMES.values()).encode(errors="surrogateescape"))
    (tmp_path / "a.sdf").write_text(sdf(BLOCK + OXYGEN).join(f for f, _ in SDF_FRAMES.values()))
    for name, frames, sound in [("a.xyz", XYZ_FRAMES, "H2O"), ("a.sdf", SDF_FRAMES, "CO")]:
        attempts = read_in_time(tmp_path / name)
        cases = [entry for _, wanted in frames.values() for entry in (wanted, sound)][:-1]
        assert told(attempts) == cases
        verdicts = assess(attempts.molecules, attempts.finished, attempts.reasons)
        headline = summarise(verdicts)
        assert headline["attempted"].count == headline["valid"].total == len(cases)
        assert sum(headline.reasons.values()) == len(cases) - headline["valid"].count
        assert len(Graphs.of([verdict for verdict in verdicts if verdict.valid])) == headline["valid"].count


def test_nothing_but_refusals_of_what_a_model_made_is_still_a_sample(tmp_path: Path):
    (tmp_path / "a.xyz").write_text(xyz("C nan nan nan") * 3)
    attempts = read_in_time(tmp_path / "a.xyz")
    assert told(attempts) == ["position not finite"] * 3
    headline = summarise(assess(attempts.molecules, attempts.finished, attempts.reasons))
    assert (headline["valid"].count, headline["valid"].total) == (0, 3)
    assert headline.reasons == {"unreadable: position not finite": 3}


def test_an_error_is_of_the_kind_that_users_see(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        read_attempts(tmp_path / "nothing.xyz")
    assert caught.value.exit_status == 3
