"""The table under every sample: attempted, finished, valid, strict, unique, stable, each with its denominator.

Uniqueness has no interval: resampling a sample repeats its members and biases the figure. It also falls with the
number of samples, so two figures compare only at equal numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .intervals import clustered_wilson
from .measure import Measure, ReferenceValues, share
from .stability import covers, stability
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
        table.add_column("95 %", justify="right")
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
    n = len(verdicts)
    smiles = [verdict.smiles for verdict in verdicts if verdict.valid]
    distinct = len(set(smiles))
    measures = (
        Measure("attempted", "attempted", float(n), n, n, "", kind="count"),
        share("finished", "finished", sum(verdict.finished for verdict in verdicts), n, "attempts"),
        share("valid", "xyz2mol-valid", len(smiles), n, "attempts"),
        share("strict", "connected and neutral", sum(verdict.strict for verdict in verdicts), n, "attempts"),
        share("unique", "unique", distinct, len(smiles), "valid", interval=False),
        share("valid_unique", "valid × unique", distinct, n, "attempts", interval=False),
        *_stable_shares(verdicts),
    )
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    return Headline(measures, dict(reasons.most_common()), reference, reference_name if reference else "")


def _stable_shares(verdicts: Sequence[Verdict]) -> tuple[Measure, ...]:
    """Return look-up stability, or nothing where the table lacks an element; what is not finished is not stable."""
    grown = [verdict for verdict in verdicts if verdict.molecule is not None]
    molecules = [verdict.molecule for verdict in grown if verdict.molecule is not None]
    if not molecules or not covers(molecules):
        return ()
    found = stability(molecules)
    finished = np.array([verdict.finished for verdict in grown])
    n_stable = np.where(finished, found.n_stable, 0)
    count, total = int(n_stable.sum()), int(found.n_atoms.sum())
    interval = clustered_wilson(n_stable, found.n_atoms)
    whole = int((found.molecule_stable & finished).sum())
    return (
        Measure("atom_stable", "atoms stable (look-up)", count / total, count, total, "atoms", interval),
        share("molecule_stable", "molecules stable (look-up)", whole, len(verdicts), "attempts"),
    )
