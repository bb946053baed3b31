"""A suite's table for a terminal: measures down; sets, reference, floor and published systems across.

A cell holds the figure and, below it, what goes with it: its interval, its denominator. Every cell is text without
markup, and printable: a name with an escape sequence in it shows the sequence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..io.frames import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from .evaluation import Evaluation, PublishedRow, Scored, Suite
    from .measure import Measure

NARROWEST = 70  # characters; the notes below are as wide as the table
REASONS_SHOWN = 8  # metrics.json has them all


def as_table(evaluation: Evaluation, suite: Suite) -> Table:
    """Return a suite's table for a terminal: measures down; sets, reference, floor and published systems across."""
    from rich.table import Table
    from rich.text import Text

    names = evaluation.rows(suite)
    published = [row for row in suite.published if any(name in row.values for name in names)]
    has_reference = any(name in evaluation.reference.values for name in names)
    floors = {name: [s.measures[name].floor for s in evaluation.sets if name in s.measures] for name in names}
    has_floor = any(floor is not None for of_name in floors.values() for floor in of_name)

    notes = Text("\n".join(_notes(evaluation, suite, names, published)))
    table = Table(title=Text(printable(suite.title)), caption=notes, caption_justify="left", min_width=NARROWEST)
    table.add_column("", min_width=12)
    headings = [scored.name for scored in evaluation.sets]
    headings += [evaluation.reference.name] if has_reference else []
    headings += ["floor"] if has_floor else []
    headings += [row.system for row in published]
    for heading in headings:
        table.add_column(Text(printable(heading)), justify="right")
    for name in names:
        having = [scored.measures.get(name) for scored in evaluation.sets]
        known = [measure for measure in having if measure is not None]
        cells = [(_label(known[0]), _counted(known)), *map(_own, having)]
        if has_reference:
            cells.append(_given(known[0], evaluation.reference.values.get(name)))
        if has_floor:
            distinct = dict.fromkeys(known[0].number_text(floor) for floor in floors[name] if floor is not None)
            cells.append((" / ".join(distinct), ""))
        cells += [_given(known[0], row.values.get(name), row.spread.get(name)) for row in published]
        table.add_row(*(_cell(*cell) for cell in cells))
    return table


def invalid(scored: Scored) -> dict[str, int]:
    """Return why attempts of a set are invalid -> how many, most frequent first."""
    reasons = Counter(verdict.reason for sample in scored.samples for verdict in sample.verdicts if verdict.reason)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _label(measure: Measure) -> str:
    arrow = {"high": " ↑", "low": " ↓"}.get(measure.better, "")
    unit = f" ({measure.unit})" if measure.unit else ""
    return f"{measure.label}{unit}{arrow}"


def _counted(measures: Sequence[Measure]) -> str:
    """Return what the figures of a row are counted over; with its number, if that is the same in all sets."""
    first = measures[0]
    if first.kind == "count" or len({(measure.total, measure.of) for measure in measures}) > 1:
        return first.of
    return f"{first.total:,} {first.of}"


def _own(measure: Measure | None) -> tuple[str, str]:
    if measure is None:
        return "", ""
    return measure.value_text, measure.interval_text.removeprefix("–")


def _given(measure: Measure, value: float | None, spread: float | None = None) -> tuple[str, str]:
    if value is None:
        return "", ""
    return measure.number_text(value), "" if spread is None else f"± {measure.number_text(spread)}"


def _cell(text: str, below: str) -> Text:
    from rich.text import Text

    lines = [(printable(text), ""), *([("\n", ""), (printable(below), "dim")] if below else [])]
    return Text.assemble(*lines)


def _notes(evaluation: Evaluation, suite: Suite, names: Sequence[str], published: Sequence[PublishedRow]) -> list[str]:
    """Return the lines below a table: what one must know to read it, and why attempts are invalid."""
    notes = [suite.note] if suite.note else []
    if not names:
        notes.append("none of this table's figures could be measured on these molecules")
    known = [scored.measures[name] for name in names for scored in evaluation.sets if name in scored.measures]
    notes += dict.fromkeys(f"{measure.label}: {measure.note}" for measure in known if measure.note)
    for scored in evaluation.sets:
        reasons = invalid(scored)
        if reasons and "valid" in names:
            told = [f"{reason} {n:,}" for reason, n in list(reasons.items())[:REASONS_SHOWN]]
            further = sum(list(reasons.values())[REASONS_SHOWN:])
            notes.append(f"{scored.name}, invalid: {'; '.join(told)}{f'; other {further:,}' if further else ''}")
    sources = dict.fromkeys(", ".join(filter(None, [row.source, row.conditions])) for row in published)
    notes += [f"published: {source}" for source in sources]
    return [printable(note) for note in notes]
