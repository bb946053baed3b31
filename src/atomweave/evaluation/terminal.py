"""A suite's table for a terminal: measures down; sets, reference, floor and published systems across.

A cell holds the figure and, below it, what goes with it: its interval, its denominator. Every cell is text without
markup, and printable: a name with an escape sequence in it shows the sequence.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from .evaluation import Evaluation, PublishedRow, Scored, Suite
    from .measure import Measure

NARROWEST = 70  # characters; the notes below are as wide as the table
WIDE = 160  # characters, where no terminal limits them
LABEL_WIDTH = 28  # characters; longer labels go on in the next line
FAMILY_SHOWN = 9  # rows; of a larger family the mean, and metrics.json and report.html have them all
REASONS_SHOWN = 8  # metrics.json has them all


def print_tables(evaluation: Evaluation) -> None:
    """Print the table of every suite to standard output, as wide as the terminal; wider where it goes to a file."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=WIDE)
    for suite in evaluation.suites:
        console.print(as_table(evaluation, suite, console.width))


def text_of(evaluation: Evaluation, width: int = WIDE) -> str:
    """Return the tables of every suite as text without colours."""
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        for suite in evaluation.suites:
            console.print(as_table(evaluation, suite, width))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def as_table(evaluation: Evaluation, suite: Suite, width: int = WIDE) -> Table:
    """Return a suite's table for a terminal: measures down; sets, reference, floor and published systems across.

    Args:
        evaluation: what was found.
        suite: the table.
        width: characters; published systems that do not fit are named below the table.
    """
    from rich.table import Table
    from rich.text import Text

    names = evaluation.rows(suite, FAMILY_SHOWN)
    published = [row for row in suite.published if any(name in row.values for name in names)]
    own, others = _own_columns(evaluation, names), [_published_column(evaluation, row, names) for row in published]
    shown = _fitting(own, others, width)

    notes = Text("\n".join(_notes(evaluation, suite, names, published, published[shown:])))
    table = Table(title=Text(printable(suite.title)), caption=notes, caption_justify="left", min_width=NARROWEST)
    table.add_column("", min_width=LABEL_WIDTH)
    columns = [*own, *others[:shown]]
    for heading, _ in columns:
        table.add_column(Text(printable(heading)), justify="right", no_wrap=True)
    for row, name in enumerate(names):
        known = [scored.measures[name] for scored in evaluation.sets if name in scored.measures]
        table.add_row(_text((_label(known[0]), _counted(known))), *(_text(cells[row]) for _, cells in columns))
    return table


Cell = tuple[str, str]
"""A figure and what stands below it."""

Column = tuple[str, list[Cell]]
"""A heading and one cell a row."""


def _own_columns(evaluation: Evaluation, names: Sequence[str]) -> list[Column]:
    """Return the columns that were measured here: the sets, the reference and the floor where there are any."""
    columns: list[Column] = [
        (scored.name, [_own(scored.measures.get(name)) for name in names]) for scored in evaluation.sets
    ]
    values = evaluation.reference.values
    if any(name in values for name in names):
        cells = [_given(evaluation.measure(name), values.get(name)) for name in names]
        columns.append((evaluation.reference.name, cells))
    floors = []
    for name in names:
        given = [scored.measures[name].floor for scored in evaluation.sets if name in scored.measures]
        texts = [evaluation.measure(name).number_text(floor) for floor in given if floor is not None]
        floors.append((" / ".join(dict.fromkeys(texts)), ""))
    if any(text for text, _ in floors):
        columns.append(("floor", floors))
    return columns


def _published_column(evaluation: Evaluation, row: PublishedRow, names: Sequence[str]) -> Column:
    return row.system, [_given(evaluation.measure(n), row.values.get(n), row.spread.get(n)) for n in names]


def _fitting(own: Sequence[Column], others: Sequence[Column], width: int) -> int:
    """Return how many of the further columns fit beside the own ones."""
    left = width - LABEL_WIDTH - 4 - sum(map(_width, own))
    fitting = itertools.takewhile(lambda taken: taken <= left, itertools.accumulate(map(_width, others)))
    return sum(1 for _ in fitting)


def _width(column: Column) -> int:
    heading, cells = column
    return 3 + max(len(text) for text in (printable(heading), *itertools.chain.from_iterable(cells)))


def invalid(scored: Scored) -> dict[str, int]:
    """Return why attempts of a set are invalid -> how many, most frequent first."""
    reasons = Counter(verdict.reason for sample in scored.samples for verdict in sample.verdicts if verdict.reason)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _label(measure: Measure) -> str:
    return measure.label + {"high": " ↑", "low": " ↓"}.get(measure.better, "")


def _counted(measures: Sequence[Measure]) -> str:
    """Return what the figures of a row are counted over; with its number, if that is the same in all sets."""
    first = measures[0]
    if first.kind == "count" or len({(measure.total, measure.of) for measure in measures}) > 1:
        return first.of
    return f"{first.total:,} {first.of}"


def _own(measure: Measure | None) -> Cell:
    if measure is None:
        return "", ""
    return measure.value_text, measure.interval_text.removeprefix("–")


def _given(measure: Measure, value: float | None, spread: float | None = None) -> Cell:
    if value is None:
        return "", ""
    return measure.number_text(value), "" if spread is None else f"± {measure.number_text(spread)}"


def _text(cell: Cell) -> Text:
    from rich.text import Text

    text, below = (printable(part) for part in cell)
    return Text.assemble(text, "\n", (below, "dim")) if below else Text(text)


def _several(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{labels[0]}, and {len(labels) - 1} more"


def _notes(
    evaluation: Evaluation,
    suite: Suite,
    names: Sequence[str],
    published: Sequence[PublishedRow],
    omitted: Sequence[PublishedRow],
) -> list[str]:
    """Return the lines below a table: what one must know to read it, and why attempts are invalid."""
    notes = [suite.note] if suite.note else []
    if not names:
        notes.append("none of this table's figures could be measured on these molecules")
    known = [scored.measures[name] for name in names for scored in evaluation.sets if name in scored.measures]
    parts = dict.fromkeys(f"{one.n_parts} {one.of}" for one in (measure.spread_shown for measure in known) if one)
    if parts:
        notes.append(f"±: standard deviation over {', '.join(parts)}")
    labels: dict[str, dict[str, None]] = {}
    for name in names:
        by_set = {one.name: one.measures[name].note for one in evaluation.sets if name in one.measures}
        alike = len(set(by_set.values())) == 1
        for column, note in by_set.items():
            # What holds for one column alone stands with its name.
            line = note if alike or not note else f"{column}: {note}"
            labels.setdefault(line, {})[evaluation.measure(name).label] = None
    notes += [f"{_several(list(noted))}: {note}" for note, noted in labels.items() if note]
    for scored in evaluation.sets:
        reasons = invalid(scored)
        if reasons and "valid" in names:
            told = [f"{reason} {n:,}" for reason, n in list(reasons.items())[:REASONS_SHOWN]]
            further = sum(list(reasons.values())[REASONS_SHOWN:])
            notes.append(f"{scored.name}, invalid: {'; '.join(told)}{f'; other {further:,}' if further else ''}")
    for row in published[: len(published) - len(omitted)]:
        notes.append(f"{row.system}: {', '.join(filter(None, [row.source, row.conditions]))}")
    if omitted:
        systems = ", ".join(dict.fromkeys(row.system for row in omitted))
        notes.append(
            f"also published, but too wide for this terminal (report.html and metrics.json have them): {systems}"
        )
    return [printable(note) for note in notes]
