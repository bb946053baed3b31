"""Broken binary files: npz archives, ASE databases and stores, made from sound ones by class of damage.

Archives and stores are written anew around what is wrong, so that checksums fit: a reader that trusts them is caught.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from atomweave.data.store import MoleculeStore
from atomweave.io import write

from .broken_text import molecules

Arrays = dict[str, np.ndarray]
BAD_FLOATS = (np.nan, np.inf, -np.inf, 1e300, 1e9, 5e8)
BAD_INTEGERS = (0, -1, 119, 255, 300, 2**31 - 1, -(2**31), 2**62, -(2**63), 2**63 - 1)
TYPES = ("<f2", ">f8", "<f4", "<c16", "<U3", "|S4", "|b1", "<i1", "<u8", ">i8", "<M8[s]", "|V8", "<f8", "<i8")
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 5, 3",
    "{'descr': [('a', '<f8'), ('b', 'O')], 'fortran_order': False, 'shape': (3,)}", "(" * 5000, "__import__('os')",
    "'\\N{x}'", "{'descr': '<f8', 'fortran_order': 1, 'shape': (3,)}",
    "{'descr': '<U999999999', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,)}",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 5, 3)}", "{", "  x",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 70 + ")}",
    "{'descr': None, 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4)}", "'''", "\x00",
)  # fmt: skip
CELLS: tuple[object, ...] = (
    None, b"", b"\x00", b"\x00" * 7, b"\xff" * 12, "text", "", 5, 2.5, "{", "[]", "null", "[" * 100_000,
    '{"a":' * 5000, "NaN", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 18446744073709551615}',
    '{"a": ' + "9" * 5000 + "}", '{"": 1}', '{"a": {"__ndarray__": [[10000000000], "float64", [0]]}}',
    '{"a": {"__ndarray__": [[2], "object", [1, 2]]}}', '{"a": {"__ndarray__": 5}}',
    '{"a": {"__ndarray__": [[-1], "float64", [1]]}}', '{"a": {"__ndarray__": [[1], "U999999999", ["a"]]}}',
    '{"a": {"__ase_objtype__": "atoms", "numbers": [1]}}', '{"a": {"__datetime__": "x"}}',
    '{"a": {"__complex__": [1]}}',
    '{"numbers": [1], "__class__": 3, "positions": 0, "_data": 1, "id": "x", "a/b": 1, "a\\u0000": 2}',
    '{"a": [[1], [2, 3]]}', '{"a": [1, "x", null, {"b": [true]}]}',
    '{"finished": [false], "reason": "' + "x" * 9999 + '"}', '{"a": [' + "[" * 70 + "]" * 70 + "]}",
    b"\x08\x00\x00\x00\x00\x00\x00\x00{}", b"\xff" * 8 + b"{}",
    b"\x08" + bytes(7) + b'{"a": {"__ndarray__": [[9999999], "float64", 0]}}',
    b"\x08" + bytes(7) + b'{"a": {"__ndarray__": [[1], "float64", -5]}}', b"\x08" + bytes(7) + b"\xff\xfe",
    b"\x08" + bytes(7) + b"[" * 50_000, b"\x08" + bytes(7) + b'{"a": {"__ndarray__": [[1], "float64", "x"]}}',
    b"\x08" + bytes(7) + b'{"a": {"__ndarray__": [[99999999999, 99999999999, 0], "i1", 0]}}',
)  # fmt: skip
ENDLESS = """CREATE VIEW systems AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM c)
    SELECT id, zeroblob(4) AS numbers, zeroblob(24) AS positions, '{}' AS key_value_pairs, 'null' AS data FROM c"""
CALCULATED = """CREATE TABLE systems (id INTEGER PRIMARY KEY, n INTEGER, numbers BLOB AS (zeroblob(900000000)),
    positions BLOB AS (zeroblob(5)), key_value_pairs TEXT, data TEXT)"""
SCHEMAS = (
    ENDLESS, CALCULATED, "CREATE TABLE systems (id INTEGER PRIMARY KEY)", "CREATE TABLE system (id)",
    "CREATE TABLE systems (numbers, positions, key_value_pairs, data)",
    "CREATE VIRTUAL TABLE systems USING fts5(id, numbers, positions, key_value_pairs, data)",
    "CREATE TABLE systems (id, numbers, positions, key_value_pairs, data)",
)  # fmt: skip
INFORMATION = (
    "DELETE FROM information", "UPDATE information SET value='99'", "UPDATE information SET value='x'",
    "UPDATE information SET value='4'", "UPDATE information SET value=NULL", "DROP TABLE information",
    "UPDATE information SET value=x'ff'",
)  # fmt: skip


def sound_npz() -> Arrays:
    """Return the arrays of a sound archive."""
    made = molecules()
    width = max(map(len, made))
    charges, positions = np.zeros((len(made), width), np.int64), np.zeros((len(made), width, 3))
    for row, molecule in enumerate(made):
        charges[row, : len(molecule)], positions[row, : len(molecule)] = molecule.numbers, molecule.positions
    n_atoms = np.array([len(molecule) for molecule in made])
    return {
        "num_atoms": n_atoms,
        "charges": charges,
        "positions": positions,
        "gap": np.arange(3.0),
        "name": np.array(["a", "é", ""]),
    }


def archive(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an array as a .npy file holds it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def entries_of(arrays: Arrays) -> dict[str, bytes]:
    """Return the entries of an archive of arrays."""
    return {f"{name}.npy": npy(array) for name, array in arrays.items()}


def with_header(header: str, body: bytes) -> bytes:
    """Return a .npy file with any header."""
    text = (header + "\n").encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")[:2] + text + body


def spoilt(arrays: Arrays, rng: np.random.Generator) -> None:
    """Put a number where it must not be, give an array another type, shape or no place at all."""
    name = str(rng.choice(list(arrays)))
    array, how = arrays[name], int(rng.integers(5))
    if how == 0 and array.size:
        bad = BAD_FLOATS if array.dtype.kind == "f" else BAD_INTEGERS
        array = array.copy()
        if array.dtype.kind in "fiu":
            value = bad[int(rng.integers(len(bad)))]
            if array.dtype.kind == "f" or np.iinfo(array.dtype).min <= value <= np.iinfo(array.dtype).max:
                with np.errstate(over="ignore"):  # what half precision cannot hold becomes infinite, and is wanted so
                    array.reshape(-1)[rng.integers(array.size)] = value
        arrays[name] = array
    elif how == 1:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(rng.choice(TYPES)) if array.dtype.kind in "fiub" else array
    elif how == 2:
        arrays[name] = array[: int(rng.integers(len(array) + 1))] if array.ndim else array
    elif how == 3:
        arrays[name] = [
            array[None],
            array.reshape(-1),
            np.zeros(()),
            np.zeros((0,)),
            np.zeros((3, 0, 3)),
            array.repeat(2, 0),
        ][rng.integers(6)]
    else:
        del arrays[name]


def npz_arrays(rng: np.random.Generator, _: Path) -> bytes:
    """Arrays that are not what they should be."""
    arrays = sound_npz()
    for _ in range(int(rng.integers(1, 3))):
        spoilt(arrays, rng)
    return archive(entries_of(arrays))


def npz_header(rng: np.random.Generator, _: Path) -> bytes:
    """An array whose header lies."""
    entries = entries_of(sound_npz())
    name = str(rng.choice(list(entries)))
    entries[name] = with_header(HEADERS[rng.integers(len(HEADERS))], entries[name][128:])
    return archive(entries)


@functools.cache
def _bomb() -> bytes:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (9000000,)}"
    return archive(entries_of(sound_npz()) | {"gap.npy": with_header(header, bytes(72_000_000))})


def npz_bomb(rng: np.random.Generator, _: Path) -> bytes:
    """Zeros that unpack to many MB, archives in archives, names that climb, pickles."""
    entries = entries_of(sound_npz())
    how = int(rng.integers(6))
    if how == 0:
        return _bomb()
    elif how == 1:
        entries = {"a.npz": archive({"b.npz": archive(entries)}), "positions.npy": archive(entries)}
    elif how == 2:
        entries = {f"../../{name}": content for name, content in entries.items()} | {"/etc/passwd.npy": b""}
    elif how == 3:
        entries |= {"charges.npy": npy(np.array([{}, {}, {}], object))}
    elif how == 4:
        entries |= {f"{i}.npy": b"" for i in range(3000)}
    else:
        entries = {name.removesuffix(".npy"): content for name, content in entries.items()}
    return archive(entries)


def npz_text(rng: np.random.Generator, _: Path) -> bytes:
    """Text of characters that are none."""
    entries = entries_of(sound_npz())
    points = rng.integers(0, 2**32, 3 * 4, dtype=np.uint32) if rng.random() < 0.5 else np.full(12, 0xD800, np.uint32)
    entries["name.npy"] = with_header("{'descr': '<U4', 'fortran_order': False, 'shape': (3,)}", points.tobytes())
    return archive(entries)


def npz_bytes(rng: np.random.Generator, _: Path) -> bytes:
    """Bytes of the archive cut or flipped."""
    return cut_or_flipped(archive(entries_of(sound_npz()), int(rng.choice([0, 8, 12, 14]))), rng)


def cut_or_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes cut anywhere, or with some of them changed."""
    if rng.random() < 0.3:
        return content[: int(rng.integers(1, len(content)))]
    changed = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 8)).tolist():
        changed[place] = int(rng.integers(256))
    return bytes(changed)


