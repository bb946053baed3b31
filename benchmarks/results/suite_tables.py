"""A suite's table in Markdown: measures down; our weights, the data, the floor and published systems across."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from atomweave.evaluation.evaluation import Evaluation, PublishedRow, Scored, Suite
from atomweave.evaluation.measure import Measure, Spread
from atomweave.evaluation.reference import Reference

from .records import Record
from .tables import NOT_MEASURED, table

OURS = "**Atomweave** `{}`"

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
"""Of the sources of a table, which stand below it."""

RANDOM_PART = 0.5
"""Where fewer than this share of the reference's molecules went into its own value, the cell says how many."""

TEMPERED = ("focus", "species", "position", "distance", "angle", "torsion")
"""What a temperature may be of, in the order in which it is drawn."""

FAMILIES = {
    "bispectrum_mmd/": "MMD of bispectra",
    "jsd/": "divergence",
    "posebusters_packaged/": "PoseBusters as packaged",
    "posebusters_packaged_all/": "PoseBusters as packaged",
}
"""Beginning of a measure's name -> what its label, made for a table of its own, leaves out."""

NAMED_AT_MOST = 3
"""Labels before a note; of more, the first and their number."""


def evaluation_of(records: Sequence[Record]) -> Evaluation:
    """Return what records of the quality of weights say, a set each, beside the reference of the first of them."""
    told = records[0]["evaluation"]["reference"]
    sets = []
    for record in records:
        (one,) = record["evaluation"]["sets"]
        measures = {name: measure_of(name, fields) for name, fields in one["measures"].items()}
        sets.append(Scored(name_of(record), (), (), measures))
    reference = Reference(
        told["name"], told["values"], told["totals"], n_molecules=told["n_molecules"], tools=told["tools"]
    )
    return Evaluation(tuple(sets), reference, (), {}, records[0]["evaluation"]["tools"])


def name_of(record: Record) -> str:
    """Return what stands over a record's column: the weights, and whether they grew at other temperatures than 1."""
    return f"{record['weights']} cooled" if unlike_one(record) else record["weights"]


def unlike_one(record: Record) -> dict[str, float]:
    """Return the temperatures of a record that are not the model's own, by what they temper."""
    told = record["temperatures"]
    return {name: told[name] for name in TEMPERED if told.get(name) not in (None, 1)}


def measure_of(name: str, told: Mapping[str, Any]) -> Measure:
    """Return a measure from what `Measure.as_dict` made of it."""
    value = float("nan") if told["value"] is None else told["value"]
    interval = None if told["interval"] is None else tuple(told["interval"])
    spread = None if told["spread"] is None else Spread(**told["spread"])
    return Measure(name=name, **{**told, "value": value, "interval": interval, "spread": spread})


def suite_table(evaluation: Evaluation, suite: Suite) -> str:
    """Return the table of a suite with its notes and sources below."""
    names = evaluation.rows(suite)
    if not names:
        return f"{NOT_MEASURED.capitalize()}."
    lacking = {name: None for row in suite.published for name in row.values if name not in names}
    published = [row for row in suite.published if any(name in row.values for name in names)]
    marks = {source: MARKS[i] for i, source in enumerate(dict.fromkeys(row.source for row in published))}
    columns = [
        *((OURS.format(one.name), [_own(one.measures.get(name)) for name in names]) for one in evaluation.sets),
        *_data_columns(evaluation, names),
        *((f"{row.system} {marks[row.source]}", [_published(evaluation, row, name) for name in names])
          for row in published),
    ]  # fmt: skip
    rows = [
        [*_named(evaluation, name), *cells]
        for name, *cells in zip(names, *(cells for _, cells in columns), strict=True)
    ]
    notes = [
        suite.note,
        *([f"Published, but {NOT_MEASURED}: {', '.join(f'`{name}`' for name in lacking)}."] if lacking else []),
        *_measure_notes(evaluation, names),
        *_sources(published, marks),
    ]
    return "\n\n".join(
        [
            table(["measure", "counted", *(heading for heading, _ in columns)], rows),
            "\n".join(f"- {note}" for note in notes if note),
        ]
    ).strip()


def figure(measure: Measure) -> str:
    """Return a value with its interval or spread in brackets, without its unit: "83.50 (82.76 – 84.22)"."""
    sure = measure.interval_text
    return _bare(measure, measure.value_text) + ("" if sure == "–" or not measure.total else f" ({_plain(sure)})")


def _named(evaluation: Evaluation, name: str) -> list[str]:
    """Return what opens a row: label with the good direction, unit and denominator."""
    known = [scored.measures[name] for scored in evaluation.sets if name in scored.measures]
    first = known[0]
    arrow = {"high": " ↑", "low": " ↓"}.get(first.better, "")
    total = f"{first.total:,} " if len({measure.total for measure in known}) == 1 else ""
    unit = {"share": "% of ", "count": ""}.get(first.kind, f"{first.unit}, " if first.unit else "")
    return [_label(first) + arrow, f"{unit}{total}{first.of}"]


