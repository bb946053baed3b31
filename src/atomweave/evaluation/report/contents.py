"""What the template of an evaluation's page is given: words, tables, drawings, molecules, provenance."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .records import record
from .sections import sections
from .standing import brief, decisions, ledes, listed, uncertainty_text
from .svg import colour
from .tables import ARROWS, DIRECTIONS, table

if TYPE_CHECKING:
    from ..evaluation import Evaluation

LETTERS = [*string.ascii_lowercase, *(first + second for first in "abc" for second in string.ascii_lowercase)]
SAID_ELSEWHERE = frozenset(
    {
        "valid",
        "strict",
        "smiles",
        "reason",
        "formula",
        "finished",
        "name",
        "n_fragments",
        "n_atoms",
        "n_rings",
        "ring_sizes",
    }
)
"""Columns that a molecule's card shows anyway."""


def evaluation_title(evaluation: Evaluation) -> str:
    """Return the heading: the sets' names and the reference's."""
    names = [scored.name for scored in evaluation.sets]
    said = listed(names) if len(names) <= 4 else f"{len(names)} sets of molecules"
    return f"{said} against {evaluation.reference.name}" if evaluation.reference.name else said


def page_contents(evaluation: Evaluation) -> dict[str, Any]:
    """Return the template's variables; every string in them is untrusted and plain."""
    decided = decisions(evaluation)
    tables = [found for suite in evaluation.suites if (found := table(evaluation, suite)) is not None]
    per_set, provenance = _provenance(evaluation)
    return {
        "set_names": [scored.name for scored in evaluation.sets],
        "reference": evaluation.reference,
        "decisions": decided,
        "ledes": ledes(evaluation, decided),
        "tables": tables,
        "sections": sections(evaluation),
        "reasons": _reasons(evaluation),
        "per_set": per_set,
        "provenance": provenance,
        "letters": LETTERS,
        "arrows": ARROWS,
        "directions": DIRECTIONS,
        "colour": colour,
        "brief": brief,
        "sure": uncertainty_text,
    }


def wall_records(evaluation: Evaluation, max_molecules: int) -> list[dict[str, Any]]:
    """Return the attempts on the wall: the first of each set, as many of each as there is room for."""
    sizes = [len(scored.sample) for scored in evaluation.sets]
    shown = [0] * len(sizes)
    room = max_molecules
    while room > 0 and (open_sets := [k for k, size in enumerate(sizes) if shown[k] < size]):
        share = max(room // len(open_sets), 1)
        for k in open_sets:
            taken = min(share, sizes[k] - shown[k], room)
            shown[k] += taken
            room -= taken
    records = []
    for place, (scored, n_shown) in enumerate(zip(evaluation.sets, shown, strict=True)):
        columns = {
            name: values
            for result in (scored.results[0].values() if scored.results else ())
            for name, values in result.columns.items()
            if name not in SAID_ELSEWHERE
        }
        for index, verdict in enumerate(scored.sample.verdicts[:n_shown]):
            facts = record(index, verdict)
            facts["set"], facts["set_index"] = scored.name, place
            values = {name: _json(column[index]) for name, column in columns.items()}
            facts["columns"] = {name: value for name, value in values.items() if value is not None}
            records.append(facts)
    return records


def _json(value: Any) -> str | int | float | bool | None:
    """Return a column's entry as JSON holds it; what is no number, text or truth value is written out."""
    value = _plain(value)
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> Any:
    """Return numpy's scalars and arrays as Python's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _reasons(evaluation: Evaluation) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return for each reason how many attempts of each set have it, and of how many; the most frequent first."""
    counts = [
        Counter(verdict.reason for sample in scored.samples for verdict in sample.verdicts if verdict.reason)
        for scored in evaluation.sets
    ]
    totals = [sum(len(sample) for sample in scored.samples) for scored in evaluation.sets]
    overall: Counter[str] = Counter()
    for one in counts:
        overall.update(one)
    return [
        (reason, [(one[reason], total) for one, total in zip(counts, totals, strict=True)])
        for reason, _ in overall.most_common()
    ]


def _provenance(evaluation: Evaluation) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what was made by set, as headings and rows, and what holds for all, name -> text."""
    names = [scored.name for scored in evaluation.sets]
    headings, columns, common = [], [], {}
    for name, value in evaluation.made.items():
        if isinstance(value, Mapping) and value and set(value) <= set(names):
            headings.append(name)
            columns.append([_said(value.get(set_name, "")) for set_name in names])
        else:
            common[name] = _said(value)
    reference = evaluation.reference
    if reference.name:
        common["reference"] = f"{reference.name}, {reference.n_molecules:,} molecules, {reference.data}".rstrip(", ")
    common["tools"] = _said(evaluation.tools)
    if reference.tools:
        common["tools of the reference"] = _said(reference.tools)
    rows = (
        [(name, list(values)) for name, values in zip(names, zip(*columns, strict=True), strict=True)]
        if columns
        else []
    )
    return {"headings": headings, "rows": rows}, common


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(_plain(value))
