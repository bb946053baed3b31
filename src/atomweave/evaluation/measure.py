"""One figure of a table: a value, what it was counted over, how sure it is, and what the reference data give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .intervals import wilson

FILES = "files"
"""What the parts of a spread are that is taken over files or seeds of one model."""


@dataclass(frozen=True)
class Spread:
    """How a figure varies over parts that share no molecule: its interval where resampling would bias it.

    Attributes:
        mean: over the parts; differs from the figure of the whole where the figure depends on the number of molecules.
        deviation: standard deviation over the parts.
        n_parts: how many.
        of: what a part is: "blocks of 1,000", "files".
    """

    mean: float
    deviation: float
    n_parts: int
    of: str


@dataclass(frozen=True)
class Measure:
    """A named figure.

    Attributes:
        name: key in JSON, stable between releases; parts after a slash, e.g. "bond_mmd/C-H-1".
        label: what a table shows.
        value: a share in [0, 1] for `kind` "share", else a number in `unit`; NaN where nothing could be measured.
        count: how many passed; for a number, how many values went into it.
        total: the denominator; 0 means that nothing could be measured.
        of: what the denominator counts, e.g. "attempts".
        interval: 95 % interval of the value, None where resampling theory gives none (then see `spread`).
        kind: "share", "count" or "number".
        unit: of a number, e.g. "Å", "nats"; empty if it has none.
        better: whether "high" or "low" is good; empty where neither is.
        floor: what the estimator gives between two samples of the reference data themselves, each of this size.
        spread: over disjoint blocks or over files of one model.
        note: one sentence that must stand with the figure, e.g. "a random 1,000 of the valid".
    """

    name: str
    label: str
    value: float
    count: int
    total: int
    of: str
    interval: tuple[float, float] | None = None
    kind: Literal["share", "count", "number"] = "share"
    unit: str = ""
    better: Literal["high", "low", ""] = ""
    floor: float | None = None
    spread: Spread | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds, without the key; a value that is not finite becomes None."""
        fields = asdict(self)
        del fields["name"]
        fields["value"] = self.value if math.isfinite(self.value) else None
        return fields

    def number_text(self, value: float | None) -> str:
        """Return any value of this figure, its floor or the reference's own, as a table shows it."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.kind == "share":
            return f"{100 * value:.2f} %"
        if self.kind == "count":
            return f"{value:,.0f}"
        return f"{_digits(value)} {self.unit}".rstrip()

    @property
    def value_text(self) -> str:
        """The value as a table shows it: "83.50 %", "10,000" or "0.0123 Å"; "–" if the denominator is empty."""
        if self.kind == "count":
            return f"{self.count:,}"
        return self.number_text(self.value) if self.total else "–"

    @property
    def spread_shown(self) -> Spread | None:
        """The spread where tables show it: over files of one model, and wherever there is no interval."""
        whole = self.interval is not None and self.total
        return self.spread if self.spread is not None and (not whole or self.spread.of == FILES) else None

    @property
    def interval_text(self) -> str:
        """The interval as a table shows it, "82.8 – 84.2" in percent, or the spread, "± 0.12"; both; "–" if neither."""
        known = self.interval if self.total else None
        bounds = " – ".join(self._bare(bound) for bound in known) if known is not None else ""
        spread = f"± {self._bare(self.spread_shown.deviation)}" if self.spread_shown is not None else ""
        return ", ".join(filter(None, (bounds, spread))) or "–"

    def _bare(self, value: float) -> str:
        return f"{100 * value:.2f}" if self.kind == "share" else _digits(value)

    @property
    def count_text(self) -> str:
        """Numerator, denominator and what it counts: "8,350 of 10,000 attempts"."""
        if self.kind == "count":
            return self.of
        return f"{self.total:,} {self.of}" if self.kind == "number" else f"{self.count:,} of {self.total:,} {self.of}"


def _digits(value: float) -> str:
    """Return a number to four decimals, to two significant digits where those would show none, to one above 100."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def share(name: str, label: str, count: int, total: int, of: str, interval: bool = True, **further: Any) -> Measure:
    """Return a share with Wilson's interval, or without one where the trials are not independent."""
    bounds = wilson(count, total) if interval else None
    return Measure(name, label, count / total if total else math.nan, count, total, of, bounds, **further)


def number(name: str, label: str, value: float, total: int, of: str, unit: str = "", **further: Any) -> Measure:
    """Return a number measured on `total` things, e.g. a distance in Å between two distributions."""
    return Measure(name, label, float(value), total, total, of, kind="number", unit=unit, **further)


ReferenceValues = Mapping[str, float]
"""Values of the same measures for reference data, by name."""
