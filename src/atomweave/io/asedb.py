"""ASE databases (SQLite).

Key-value pairs become properties, and so does whatever `data` holds for the whole molecule; cells, periodicity,
constraints and calculator results are left out. Rows are read here and not by ASE, whose decoder makes arrays of any
size that a row asks for.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingDependencyError
from ..files import write_atomic
from ..molecule import Molecule
from .aserows import decoded, numbers_and_positions
from .frames import Progress, Refusal, brief, checked, plain

COLUMNS = ("id", "numbers", "positions", "key_value_pairs", "data")
VERSIONS = range(5, 10)
"""Of ASE's layout: since version 5 (ASE 3.11, 2016) the columns that are read here have not changed."""


def read_asedb(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the rows of an ASE database in order of their id; frame 0 is the first row."""
    frame = n_rows = 0
    try:
        with closing(_open(path)) as connection:
            n_rows = _check_layout(connection)
            for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM systems ORDER BY id"):  # noqa: S608 - ours
                yield _molecule(path, frame, row)
                frame += 1
                if progress and frame % 256 == 0:
                    progress(frame / n_rows)
    except (sqlite3.Error, ValueError) as error:
        said = "reading it never ends" if "interrupted" in str(error) else brief(error)
        if frame == 0:
            yield Refusal(str(path), None, f"not a sound ASE database: {said}")
        for lost in range(frame, n_rows if frame else 0):
            yield Refusal(str(path), lost, f"truncated: the database cannot be read beyond row {frame}: {said}")
        return
    if frame == 0:
        yield Refusal(str(path), None, "the file holds no frames")


def _open(path: Path) -> sqlite3.Connection:
    """Open a database to be read, with bounds on what a hostile one can make SQLite do."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    size = path.stat().st_size
    # A cell that is no UTF-8 costs its row and not those after it.
    connection.text_factory = lambda cell: cell.decode(errors="replace")
    # No cell is larger than the file, unless it is calculated: zeroblob(1e9) as a column.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, 1_000_000))
    # A row takes some 20 instructions and 100 bytes; views that never end and trees that bite their tail take more.
    budget = iter(range(1_000 + size // 5_000))
    connection.set_progress_handler(lambda: next(budget, None) is None, 10_000)
    return connection


def _check_layout(connection: sqlite3.Connection) -> int:
    """Return the number of rows.

    Raises:
        ValueError: if this is no table of ASE's, or of a version that is not known.
    """
    kinds = connection.execute("SELECT type FROM sqlite_master WHERE name='systems'").fetchall()
    if kinds != [("table",)]:
        raise ValueError("it holds no table 'systems'")
    hidden = {name: kind for _, name, *_, kind in connection.execute("PRAGMA table_xinfo(systems)")}
    for name in COLUMNS:
        if hidden.get(name) != 0:
            raise ValueError(f"its table 'systems' has no plain column {name!r}")
    versions = connection.execute("SELECT value FROM information WHERE name='version'").fetchall()
    if versions not in [[(str(version),)] for version in VERSIONS]:
        raise ValueError(f"its layout is not of version {VERSIONS[0]} to {VERSIONS[-1]}: open and write it with ASE")
    ((n_rows,),) = connection.execute("SELECT COUNT(*) FROM systems").fetchall()
    return int(n_rows)


def _molecule(path: Path, frame: int, row: tuple[Any, ...]) -> Molecule | Refusal:
    try:
        numbers, positions = numbers_and_positions(row[1], row[2])
        values = {**decoded(row[4], "data"), **decoded(row[3], "key_value_pairs")}
    except ValueError as error:
        return Refusal(str(path), frame, f"the row cannot be decoded: {error}")
    # Tables with one row an atom (forces) say nothing of the molecule as a whole.
    properties = {name: plain(value) for name, value in values.items()}
    properties = {n: v for n, v in properties.items() if not (np.ndim(v) == 2 and len(v) == len(numbers))}
    return checked(path, frame, numbers, positions, properties)


def write_asedb(path: Path, molecules: Iterable[Molecule]) -> None:
    """Write an ASE database without times, user names and random identifiers: the same molecules, the same bytes."""
    from ase import Atoms

    with write_atomic(path) as temporary:
        temporary.unlink()  # ASE makes the file itself and takes an empty one for damaged
        with _connect(temporary) as database:
            for molecule in molecules:
                pairs, data = _pairs_and_data(molecule.properties)
                database.write(Atoms(molecule.numbers, molecule.positions), pairs, data)
        connection = sqlite3.connect(temporary)
        try:
            names = [
                (hashlib.sha256(f"{number}".encode() + positions).hexdigest()[:32], number)
                for number, positions in connection.execute("SELECT id, positions FROM systems")
            ]
            connection.executemany("UPDATE systems SET unique_id=?, ctime=0, mtime=0, username='' WHERE id=?", names)
            connection.commit()
            connection.execute("VACUUM")
        finally:
            connection.close()


def _connect(path: Path) -> Any:
    try:
        from ase.db import connect
    except ImportError:
        raise MissingDependencyError('ASE databases need the package ase: pip install "atomweave[eval]".') from None
    return connect(path, type="db", use_lock_file=False)


def _pairs_and_data(properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide properties into those that ASE can search by and those that it only keeps."""
    from ase.db.core import check

    pairs: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name, value in properties.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # ASE warns of names that are formulas
            try:
                check({name: plain(value)})
                pairs[name] = plain(value)
            except (ValueError, UserWarning):
                data[name] = plain(value)
    return pairs, data
