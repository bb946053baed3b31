"""What an evaluation leaves behind: metrics.json and molecules.csv; tables for a terminal are in `terminal`.

Names, reasons and SMILES come from files that anybody may have made. In JSON they are quoted; in CSV and on a terminal
they are made printable (an escape sequence is spelt out), and a cell of text that a spreadsheet would take for a
formula (it begins with =, +, - or @ and is no number) gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RefusedFileError, printable
from ..files import write_atomic
from .terminal import as_table, invalid, print_tables

if TYPE_CHECKING:
    from .evaluation import Evaluation, Scored, Suite
    from .metric import Result
    from .sample import Sample

__all__ = ["as_table", "metrics_content", "print_tables", "read_metrics", "write_metrics", "write_molecules"]

SCHEMA = 1
"""Version of metrics.json; a reader refuses others."""

BASE_COLUMNS = (
    "set", "source", "label", "index", "formula", "n_atoms", "finished", "valid", "strict", "reason", "detail", "smiles"
)  # fmt: skip
"""First columns of molecules.csv; those of the metrics follow in order."""

FORMULA_STARTS = ("=", "+", "-", "@")


def write_metrics(path: str | Path, evaluation: Evaluation) -> None:
    """Write every figure of an evaluation with all that must be known to compare it; the same in, the same bytes."""
    with write_atomic(path) as temporary:
        text = json.dumps(metrics_content(evaluation), indent=2, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def metrics_content(evaluation: Evaluation) -> dict[str, Any]:
    """Return what metrics.json holds, as JSON knows it: what is not a finite number is None."""
    reference = evaluation.reference
    return _as_json(
        {
            "schema": SCHEMA,
            "made": dict(evaluation.made),
            "tools": dict(evaluation.tools),
            "reference": {
                "name": reference.name,
                "n_molecules": reference.n_molecules,
                "data": reference.data,
                "tools": dict(reference.tools),
                "values": dict(reference.values),
                "totals": dict(reference.totals),
            },
            "sets": [_set(scored) for scored in evaluation.sets],
            "suites": [_suite(evaluation, suite) for suite in evaluation.suites],
        }
    )


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Return what `write_metrics` wrote.

    Raises:
        RefusedFileError: if the file is missing, damaged, or something else.
    """
    place = printable(str(path))
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedFileError(f"{place}: cannot be read as metrics ({error}).") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise RefusedFileError(f"{place}: got schema {found!r}, wanted {SCHEMA}: evaluate the samples again.")
    trouble = _trouble(content)
    if trouble:
        raise RefusedFileError(f"{place}: {trouble}; evaluate the samples again.")
    return content


def write_molecules(path: str | Path, evaluation: Evaluation) -> None:
    """Write one row an attempt: where it comes from, its verdict, and every metric's value for it.

    A metric's column that has the name of one of `BASE_COLUMNS` says the same and is left out; columns of the same name
    in several metrics are told apart by the metric's name and a slash.
    """
    names = metric_columns(evaluation)
    with write_atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*BASE_COLUMNS, *(csv_cell(name) for _, _, name in names)])
        for scored in evaluation.sets:
            for sample, results in zip(scored.samples, scored.results, strict=True):
                columns = columns_of(results, names, len(sample)).values()
                for base, *values in zip(_base_rows(scored.name, sample), *columns, strict=True):
                    rows.writerow([csv_cell(value) for value in (*base, *values)])


def _set(scored: Scored) -> dict[str, Any]:
    samples = [
        {
            "source": sample.source,
            "attempts": len(sample),
            "measures": {m.name: m.as_dict() for result in results.values() for m in result.measures},
        }
        for sample, results in zip(scored.samples, scored.results, strict=True)
    ]
    return {
        "name": scored.name,
        "temperature": scored.temperature,
        "attempts": sum(len(sample) for sample in scored.samples),
        "measures": {name: measure.as_dict() for name, measure in scored.measures.items()},
        "invalid": invalid(scored),
        # The figures of one file are those of the set.
        "samples": samples if len(samples) > 1 else [{k: v for k, v in samples[0].items() if k != "measures"}],
    }


def _suite(evaluation: Evaluation, suite: Suite) -> dict[str, Any]:
    return {
        "name": suite.name,
        "title": suite.title,
        "note": suite.note,
        "rows": evaluation.rows(suite),
        "published": [
            {
                "system": row.system,
                "conditions": row.conditions,
                "source": row.source,
                "values": dict(row.values),
                "spread": dict(row.spread),
            }
            for row in suite.published
        ],
    }


def _as_json(value: Any) -> Any:
    """Return a value as JSON knows it: what is not finite is null, what is none of its types is text."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [_as_json(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not JSON")


def _trouble(content: dict[str, Any]) -> str:
    """Return what is wrong with the content of metrics.json, empty if nothing is."""
    parts = {"made": dict, "tools": dict, "reference": dict, "sets": list, "suites": list}
    for name, kind in parts.items():
        if not isinstance(content.get(name), kind):
            return f"{name} is missing or no {kind.__name__}"
    for scored in content["sets"]:
        if not isinstance(scored, dict) or not isinstance(scored.get("measures"), dict):
            return "a set has no measures"
        for name, measure in scored["measures"].items():
            value = measure.get("value", "") if isinstance(measure, dict) else ""
            total = measure.get("total") if isinstance(measure, dict) else None
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (value is None or is_number) or not isinstance(total, int):
                return f"the measure {name} of {scored.get('name')!r} has no value or no denominator"
    return ""


def metric_columns(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return (metric, column, heading) of every column that any sample has, in order of the metrics."""
    found: dict[tuple[str, str], None] = {}
    for scored in evaluation.sets:
        for results in scored.results:
            found |= {(metric, column): None for metric, result in results.items() for column in result.columns}
    times = Counter(column for _, column in found)
    return [
        (metric, column, f"{metric}/{column}" if times[column] > 1 else column)
        for metric, column in found
        if column not in BASE_COLUMNS
    ]


def columns_of(
    results: Mapping[str, Result], names: Sequence[tuple[str, str, str]], n: int
) -> dict[str, Sequence[Any]]:
    """Return heading -> one value an attempt for what `metric_columns` named; None throughout what a sample lacks."""
    found = {}
    for metric, column, heading in names:
        result = results.get(metric)
        found[heading] = [None] * n if result is None or column not in result.columns else result.columns[column]
    return found


def _base_rows(name: str, sample: Sample) -> Iterator[tuple[Any, ...]]:
    labels = sample.labels or [""] * len(sample)
    for index, (verdict, label) in enumerate(zip(sample.verdicts, labels, strict=True)):
        molecule = verdict.molecule
        formula, n_atoms = ("", None) if molecule is None else (molecule.formula, len(molecule))
        verdicts = (verdict.finished, verdict.valid, verdict.strict, verdict.reason, verdict.detail, verdict.smiles)
        yield name, sample.source, label, index, formula, n_atoms, *verdicts


def csv_cell(value: Any) -> str:
    """Return the text of a CSV cell; empty where there is no value."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return format(value, ".6g")
    text = printable(str(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
