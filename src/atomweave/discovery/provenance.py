"""What became of every molecule of a run: one row each, in sqlite while it goes on and as CSV for people."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from ..files import write_atomic

INVALID, DROPPED, PASSED_OVER, SCORED, FAILED = "invalid", "dropped", "passed over", "scored", "failed"
"""Fates: no valid bonds; not pursued; could have been scored, others were; has a value; was to be scored, has none."""

RANDOM, PICKED = "random", "picked"
"""How a molecule came to be scored: by lot, which says what the model draws; or as one of the most promising."""

HOW = {RANDOM: "by lot", PICKED: "picked"}
"""The same in words."""


@dataclass(frozen=True)
class Entry:
    """One attempt."""

    set: str  # of which it is one: "before", "fine-tuned", "round 1" ...
    round: int  # 0 for the recipe
    index: int  # attempt in its set
    seed: int  # that the set was grown with
    weights: str  # sha256 of the model's file
    formula: str
    smiles: str  # canonical, hydrogens explicit; empty if invalid
    fate: str
    reason: str = ""  # why it was not scored, or has no value
    drawn: str = ""  # RANDOM, PICKED, or neither
    novel: bool | None = None  # not in the training split; None where not known
    screened: float | None = None  # the property, or the gap, by the screening method
    predicted: float | None = None  # the property as calibrated from that
    synthetic_accessibility: float | None = None
    value: float | None = None  # the property by the run's method

    def told(self, value: float | None, reason: str) -> Entry:
        """Return the entry with the outcome of its calculation."""
        return replace(self, value=value, reason=reason, fate=SCORED if value is not None else FAILED)


COLUMNS = tuple(field.name for field in fields(Entry))


class Provenance:
    """Entries by set, in a file that survives whatever ends the process: a set is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        quoted = ", ".join(f'"{name}"' for name in COLUMNS)
        with closing(self._connection()) as connection, connection:
            connection.execute(f'CREATE TABLE IF NOT EXISTS molecules ({quoted}, PRIMARY KEY ("set", "index"))')

    def replace(self, name: str, entries: Iterable[Entry]) -> None:
        """Put entries in the place of whatever a set held."""
        marks = ", ".join("?" for _ in COLUMNS)
        with closing(self._connection()) as connection, connection:
            connection.execute('DELETE FROM molecules WHERE "set" = ?', (name,))
            connection.executemany(
                f"INSERT INTO molecules VALUES ({marks})",  # noqa: S608 - question marks alone
                [astuple(entry) for entry in entries],
            )

    def entries(self, name: str | None = None) -> list[Entry]:
        """Return a set's entries by index, or those of all sets in the order in which they came; none is an answer."""
        query = 'SELECT * FROM molecules WHERE "set" = ? OR ? ORDER BY "round", rowid'
        with closing(self._connection()) as connection:
            rows = connection.execute(query, (name, name is None)).fetchall()
        return [_entry(row) for row in rows]

    def write_csv(self, path: Path) -> None:
        """Write all entries; cells that a spreadsheet would take for a formula are quoted."""
        from ..evaluation.outputs import csv_cell

        with write_atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows([csv_cell(value) for value in astuple(entry)] for entry in self.entries())

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)


def _entry(row: tuple) -> Entry:
    entry = Entry(*row)
    return replace(entry, novel=None if entry.novel is None else bool(entry.novel))
