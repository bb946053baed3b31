"""What an evaluation is: suites of metrics over named sets of molecules, beside a reference and published rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, did_you_mean, printable
from .measure import Measure
from .tools import tool_versions

if TYPE_CHECKING:
    from .metric import Metric, Result
    from .reference import Reference
    from .sample import Sample


@dataclass(frozen=True)
class PublishedRow:
    """Figures of one system as somebody published them.

    Attributes:
        system: e.g. "Symphony".
        conditions: number of molecules, temperatures, budget; what one must know to compare.
        source: where it is written, e.g. "thesis, table 5.1".
        values: measure name -> value in the unit of the measure (shares in [0, 1]).
        spread: measure name -> the published uncertainty, same unit.
    """

    system: str
    conditions: str
    source: str
    values: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Suite:
    """A named table: which metrics, which of their figures, and who published the same.

    Attributes:
        name: as `--suite` takes it.
        title: one line.
        metrics: what is computed; a metric shared by several suites is computed once.
        rows: names of the measures it shows, in order; a name that ends in "/" stands for all that begin with it.
        published: rows that stand beside.
        note: what a reader must know to compare with the published rows.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    rows: tuple[str, ...]
    published: tuple[PublishedRow, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Scored:
    """One named set: one sample, or several (files, seeds) of the same model.

    Attributes:
        name: as `--names` says, or the file's name.
        samples: its samples.
        results: for each sample, metric name -> result.
        measures: figures of the set by name: of the one sample, or the mean over samples with their spread.
        temperature: at which it was grown, if that is known.
    """

    name: str
    samples: tuple[Sample, ...]
    results: tuple[Mapping[str, Result], ...] = field(repr=False)
    measures: Mapping[str, Measure]
    temperature: float | None = None

    @property
    def sample(self) -> Sample:
        """The first sample, whose molecules and distributions stand for the set where only one can be shown."""
        return self.samples[0]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Everything that an evaluation found.

    Attributes:
        sets: what was scored, in the order given.
        reference: what they were compared with.
        suites: the tables.
        made: provenance, name -> value: files, versions, command, date, seconds.
        tools: versions of what decided the figures.
    """

    sets: tuple[Scored, ...]
    reference: Reference
    suites: tuple[Suite, ...]
    made: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=tool_versions)

    def __getitem__(self, name: str) -> Measure:
        """Return a figure of the first set, e.g. `evaluation["valid"].value`.

        Raises:
            UsageError: if there is no figure of that name; the message lists those there are.
        """
        measures = self.sets[0].measures
        if name not in measures:
            raise UsageError(f"there is no figure {name!r}: {did_you_mean(name, measures)}")
        return measures[name]

    def __repr__(self) -> str:
        names = ", ".join(printable(scored.name) for scored in self.sets)
        return f"Evaluation of {names} by {', '.join(suite.name for suite in self.suites)}"

    def __str__(self) -> str:
        from .terminal import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from .notebook import html_of

        return html_of(self)

    def rows(self, suite: Suite, at_most: int | None = None) -> list[str]:
        """Return the names of the measures that a suite shows and at least one set has, in order.

        Args:
            suite: the table.
            at_most: of a family ("groups/") with more rows than this only what sums it up is named, its mean or the
                share that passes all of it, if it has one; a table of nothing but families shows them whole.
        """
        if all(row.endswith("/") for row in suite.rows):
            at_most = None
        known: dict[str, None] = dict.fromkeys(name for scored in self.sets for name in scored.measures)
        chosen: dict[str, None] = {}
        for row in suite.rows:
            matching = [name for name in known if name.startswith(row)] if row.endswith("/") else [row]
            if at_most is not None and len(matching) > at_most:
                matching = [f"{row}mean", f"{row}all_pass"]
            chosen |= dict.fromkeys(name for name in matching if name in known)
        return list(chosen)

    def measure(self, name: str) -> Measure:
        """Return any set's measure of that name, for its label, kind and unit."""
        return next(scored.measures[name] for scored in self.sets if name in scored.measures)
