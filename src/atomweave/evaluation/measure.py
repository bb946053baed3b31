"""One figure of a table: a value, what it was counted over, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .intervals import wilson


@dataclass(frozen=True)
class Measure:
    """A named figure.

    Attributes:
        name: key in JSON, stable between releases.
        label: what a table shows.
        value: a share in [0, 1] for `kind` "share", else a number.
        count: how many passed.
        total: the denominator.
        of: what the denominator counts, e.g. "attempts".
        interval: 95 % interval of the value, None where resampling theory gives none (uniqueness: compare seeds).
        kind: "share" or "count".
    """

    name: str
    label: str
    value: float
    count: int
    total: int
    of: str
    interval: tuple[float, float] | None = None
    kind: str = "share"

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds, without the key."""
        fields = asdict(self)
        del fields["name"]
        return fields

    @property
    def value_text(self) -> str:
        """The value as a table shows it: "83.50 %" or "10,000"; "–" if the denominator is empty."""
        if self.kind == "count":
            return f"{self.count:,}"
        return f"{100 * self.value:.2f} %" if self.total else "–"

    @property
    def interval_text(self) -> str:
        """The interval as a table shows it: "82.8 – 84.2", in percent."""
        if self.interval is None or not self.total:
            return "–"
        low, high = (100 * bound for bound in self.interval)
        return f"{low:.2f} – {high:.2f}"

    @property
    def count_text(self) -> str:
        """Numerator, denominator and what it counts: "8,350 of 10,000 attempts"."""
        return self.of if self.kind == "count" else f"{self.count:,} of {self.total:,} {self.of}"


def share(name: str, label: str, count: int, total: int, of: str, interval: bool = True) -> Measure:
    """Return a share with Wilson's interval, or without one where the trials are not independent."""
    bounds = wilson(count, total) if interval else None
    return Measure(name, label, count / total if total else 0.0, count, total, of, bounds)


Reference = Mapping[str, float]
"""Values of the same measures for reference data, by name."""