def _sound_database(folder: Path) -> Path:
    path = folder / "sound.db"
    if not path.exists():
        write(path, molecules())
    return path


def _altered(folder: Path, alter: Callable[[sqlite3.Connection], Any]) -> bytes:
    content = _sound_database(folder).read_bytes()
    path = folder / "altered.db"
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as connection:
        alter(connection)
        connection.commit()
    return path.read_bytes()


def db_cell(rng: np.random.Generator, folder: Path) -> bytes:
    """A cell that holds something else."""
    column = str(rng.choice(["numbers", "positions", "key_value_pairs", "data", "cell", "id", "unique_id"]))
    cell = CELLS[rng.integers(len(CELLS))]
    if column == "id":
        cell = int(rng.choice([-5, 0, 2**62]))
    return _altered(folder, lambda connection: connection.execute(f"UPDATE systems SET {column}=? WHERE id=2", (cell,)))  # noqa: S608


def db_atoms(rng: np.random.Generator, folder: Path) -> bytes:
    """A row whose atoms are none, not finite, or one upon another."""
    numbers, positions = np.array([1, 6, 8], "<i4"), rng.normal(0, 2, (3, 3))
    how = int(rng.integers(4))
    if how == 0:
        numbers[rng.integers(3)] = int(rng.choice([0, -1, 119, 2**31 - 1]))
    elif how == 1:
        positions[rng.integers(3), rng.integers(3)] = rng.choice(BAD_FLOATS)
    elif how == 2:
        positions[1] = positions[0] + 1e-5
    else:
        numbers = numbers[: int(rng.integers(3))]
    row = (numbers.tobytes(), positions.tobytes())
    return _altered(
        folder, lambda connection: connection.execute("UPDATE systems SET numbers=?, positions=? WHERE id=2", row)
    )


