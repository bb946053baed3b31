"""Results of calculations in one sqlite file, keyed by geometry, method and property: nothing is calculated twice.

One process holds the file at a time, by a lock that the system takes back when the process ends, however it ends.
Every answer is one transaction in a write-ahead log, so a process killed at any moment leaves a file that is whole and
holds every answer it had stored. The log needs no memory shared between processes, so that the file may lie on a
network drive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ..errors import AtomweaveError, IncompleteError, InputError, RefusedFileError, printable
from ..isolation import CRASH, ERROR, MEMORY, TIME_OUT, Limits

if TYPE_CHECKING:
    from .calculate import Calculation
    from .methods import Method

APPLICATION = 0x41745776
"""`PRAGMA application_id` of these files: "AtWv"."""
VERSION = 1
PATIENCE = 3.0  # s for another process to let go of the file: one that was just killed may take a moment

TABLES = """
CREATE TABLE level (
    id INTEGER PRIMARY KEY,
    method TEXT NOT NULL,              -- digest of the method
    relaxed TEXT NOT NULL,             -- of the method whose minimum is taken, or '' for the geometry as it stands
    name TEXT NOT NULL, relaxed_name TEXT NOT NULL, settings TEXT NOT NULL,
    UNIQUE (method, relaxed)
);
CREATE TABLE calculation (             -- one answer, with numbers or with a reason
    id INTEGER PRIMARY KEY,
    geometry BLOB NOT NULL, level INTEGER NOT NULL REFERENCES level,
    asked TEXT NOT NULL,               -- names of the properties, by comma
    reason TEXT NOT NULL, detail TEXT NOT NULL,
    seconds REAL NOT NULL, timeout REAL NOT NULL, memory INTEGER NOT NULL,
    versions TEXT NOT NULL,
    positions BLOB                     -- of the minimum, float64, Å
);
CREATE TABLE result (                  -- the answer that stands for each property
    geometry BLOB NOT NULL, level INTEGER NOT NULL REFERENCES level, property TEXT NOT NULL,
    value REAL, calculation INTEGER NOT NULL REFERENCES calculation,
    PRIMARY KEY (geometry, level, property)
) WITHOUT ROWID;
"""

_SENTENCES: tuple[tuple[str, type[AtomweaveError], str], ...] = (
    ("SQLITE_BUSY", InputError, "another process is using it; wait until that has ended, or name another file"),
    ("SQLITE_NOTADB", RefusedFileError, "this is no sqlite file; name another file for the results"),
    ("SQLITE_CORRUPT", RefusedFileError, "the file is damaged; move it away, or name another file for the results"),
    ("SQLITE_FULL", IncompleteError, "the disk is full; what was stored is kept: make room and run again"),
    ("SQLITE_CANTOPEN", InputError, "it cannot be opened or made here; name another file for the results"),
    ("SQLITE_READONLY", InputError, "it may not be written to; name another file for the results"),
    ("SQLITE_IOERR", IncompleteError, "reading or writing it failed; see that its disk is well, and run again"),
)
"""Beginning of sqlite's name of an error -> what a user is told."""


@dataclass(frozen=True)
class Entry:
    """What is known of one property of one geometry.

    Attributes:
        value: in the property's unit; None where `reason` says why.
        reason: why there is no number; empty if there is one.
        detail: the particulars of the reason.
        asked: properties that were calculated together; without any one of them it might have been possible.
        limits: of time and memory that held.
        calculation: number of the answer, the same for properties that were calculated together.
        seconds: of wall-clock time that the calculation took.
    """

    value: float | None
    reason: str
    detail: str
    asked: frozenset[str]
    limits: Limits
    calculation: int
    seconds: float

    def stands(self, missing: frozenset[str], limits: Limits, *, retry: bool) -> bool:
        """Return whether calculating again would only give the same.

        Args:
            missing: the properties that would be calculated.
            limits: that would hold.
            retry: try again whatever another time might pass.
        """
        if self.value is not None:
            return True
        if not self.asked <= missing:
            return False
        more_time, more_memory = limits.timeout > self.limits.timeout, limits.memory > self.limits.memory
        return not {
            TIME_OUT: retry or more_time,
            MEMORY: retry or more_memory,
            CRASH: retry or more_time or more_memory,
            ERROR: retry,
        }.get(self.reason, False)


def geometry_hash(numbers: np.ndarray, positions: np.ndarray) -> bytes:
    """Return the sha256 of (n_atoms,) atomic numbers and of (n_atoms, 3) positions in Å, exact to the last bit."""
    # Adding 0 makes one zero of the two that floating point has.
    parts = np.asarray(numbers, np.uint8).tobytes(), (np.asarray(positions, "<f8") + 0.0).tobytes()
    return hashlib.sha256(len(numbers).to_bytes(8, "little") + b"".join(parts)).digest()


