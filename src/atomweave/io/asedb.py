"""ASE databases (SQLite).

Key-value pairs become properties, and so does whatever `data` holds for the whole molecule; cells, periodicity,
constraints and calculator results are left out.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError
from ..files import write_atomic
from ..molecule import Molecule
from .frames import Progress, Refusal, checked, plain

UNDECODABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError)
"""What ASE's decoder raises on a damaged row."""


def read_asedb(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the rows of an ASE database in order of their id; frame 0 is the first row."""
    frame = 0
    try:
        ids = _ids(path)
        for row in _rows(_connect(path), ids):
            if isinstance(row, Exception):
                yield Refusal(str(path), frame, f"the row cannot be decoded: {str(row).rstrip('.')}")
            else:
                yield _molecule(path, frame, row)
            frame += 1
            if progress and frame % 256 == 0:
                progress(frame / len(ids))
    except (sqlite3.Error, OSError, *UNDECODABLE) as error:
        said = str(error).rstrip(".")
        if frame == 0:
            yield Refusal(str(path), None, f"not a sound ASE database: {said}")
        for lost in range(frame, len(ids) if frame else 0):
            yield Refusal(str(path), lost, f"truncated: the database cannot be read beyond row {frame}: {said}")
        return
    if frame == 0:
        yield Refusal(str(path), None, "the file holds no frames")


def _ids(path: Path) -> list[int]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return [number for (number,) in connection.execute("SELECT id FROM systems ORDER BY id")]
    finally:
        connection.close()


def _rows(database: Any, ids: Sequence[int]) -> Iterator[Any]:
    """Yield ASE's row for every id, or the error that it makes."""
    place = 0
    with database:  # one connection for all rows, where ASE would make one for each
        while place < len(ids):
            try:
                for row in database.select(f"id>={ids[place]}"):
                    yield row
                    place += 1
            except UNDECODABLE as error:
                yield error
                place += 1
            else:
                return


def _molecule(path: Path, frame: int, row: Any) -> Molecule | Refusal:
    try:
        return checked(path, frame, row.numbers, row.positions, _properties(row))
    except UNDECODABLE as error:  # ASE decodes `data` only when it is asked for
        return Refusal(str(path), frame, f"the row cannot be decoded: {str(error).rstrip('.')}")


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


def _properties(row: Any) -> dict[str, Any]:
    """Return what a row says about the molecule as a whole; tables with one row an atom (forces) are left out."""
    data = row.data if isinstance(row.data, Mapping) else {}
    values = {name: plain(value) for name, value in {**data, **row.key_value_pairs}.items()}
    return {name: v for name, v in values.items() if not (getattr(v, "ndim", 1) == 2 and len(v) == row.natoms)}


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
