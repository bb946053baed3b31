"""What samples are compared with: the statistics of reference data, without the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Reference:
    """Statistics of reference data.

    Attributes:
        name: as tables show it, e.g. "QM9"; empty for no reference at all.
        values: the reference data's own value of each measure, by the measure's name.
        arrays: what the metrics keep, by "metric/what" (`metric.Statistics`).
        counts: labelled counts that the metrics keep.
        n_molecules: how many molecules the statistics were taken from.
        data: sha256 of the store they were taken from.
        tools: versions that decided them.
    """

    name: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    n_molecules: int = 0
    data: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)

    def of_metric(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names begin with `prefix` and a slash, by what follows it."""
        start = f"{prefix}/"
        return {name.removeprefix(start): array for name, array in self.arrays.items() if name.startswith(start)}
