"""Tables in Markdown, and numbers as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence

from .records import Record

NOT_MEASURED = "not measured"

TEXT = frozenset(
    {
        "",
        "measure",
        "counted",
        "system",
        "source",
        "unit",
        "where and when",
        "device",
        "pace",
        "variant",
        "molecules",
        "authors' checker only, and why",
    }
)
"""Headings of columns that hold words."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns under `TEXT` headings are aligned to the left, numbers to the right."""
    rule = ["---" if heading in TEXT else "---:" for heading in headings]
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rule, *rows])


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in percent without the sign; empty if there is none."""
    return "" if share is None else f"{100 * share:.{digits}f}"


def number(value: float) -> str:
    """Return a number with three significant digits, large ones whole with separators: "0.64", "61.3", "23,400"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def moment(record: Record) -> str:
    """Return what a figure was measured on: machine, matrix-product rate, commit and day."""
    threads = "1 thread" if record["threads"] == 1 else f"{record['threads']} threads"
    rate = f"{record['matrix_gflops']:g} GFLOP/s with {threads}"
    return f"{record['machine']}, {rate}, {record['commit']}, {record['date']}"
