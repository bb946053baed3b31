"""What was measured: files of JSON objects, one a line, as every benchmark prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import ROOT

from atomweave.errors import IncompleteError, RefusedFileError
from atomweave.files import write_atomic

RESULTS = ROOT / "docs" / "results"
"""Where records are kept."""

Record = Mapping[str, Any]
"""One line of a benchmark: its name under "benchmark", its figures, and what they were measured on."""


def read_records(folder: Path) -> list[Record]:
    """Return the records of every .json file of a folder, in the order of file names and lines.

    Raises:
        RefusedFileError: if a line is no record of a benchmark.
    """
    return [record for path in sorted(folder.glob("*.json")) for record in parse(path.read_text("utf-8"), path)]


def save_records(path: Path, records: Iterable[Record]) -> None:
    """Write records, one a line, whole or not at all."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    with write_atomic(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def of_benchmark(records: Iterable[Record], benchmark: str) -> list[Record]:
    """Return the records of one benchmark, in their order."""
    return [record for record in records if record["benchmark"] == benchmark]


def run_benchmark(script: Path, arguments: Sequence[str], out: Path) -> None:
    """Run a benchmark and keep the lines that it prints, all of them or none.

    Raises:
        IncompleteError: if it fails.
        RefusedFileError: if it prints anything but records.
    """
    done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise IncompleteError(f"{script} ended with status {done.returncode}; {out} is as it was.")
    save_records(out, parse(done.stdout, script))


def parse(text: str, source: Path) -> list[Record]:
    """Return the records of the lines of a text; blank lines say nothing.

    Raises:
        RefusedFileError: if a line is no record of a benchmark; the sentence opens with `source`.
    """
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise RefusedFileError(f"{source}, line {number}: {error}; wanted one JSON object a line.") from None
        if not isinstance(record, dict) or "benchmark" not in record:
            raise RefusedFileError(f'{source}, line {number}: got {line[:40]!r}, wanted an object with "benchmark".')
        records.append(record)
    return records
