"""An evaluation as a notebook shows it: one small HTML table a suite, names from files escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..errors import printable

if TYPE_CHECKING:
    from .evaluation import Evaluation, Suite


def html_of(evaluation: Evaluation) -> str:
    """Return the tables of every suite: measures down; sets, the reference and published systems across."""
    return "".join(_table(evaluation, suite) for suite in evaluation.suites)


def _table(evaluation: Evaluation, suite: Suite) -> str:
    names = evaluation.rows(suite)
    published = [row for row in suite.published if any(name in row.values for name in names)]
    own = [evaluation.reference.name] if any(name in evaluation.reference.values for name in names) else []
    heading = ["", *(scored.name for scored in evaluation.sets), *own, *(row.system for row in published)]
    rows = [_row("th", heading)]
    for name in names:
        measure = evaluation.measure(name)
        cells = [measure.label]
        for scored in evaluation.sets:
            found = scored.measures.get(name)
            cells.append("" if found is None else f"{found.value_text} ({found.interval_text})".removesuffix(" (–)"))
        known = [evaluation.reference.values] * len(own) + [row.values for row in published]
        cells += [measure.number_text(values[name]) if name in values else "" for values in known]
        rows.append(_row("td", cells))
    note = f"<p>{_text(suite.note)}</p>" if suite.note else ""
    return f"<table><caption>{_text(suite.title)}</caption>{''.join(rows)}</table>{note}"


def _row(tag: str, cells: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _text(text: str) -> str:
    return escape(printable(text))