class Results:
    """An open file of results; a context manager.

    Args:
        path: made if it is not there; None for results that are kept in memory alone.

    Raises:
        InputError: if the file cannot be opened, or another process uses it.
        RefusedFileError: if it is damaged or something else.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self.shown = printable(str(path or "results in memory"))
        if self.path is not None:
            if self.path.is_dir():
                raise InputError(f"{self.shown}: is a folder, wanted the name of a file for the results.")
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._speaking():
            self._database = sqlite3.connect(self.path or ":memory:", timeout=PATIENCE, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring the log into the file and let go of it."""
        with self._speaking():
            self._database.close()

    def level(self, method: Method, relaxing: Method | None) -> int:
        """Return the number under which results of a method, at its or another's minimum, are stored."""
        key = method.digest, relaxing.digest if relaxing else ""
        settings = [dict(entry.settings) for entry in (method, relaxing) if entry]
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO level (method, relaxed, name, relaxed_name, settings) VALUES (?, ?, ?, ?, ?)",
                (*key, method.name, relaxing.name if relaxing else "", json.dumps(settings)),
            )
            rows = database.execute("SELECT id FROM level WHERE method = ? AND relaxed = ?", key)
            (number,) = rows.fetchone()
        return int(number)

    def find(self, geometry: bytes, level: int) -> dict[str, Entry]:
        """Return what is known of a geometry: property -> entry."""
        with self._speaking():
            rows = self._database.execute(
                "SELECT property, value, reason, detail, asked, timeout, memory, id, seconds FROM result "
                "JOIN calculation ON id = result.calculation WHERE result.geometry = ? AND result.level = ?",
                (geometry, level),
            ).fetchall()
        return {
            name: Entry(
                value, "" if value is not None else reason, detail, frozenset(asked.split(",")),
                Limits(timeout, memory), number, seconds,
            )
            for name, value, reason, detail, asked, timeout, memory, number, seconds in rows
        }  # fmt: skip

    def minimum(self, geometry: bytes, level: int) -> np.ndarray | None:
        """Return the (n_atoms, 3) positions in Å to which a geometry was relaxed; None if it was not."""
        with self._speaking():
            row = self._database.execute(
                "SELECT positions FROM calculation JOIN result ON id = result.calculation "
                "WHERE result.geometry = ? AND result.level = ? AND positions IS NOT NULL ORDER BY id LIMIT 1",
                (geometry, level),
            ).fetchone()
        return None if row is None else np.frombuffer(row[0]).reshape(-1, 3)

    def store(
        self,
        geometry: bytes,
        level: int,
        asked: Sequence[str],
        found: Calculation,
        limits: Limits,
        *,
        detail: str = "",
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Store an answer for good; it takes the place of none that has numbers.

        Args:
            geometry: see `geometry_hash`.
            level: see `level`.
            asked: the properties that were to be calculated.
            found: numbers or a reason.
            limits: that held.
            detail: the particulars of the reason.
            versions: of the packages that decide the numbers.
        """
        positions = None if found.positions is None else np.asarray(found.positions, "<f8").tobytes()
        with self._transaction() as database:
            number = database.execute(
                "INSERT INTO calculation "
                "(geometry, level, asked, reason, detail, seconds, timeout, memory, versions, positions) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    geometry, level, ",".join(sorted(asked)), found.reason, detail, found.seconds,
                    limits.timeout, limits.memory, json.dumps(versions or {}), positions,
                ),
            ).lastrowid  # fmt: skip
            database.executemany(
                "INSERT INTO result VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET value = excluded.value, calculation = excluded.calculation WHERE result.value IS NULL",
                [(geometry, level, name, found.values.get(name), number) for name in asked],
            )

    def _prepare(self) -> None:
        with self._speaking():
            self._database.execute(
                "PRAGMA locking_mode = EXCLUSIVE"
            )  # first of all: then the log needs no shared memory
            (application,) = self._database.execute("PRAGMA application_id").fetchone()
            (n_tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION and (application or n_tables):
            raise RefusedFileError(
                f"{self.shown}: this sqlite file holds something else; name another for the results."
            )
        if application == APPLICATION and version != VERSION:
            raise RefusedFileError(
                f"{self.shown}: results of version {version}, wanted {VERSION}; name another file for the results."
            )
        with self._speaking():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            verdict = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise RefusedFileError(f"{self.shown}: the file is damaged ({verdict}); move it away, or name another.")
        with self._transaction() as database:  # also takes the lock
            if application != APPLICATION:
                for statement in TABLES.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {VERSION}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._speaking():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # sqlite itself rolls back after some errors, such as a full disk
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn sqlite's errors into a sentence."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            for beginning, kind, sentence in _SENTENCES:
                if name.startswith(beginning):
                    raise kind(f"{self.shown}: {sentence}.") from None
            raise