def db_schema(rng: np.random.Generator, folder: Path) -> bytes:
    """Tables that are views without end, calculated, absent, or of another program."""

    def alter(connection: sqlite3.Connection) -> None:
        if rng.random() < 0.5:
            connection.execute(INFORMATION[rng.integers(len(INFORMATION))])
        else:
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute("DROP TABLE systems")
            connection.execute(SCHEMAS[rng.integers(len(SCHEMAS))])

    return _altered(folder, alter)


def db_bytes(rng: np.random.Generator, folder: Path) -> bytes:
    """Bytes of the database cut or flipped, most of them in its trees."""
    content = bytearray(_sound_database(folder).read_bytes())
    if rng.random() < 0.5:  # the heads of its pages
        pages = len(content) // 4096
        for _ in range(3):
            content[4096 * int(rng.integers(pages)) + int(rng.integers(12))] = int(rng.integers(256))
        return bytes(content)
    return cut_or_flipped(bytes(content), rng)


def sound_store() -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the header of a sound store."""
    store = MoleculeStore.from_molecules(molecules(), {"gap": "eV"})
    text = store.properties["name"]
    arrays = {"numbers": store.numbers, "positions": store.positions, "offsets": store.offsets}
    arrays |= {"property/gap": np.asarray(store.properties["gap"]), "split/all": np.arange(3)}
    arrays |= {"text/name": text.utf8, "text_offsets/name": text.offsets}
    return arrays, {"kind": "molecule store", "version": 1, "units": {"gap": "eV"}, "citation": ""}


def store_file(arrays: Arrays, header: Mapping[str, Any]) -> bytes:
    """Return the bytes of a store whose hash fits whatever it holds."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + array.tobytes())
    told = json.dumps({**header, "sha256": digest.hexdigest()}, sort_keys=True)
    return save(arrays, {"atomweave": told})


