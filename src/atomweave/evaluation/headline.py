"""The table under every sample: attempted, finished, valid, strict, unique, stable, each with its denominator.

Uniqueness has no interval: resampling a sample repeats its members and biases the figure. In its place stands the
standard deviation over disjoint blocks, where there are enough attempts for two. It also falls with the number of
samples, so two figures compare only at equal numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .measure import Measure, ReferenceValues
from .metrics.lookup import stable_shares
from .metrics.shares import validity_shares
from .stability import covers
from .tools import tool_versions
from .validity import Verdict, assess

if TYPE_CHECKING:
    from rich.table import Table

    from ..molecule import Molecule

QM9: ReferenceValues = {
    "valid": 130_815 / 130_831,
    "strict": 130_343 / 130_831,
    "atom_stable": 2_344_065 / 2_359_210,
    "molecule_stable": 124_650 / 130_831,
}
"""All of QM9 by these very functions (RDKit 2026.9): what a perfect model of the data would reach."""


@dataclass(frozen=True)
class Headline:
    """The headline figures of one sample.

    Attributes:
        measures: rows in the order of the table.
        reasons: why attempts are invalid -> how many, most frequent first.
        reference: the same figures for `reference_name`, by name of the measure.
        tools: versions of what decided the figures.
    """

    measures: tuple[Measure, ...]
    reasons: dict[str, int]
    reference: ReferenceValues = field(default_factory=dict)
    reference_name: str = ""
    tools: dict[str, str] = field(default_factory=tool_versions)

    def __getitem__(self, name: str) -> Measure:
        return next(measure for measure in self.measures if measure.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return the table for JSON: names -> value, count, total, of, interval."""
        return {
            "measures": {measure.name: measure.as_dict() for measure in self.measures},
            "invalid": dict(self.reasons),
            "reference": {"name": self.reference_name, **self.reference},
            "tools": dict(self.tools),
        }

    def reference_text(self, measure: Measure) -> str:
        """Return the reference data's own value as the table shows it, empty if there is none."""
        value = self.reference.get(measure.name)
        return "" if value is None else f"{100 * value:.2f} %"

    def as_table(self, title: str = "") -> Table:
        """Return the table for a terminal (rich)."""
        from rich.table import Table
        from rich.text import Text

        why = Text("; ".join(f"{reason}: {n:,}" for reason, n in self.reasons.items()))  # text, so never markup
        table = Table(title=title or None, caption=why)
        table.add_column("")
        table.add_column("value", justify="right")
        table.add_column("95 % (or ± s.d.)", justify="right")
        table.add_column("counted", justify="right")
        if self.reference:
            table.add_column(self.reference_name, justify="right")
        for measure in self.measures:
            row = [measure.label, measure.value_text, measure.interval_text, measure.count_text]
            table.add_row(*row, *([self.reference_text(measure)] if self.reference else []))
        return table


def judge(
    molecules: Sequence[Molecule | None],
    finished: Sequence[bool] | None = None,
    reasons: Sequence[str] | None = None,
    workers: int | None = None,
    timeout: float = 10.0,
    reference: ReferenceValues = QM9,
    reference_name: str = "QM9",
) -> Headline:
    """Return the headline figures of attempts; arguments as `validity.assess` and `summarise`."""
    return summarise(assess(molecules, finished, reasons, workers, timeout), reference, reference_name)


def summarise(verdicts: Sequence[Verdict], reference: ReferenceValues = QM9, reference_name: str = "QM9") -> Headline:
    """Return the headline figures of verdicts.

    Args:
        verdicts: one an attempt; all of them count.
        reference: the reference data's own values, printed beside; empty to leave the column out.
        reference_name: its heading.
    """
    stable = stable_shares(verdicts) if _covered(verdicts) else ()
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    return Headline(
        (*validity_shares(verdicts), *stable),
        dict(reasons.most_common()),
        reference,
        reference_name if reference else "",
    )


def _covered(verdicts: Sequence[Verdict]) -> bool:
    """Return whether there are molecules and the table has every element of theirs; else stability says nothing."""
    molecules = [verdict.molecule for verdict in verdicts if verdict.molecule is not None]
    return bool(molecules) and covers(molecules)
