"""A set of attempts under evaluation, with what several metrics share computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .graphs import Graphs
from .validity import Verdict

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Attempts of one model, from one file or one seed.

    Attributes:
        name: of the model or set, as tables show it.
        verdicts: one an attempt.
        source: the file or folder, for provenance.
        labels: where each attempt comes from, file and frame; empty where they come from no file.
        progress: title -> a function to be called with (done, total) during long work.
    """

    name: str
    verdicts: tuple[Verdict, ...] = field(repr=False)
    source: str = ""
    labels: tuple[str, ...] = field(default=(), repr=False)
    progress: Callable[[str], Progress] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.verdicts)

    @cached_property
    def valid(self) -> np.ndarray:
        """Indices of the xyz2mol-valid attempts; (n_valid,) int64."""
        return np.flatnonzero([verdict.valid for verdict in self.verdicts])

    @cached_property
    def graphs(self) -> Graphs:
        """The valid attempts as ragged arrays, molecule j of them being attempt `valid[j]`."""
        return Graphs.of([self.verdicts[index] for index in self.valid])

    def part(self, attempts: np.ndarray) -> Sample:
        """Return some of the attempts as a sample of their own; `attempts` are their (n,) indices."""
        labels = tuple(self.labels[index] for index in attempts) if self.labels else ()
        return replace(self, verdicts=tuple(self.verdicts[index] for index in attempts), labels=labels)

    def showing(self, title: str) -> Progress | None:
        """Return what to call with (done, total) while long work goes on, or None."""
        return self.progress(title) if self.progress is not None else None

    def over_valid(self, values: Sequence[object], of: np.ndarray | None = None) -> list[object]:
        """Return a column for `molecules.csv`: values of the valid attempts, or of the attempts `of`, else None."""
        column: list[object] = [None] * len(self)
        for index, value in zip((self.valid if of is None else of).tolist(), values, strict=True):
            column[index] = value
        return column


def blocks(n: int, n_blocks: int = 10, smallest: int = 100) -> list[np.ndarray]:
    """Return disjoint, consecutive blocks of equal size of n things, a rest left out; fewer if they would be small."""
    n_blocks = min(n_blocks, n // smallest)
    size = n // n_blocks if n_blocks > 1 else 0
    return [np.arange(start, start + size) for start in range(0, n_blocks * size, size)] if size else []
