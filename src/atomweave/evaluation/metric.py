"""What every metric is: a sample and a reference in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .measure import Measure

if TYPE_CHECKING:
    from .reference import Reference
    from .sample import Sample


@dataclass(frozen=True, eq=False)
class Result:
    """What one metric found on one sample.

    Attributes:
        measures: its figures, in the order of the table.
        columns: per-attempt values for `molecules.csv`: name -> one entry an attempt, None where there is none.
    """

    measures: tuple[Measure, ...] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a metric keeps of reference data, so that the data themselves are not needed to compare with them.

    Attributes:
        arrays: name -> array; names begin with the metric's own name and a slash.
        counts: name -> labelled counts, e.g. "rings" -> {"3": 120, "5": 80}.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Metric(Protocol):
    """One metric with its settings; a frozen dataclass in a file of its own."""

    @property
    def name(self) -> str:
        """Key of the metric; the names of its measures begin with it unless they are older."""

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the figures of a sample; a metric that lacks what it needs in `reference` returns no measures."""

    def describe(self, sample: Sample) -> Statistics:
        """Return what a reference made of this sample must hold for `measure` to compare with it."""