def _label(measure: Measure) -> str:
    family = next((words for start, words in FAMILIES.items() if measure.name.startswith(start)), "")
    return f"{measure.label}, {family}" if family else measure.label


def _own(measure: Measure | None) -> str:
    return NOT_MEASURED if measure is None else figure(measure)


def _data_columns(evaluation: Evaluation, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the columns of the reference data and of the floor, where there are any."""
    reference = evaluation.reference
    columns = []
    if any(name in reference.values for name in names):
        columns.append((f"{reference.name}, here", [_reference(evaluation, name) for name in names]))
    floors = []
    for name in names:
        known = [scored.measures[name] for scored in evaluation.sets if name in scored.measures]
        texts = [_bare(measure, measure.number_text(measure.floor)) for measure in known if measure.floor is not None]
        floors.append(" / ".join(dict.fromkeys(texts)))
    if any(floors):
        columns.append(("floor", floors))
    return columns


def _reference(evaluation: Evaluation, name: str) -> str:
    reference = evaluation.reference
    if name not in reference.values:
        return ""
    total = reference.totals.get(name, 0)
    part = f" (of {total:,})" if 0 < total < RANDOM_PART * reference.n_molecules else ""
    measure = evaluation.measure(name)
    return _bare(measure, measure.number_text(reference.values[name])) + part


def _published(evaluation: Evaluation, row: PublishedRow, name: str) -> str:
    """Return a published value with the digits of its source: those of its uncertainty, or the most of its row."""
    if name not in row.values:
        return ""
    kind = evaluation.measure(name).kind
    scale = 100 if kind == "share" else 1
    if name in row.spread:
        digits = _decimals(scale * row.spread[name])
        return f"{scale * row.values[name]:.{digits}f} ± {scale * row.spread[name]:.{digits}f}"
    alike = [
        scale * value
        for other, value in row.values.items()
        if other not in row.spread and _kind(evaluation, other) in {kind, ""}
    ]
    return f"{scale * row.values[name]:.{max(map(_decimals, alike))}f}"


def _kind(evaluation: Evaluation, name: str) -> str:
    """Return the kind of a measure, empty if no set has it."""
    return next((scored.measures[name].kind for scored in evaluation.sets if name in scored.measures), "")


def _decimals(value: float) -> int:
    """Return how many decimals a published number has; none has more than four."""
    return len(f"{value:.4f}".rstrip("0").partition(".")[2])


def _measure_notes(evaluation: Evaluation, names: Sequence[str]) -> list[str]:
    """Return what must stand with single figures, each note once with the labels it belongs to.

    Where the columns of a row have notes of their own, these stand with the columns' names.
    """
    common: dict[str, dict[str, None]] = {}
    single: dict[str, dict[str, None]] = {}
    for name in names:
        measured = {one.name: one.measures[name] for one in evaluation.sets if name in one.measures}
        told = {column: measure.note for column, measure in measured.items() if measure.note}
        label = _label(next(iter(measured.values())))
        if len(set(told.values())) == 1:
            common.setdefault(next(iter(told.values())), {})[label] = None
        elif told:
            single.setdefault("; ".join(f"`{column}`: {note}" for column, note in told.items()), {})[label] = None
    return [f"{_some(list(labels))}: {note}." for note, labels in (common | single).items()]


def _some(labels: Sequence[str]) -> str:
    return "; ".join(labels) if len(labels) <= NAMED_AT_MOST else f"{labels[0]}, and {len(labels) - 1} more"


def _sources(published: Sequence[PublishedRow], marks: Mapping[str, str]) -> list[str]:
    """Return a line for each source: its mark, where it is written, and the conditions of its systems."""
    lines = []
    for source, mark in marks.items():
        conditions: dict[str, list[str]] = {}
        for row in published:
            if row.source == source:
                conditions.setdefault(row.conditions, []).append(row.system)
        told = "; ".join(f"{', '.join(systems)}: {words}" for words, systems in conditions.items())
        lines.append(f"{mark} {source}. {told}.")
    return lines


def _bare(measure: Measure, text: str) -> str:
    """Return a figure without its unit, which stands in the column before."""
    return _plain(text.removesuffix("%" if measure.kind == "share" else measure.unit).rstrip())


def _plain(text: str) -> str:
    """Return a text with small numbers written out, to stand beside published ones: "1.1e-04" as "0.00011"."""
    return re.sub(r"\d(\.\d+)?e-\d+", lambda found: format(Decimal(found[0]), "f"), text)
