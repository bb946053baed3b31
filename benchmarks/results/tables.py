"""Tables in Markdown, and numbers as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .records import Record

NOT_MEASURED = "not measured"

TEXT = frozenset({"", "system", "conditions", "source", "unit", "where and when", "device", "pace"})
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


def measure_text(measures: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Return a share of a judged sample with its interval, in percent: "83.50 (82.76 – 84.22)"; empty if not there."""
    measure = measures.get(name)
    if measure is None or not measure["total"]:
        return ""
    if measure["interval"] is None:
        return percent(measure["value"])
    low, high = measure["interval"]
    return f"{percent(measure['value'])} ({percent(low)} – {percent(high)})"


def moment(record: Record) -> str:
    """Return what a figure was measured on: machine, matrix-product rate, commit and day."""
    threads = "1 thread" if record["threads"] == 1 else f"{record['threads']} threads"
    rate = f"{record['matrix_gflops']:g} GFLOP/s with {threads}"
    return f"{record['machine']}, {rate}, {record['commit']}, {record['date']}"


def mean_and_spread(shares: Sequence[float]) -> str:
    """Return mean and standard deviation of shares of disjoint parts, in percent: "99.1 ± 0.3"; one has no spread."""
    mean = sum(shares) / len(shares)
    if len(shares) == 1:
        return percent(mean, 1)
    deviation = (sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)) ** 0.5
    return f"{percent(mean, 1)} ± {percent(deviation, 1)}"