def store_arrays(rng: np.random.Generator, _: Path) -> bytes:
    """A store whose hash is right and whose arrays are wrong."""
    arrays, header = sound_store()
    how = int(rng.integers(5))
    if how == 0:
        arrays["positions"] = arrays["positions"].copy()
        arrays["positions"][4] = (
            rng.choice(np.array(BAD_FLOATS[:3], np.float32)) if rng.random() < 0.5 else arrays["positions"][3]
        )
    elif how == 1:
        arrays["offsets"] = np.array([0, 2**62, -(2**63), -(2**61), len(arrays["numbers"])][:: int(rng.choice([1, 2]))])
    elif how == 2:
        arrays["text_offsets/name"] = arrays["text_offsets/name"] + rng.integers(-3, 4, 4)
    else:
        for _ in range(int(rng.integers(1, 3))):
            spoilt(arrays, rng)
    arrays = {name: array for name, array in arrays.items() if array.dtype.kind in "biuf" and array.dtype.isnative}
    return store_file(arrays, header)


def store_header(rng: np.random.Generator, _: Path) -> bytes:
    """A store whose metadata are of another kind, or nested without end."""
    arrays, header = sound_store()
    lies: list[dict[str, Any]] = [
        {"units": []}, {"units": {"gap": []}}, {"units": {"none": "eV"}}, {"citation": 5}, {"version": 2},
        {"version": "1"}, {"kind": "x" * 9999}, {"kind": "\x1b[2J"}, {"kind": None}, {"units": {"gap": "\x1b[2J"}},
        {"version": [[]]}, {"citation": "x" * 10**6},
    ]  # fmt: skip
    if rng.random() < 0.3:
        texts = ["", "[]", "[" * 100_000, "{", '"atomweave"', "null", "5", '{"kind": ' * 5000]
        return save(arrays, {"atomweave": texts[rng.integers(len(texts))]})
    return store_file(arrays, header | lies[rng.integers(len(lies))])


def store_bytes(rng: np.random.Generator, _: Path) -> bytes:
    """Bytes of the store cut or flipped, most of them in its header."""
    content = bytearray(store_file(*sound_store()))
    if rng.random() < 0.5:
        content[int(rng.integers(600))] = int(rng.integers(256))
        return bytes(content)
    return cut_or_flipped(bytes(content), rng)


NPZ = (npz_arrays, npz_header, npz_bomb, npz_text, npz_bytes)
DATABASES = (db_cell, db_atoms, db_schema, db_bytes)
STORES = (store_arrays, store_header, store_bytes)


def cases(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str, bytes]]:
    """Yield (class of damage, name of the file, content) without end, all formats and classes in turn."""
    while True:
        for name, damages in (("a.npz", NPZ), ("a.db", DATABASES), ("a.safetensors", STORES)):
            for damage in damages:
                yield damage.__name__, name, damage(rng, folder)
