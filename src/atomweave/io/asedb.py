"""ASE databases (SQLite).

Key-value pairs become properties, and so does whatever `data` holds for the whole molecule; cells, periodicity,
constraints and calculator results are left out.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError
from ..files import write_atomic
from ..molecule import Molecule
from .frames import Progress, Refusal, checked, plain


def read_asedb(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the rows of an ASE database in order of their id; frame 0 is the first row."""
    database = _connect(path)
    frame = 0
    try:
        n_rows = database.count()
        for row in database.select():
            yield checked(path, frame, row.numbers, row.positions, _properties(row))
            frame += 1
            if progress and frame % 256 == 0:
                progress(frame / n_rows)
    except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        # What SQLite or ASE's decoder stumbles over ends the walk through the rows.
        place = "not a sound ASE database" if frame == 0 else "this row and those after it cannot be read"
        yield Refusal(str(path), frame or None, f"{place}: {str(error).rstrip('.')}")
        return
    if frame == 0:
        yield Refusal(str(path), None, "the file holds no frames")


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
