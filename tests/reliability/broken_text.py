"""Broken text files: xyz, extended xyz, SDF and SMILES, made from sound ones by class of damage."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from atomweave import Molecule
from atomweave.io import write

NUMBERS = (
    "nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e308", "1e300", "1e9", "0x10", "1_0",
    "--1", "1e", ".", "-", "+-1", "１", "1,5", "1.0.0", "1*^999", "1D999", "1D", "None", "1j",
    "\ud800".encode("utf-8", "replace").decode(), "9" * 400, "9" * 5000, "0." + "0" * 5000 + "1", "1e-99999", "²",
    "1\x00", "\x1b[2J", "{}", "$(id)", "'; DROP TABLE",
)  # fmt: skip
ELEMENTS = (
    "Xx", "X", "*", "R#", "A", "Q", "LP", "0", "-1", "119", "300", "1.0", "9" * 5000, "²", "٣", "Ｃ", "C\x00", "C1",
    "", "Uue", "\x1b[31m", "<script>", "..", "C;rm", "é", "\ufeffC", "\u200bC",
)  # fmt: skip
COUNTS = (
    "0", "-1", "-0", "1.5", "1e3", "nan", "inf", "999999999", "99999999999999999999", "9" * 5000, "²", "٣", "+3",
    "1_0", "three", "", " ", "0x3", "3 3", "3\x00", "2147483648", "\x1b[2J",
)  # fmt: skip
COMMENTS = (
    "Properties=species:S:1:pos:R:3:x:R:²", "Properties=species:S:1:pos:R:" + "9" * 5000, "Properties=pos:R:3",
    "Properties=species:S:1", "Properties=", "Properties=species:S:0:pos:R:3",
    "Properties=species:S:1:pos:R:3:f:R:99999999", "Properties=species:S:1:pos:R:3 a=" + "9" * 5000,
    'Properties=species:S:1:pos:R:3 a="' + "9" * 5000 + ' 1"', 'x="_JSON ' + "[" * 100_000 + '"', 'x="_JSON {"',
    'x="_JSON NaN"', 'x="_JSON 1e999"', 'x="_JSON ' + "9" * 5000 + '"', 'x="_JSON \\"\\\\ud800\\""',
    'x="_JSON [[1],[2,3]]"', 'x="_JSON [1e999, NaN]"', 'x="open', "=5", 'x="' + "\\" * 9999, "x=" + "y" * 100_000,
    "a" * 900_000, '"' * 100_000, "= " * 1000, "a=b=c=d", 'pbc="T T', 'Lattice="nan nan"', "a=nan", 'a="1 inf nan"',
    "a=18446744073709551615", "a=9223372036854775808", "a=-99999999999999999999", 'a="18446744073709551615 -1"',
    'a="99999999999999999999 1"', "\x00=\x00", "a=\x1b[2J", '"\x1b"=1', "finished=F reason=" + "x" * 9999,
    'x="_JSON ' + '{\\"a\\":' * 20_000 + '"', 'x="_JSON [' + "1," * 10_000 + '1]"', "a\u2028b=1", '"a/b"=1', '""=1',
)  # fmt: skip
ENCODINGS = ("utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-7", "utf-8-sig", "cp500")
LINES = (
    "\x00" * 50, "x" * 3_000_000, "9" * 1_500_000, " " * 2_000_000, "\t" * 1000, "\r" * 1000, "$$$$", "M  END",
    "\x0c\x0b\x1c", "1\n" * 100_000, "3\n\nH 0 0 0\n" * 3000, "\ufeff", "999 " * 1000, "> <" + "a" * 99_999 + ">",
    ">  <x", "M  V30 BEGIN ATOM",
)  # fmt: skip


def molecules(seed: int = 0) -> list[Molecule]:
    """Return three small molecules with properties of every kind."""
    rng = np.random.default_rng(seed)
    grid = 1.3 * np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
    properties = {"gap": 0.25, "name": "an é", "n": 3, "finished": True, "dipole": np.array([0.1, 0.2, 0.3])}
    return [
        Molecule(rng.choice([1, 6, 7, 8, 9], n), grid[:n] + rng.normal(0, 0.05, (n, 3)), properties) for n in (3, 5, 2)
    ]


def sound_files(folder: Path) -> dict[str, str]:
    """Return the text of a sound file for every text format, by the name of a file; V3000 too."""
    found = {}
    for suffix in ("xyz", "extxyz", "sdf"):
        write(folder / f"sound.{suffix}", molecules())
        found[f"a.{suffix}"] = (folder / f"sound.{suffix}").read_text(encoding="utf-8")
    found["v3000.sdf"] = "".join(_v3000(molecule) for molecule in molecules())
    found["a.smi"] = "CCO ethanol\n# nothing\nc1ccccc1\tbenzene\nO\n"
    return found


def _v3000(molecule: Molecule) -> str:
    rows = [
        f"M  V30 {i} {symbol} {x:.4f} {y:.4f} {z:.4f} 0\n"
        for i, (symbol, (x, y, z)) in enumerate(zip(molecule.symbols, molecule.positions, strict=True), 1)
    ]
    head = (
        f"name\n  x\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS {len(rows)} 0 0 0 0\n"
    )
    return f"{head}M  V30 BEGIN ATOM\n{''.join(rows)}M  V30 END ATOM\nM  V30 END CTAB\nM  END\n> <gap>\n0.5\n\n$$$$\n"


Damage = Callable[[str, np.random.Generator], str | bytes]


def _some_word(text: str, rng: np.random.Generator, new: tuple[str, ...], wanted: Callable[[str], bool]) -> str:
    """Replace a word that fits by one of `new`, keeping fixed columns where it can."""
    lines = text.split("\n")
    places = [(i, word) for i, line in enumerate(lines) for word in line.split() if wanted(word)]
    if not places:
        return text + new[0]
    i, word = places[rng.integers(len(places))]
    lines[i] = lines[i].replace(word, str(rng.choice(np.array(new, object))).ljust(len(word)), 1)
    return "\n".join(lines)


def _is_coordinate(word: str) -> bool:
    return "." in word and word.lstrip("-").replace(".", "").isdigit()


def number(text: str, rng: np.random.Generator) -> str:
    """A coordinate that is none, or beyond all bounds."""
    return _some_word(text, rng, NUMBERS, _is_coordinate)


def element(text: str, rng: np.random.Generator) -> str:
    """An element that is none."""
    return _some_word(text, rng, ELEMENTS, lambda word: word in ("H", "C", "N", "O", "F"))


def count(text: str, rng: np.random.Generator) -> str:
    """A number of atoms that is none, or not theirs."""
    return _some_word(text, rng, (*COUNTS, "1", "2", "3", "4", "6", "999"), str.isdigit)


def comment(text: str, rng: np.random.Generator) -> str:
    """A comment line, or whatever stands second or at random, that lies or never ends."""
    lines = text.split("\n")
    at = [i for i, line in enumerate(lines) if "Properties=" in line] or [1, int(rng.integers(len(lines)))]
    lines[int(rng.choice(at))] = str(rng.choice(np.array(COMMENTS, object)))
    return "\n".join(lines)


def coincident(text: str, rng: np.random.Generator) -> str:
    """A line that stands twice or more: an atom on an atom."""
    lines = text.split("\n")
    at = int(rng.integers(len(lines)))
    other = int(rng.integers(len(lines)))
    lines[other] = lines[at]
    return "\n".join(lines)


def truncated(text: str, rng: np.random.Generator) -> bytes:
    """Cut at any byte."""
    content = text.encode()
    return content[: int(rng.integers(1, len(content)))]


def lines_lost(text: str, rng: np.random.Generator) -> str:
    """A line left out, or two exchanged."""
    lines = text.split("\n")
    i, j = rng.integers(len(lines), size=2).tolist()
    if rng.random() < 0.5:
        del lines[i]
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def line_added(text: str, rng: np.random.Generator) -> str:
    """A line of NULs, of megabytes, of marks that mean something."""
    lines = text.split("\n")
    lines.insert(int(rng.integers(len(lines) + 1)), str(rng.choice(np.array(LINES, object))))
    return "\n".join(lines)


def encoded(text: str, rng: np.random.Generator) -> bytes:
    """Another encoding, a mark of another encoding, other ends of lines, or zipped."""
    how = int(rng.integers(len(ENCODINGS) + 4))
    if how < len(ENCODINGS):
        return text.encode(ENCODINGS[how])
    if how == len(ENCODINGS):
        return text.replace("\n", "\r").encode()
    if how == len(ENCODINGS) + 1:
        return text.encode("latin-1", "replace")
    if how == len(ENCODINGS) + 2:
        return b"\xff\xfe" + text.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.xyz", text)
    return buffer.getvalue()


def flipped(text: str, rng: np.random.Generator) -> bytes:
    """Bytes that are others."""
    content = bytearray(text.encode())
    for place in rng.integers(len(content), size=rng.integers(1, 8)).tolist():
        content[place] = int(rng.integers(256))
    return bytes(content)


DAMAGES: tuple[Damage, ...] = (
    number,
    element,
    count,
    comment,
    coincident,
    truncated,
    lines_lost,
    line_added,
    encoded,
    flipped,
)


def cases(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str, bytes]]:
    """Yield (class of damage, name of the file, content) without end, all formats and classes in turn."""
    sound = sound_files(folder)
    while True:
        for damage in DAMAGES:
            for name, text in sound.items():
                broken = damage(text, rng)
                yield damage.__name__, name, broken if isinstance(broken, bytes) else broken.encode(errors="replace")
