"""The part of `atomweave score` that calculates properties: its options, its columns, its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, printable

if TYPE_CHECKING:
    from ..molecule import Molecule
    from ..properties.executors import Executor
    from ..properties.methods import Method
    from ..properties.scoring import Score

GIB = 2**30


@dataclass(frozen=True)
class Asked:
    """What the options ask for, each None or False where it was not given."""

    properties: str | None
    method: str | None
    relax: bool
    relax_by: str | None
    results: Path | None
    retry: bool
    workers: int | None
    timeout: float | None
    memory: float | None
    scheduler: str | None
    slurm: str | None
    relaxed_out: Path | None = None

    def refuse_idle(self) -> None:
        """Raise `UsageError` if no property is asked for, yet how to calculate them is."""
        given = [name for name, value in vars(self).items() if value not in (None, False)]
        if self.properties is None and given:
            raise UsageError(
                f"--{given[0].replace('_', '-')} is about calculating, but no property is asked for: add --property, "
                "e.g. --property gap,energy."
            )


@dataclass(frozen=True)
class PropertyScoring:
    """Properties, method, executor and file of results, all checked."""

    properties: tuple[str, ...]
    method: Method
    relaxing: Method | None
    executor: Executor
    results: Path
    retry: bool
    relaxed_out: Path | None = None

    @classmethod
    def of(cls, asked: Asked, out: Path) -> PropertyScoring:
        """Check what is asked for.

        Raises:
            UsageError: if a property, method or option is unknown, or two options exclude each other.
        """
        from ..io import format_of
        from ..properties.methods import QM9_LEVEL, check_properties, parse_method, relaxing_method

        method = parse_method(asked.method or QM9_LEVEL)
        properties = tuple(dict.fromkeys(filter(None, map(str.strip, (asked.properties or "").split(",")))))
        check_properties(properties, method)
        relaxing = relaxing_method(asked.relax_by or asked.relax, method)
        results = asked.results or out.with_suffix(".sqlite")
        if results.absolute() in {path.absolute() for path in (out, asked.relaxed_out) if path is not None}:
            shown = printable(str(results))
            raise UsageError(f"--results: got {shown}, which is another output's name; name another file.")
        if asked.relaxed_out is not None:
            format_of(asked.relaxed_out)
            if relaxing is None:
                raise UsageError("--relaxed-out: no minimum is asked for: add --relax or --relax-by METHOD.")
        executor = _executor(asked, method, relaxing)
        return cls(properties, method, relaxing, executor, results, asked.retry, asked.relaxed_out)

    def run(self, molecules: Sequence[Molecule]) -> list[Score]:
        """Calculate what is not known yet, and show how far it is."""
        from ..properties.scoring import score
        from .progress import progress

        with progress("calculating", "molecules") as show:
            return score(
                molecules, self.properties, self.method, relax=self.relaxing or False, results=self.results,
                executor=self.executor, retry=self.retry, progress=show,
            )  # fmt: skip

    def columns(self, reason: str) -> tuple[str, ...]:
        """Return the names of the columns, with a name for that of reasons."""
        return (*self.properties, "method", "minimum_of", "seconds", reason)

    def cells(self, found: Score | None, unread: str = "") -> tuple[Any, ...]:
        """Return the columns' values of a molecule, or of a frame that cannot be read."""
        if found is None:
            return (*[None] * (len(self.properties) + 3), unread)
        detail = f" ({found.detail})" if found.detail else ""
        # Ten digits: total energies are large, and differences between them count.
        values = (format(found.values[name], ".10g") if name in found.values else None for name in self.properties)
        minimum = self.relaxing.name if self.relaxing else None
        return (*values, self.method.name, minimum, found.seconds, f"{found.reason}{detail}")

    def write_minima(self, scores: Sequence[Score], places: Sequence[str]) -> str:
        """Write the molecules at their minima, with what was calculated and where each comes from, if that is asked.

        Args:
            scores: one a molecule.
            places: where each stands, file and frame.

        Returns:
            A line that says how many there are; empty where none are asked for.
        """
        from ..evaluation.validity import assess
        from .verdicts import write_molecules

        if self.relaxed_out is None or self.relaxing is None:
            return ""
        minima = []
        for found, place in zip(scores, places, strict=True):
            if found.relaxed is not None:
                told = {**found.values, "method": self.method.name, "minimum_of": self.relaxing.name, "source": place}
                minima.append(replace(found.relaxed, properties={**found.relaxed.properties, **told}))
        if not minima:
            return f"{printable(str(self.relaxed_out))}: not written, since no molecule has a minimum."
        write_molecules(self.relaxed_out, minima, assess(minima), drop_invalid=False)
        return f"{printable(str(self.relaxed_out))}: {len(minima):,} of {len(scores):,} molecules at their minimum."

    def summary(self, scores: Sequence[Score], places: Sequence[str]) -> list[str]:
        """Return the lines on what came out: each property's mean and ends, how many have which reason.

        Args:
            scores: one a molecule.
            places: where each stands, file and frame.
        """
        lines = [line for name in self.properties if (line := self._line(name, scores, places))]
        for reason, count in Counter(found.reason for found in scores if found.reason).most_common():
            lines.append(f"{_share(count, len(scores))} without all properties: {printable(reason)}.")
        known = sum(found.cached for found in scores)
        if known:
            lines.append(f"{known:,} of {len(scores):,} molecules were known from {printable(str(self.results))}.")
        return lines

    def _line(self, name: str, scores: Sequence[Score], places: Sequence[str]) -> str:
        import numpy as np

        from ..evaluation.bootstrap import percentile_interval
        from ..properties.methods import PROPERTIES

        have = [index for index, found in enumerate(scores) if name in found.values]
        if not have:
            return ""
        values = np.array([scores[index].values[name] for index in have])
        interval = percentile_interval(values, np.mean)
        between = "" if interval is None else f" (95 % {interval[0]:.4g} to {interval[1]:.4g})"
        ends = (
            f"{word} {values[at]:.4g} ({places[have[at]]})"
            for word, at in (("lowest", int(values.argmin())), ("highest", int(values.argmax())))
        )
        at_minimum = f" at the minimum of {self.relaxing.name}" if self.relaxing else ""
        count = f"{len(have):,} molecule{'' if len(have) == 1 else 's'}"
        return (
            f"{name}, {self.method.name}{at_minimum}: mean {values.mean():.4g} {PROPERTIES[name].unit}{between}, "
            f"{', '.join(ends)}, over {count}."
        )


def _share(count: int, total: int) -> str:
    from ..evaluation.intervals import wilson

    low, high = wilson(count, total)
    percent = f"{100 * count / total:.1f} %, 95 % {100 * low:.1f} to {100 * high:.1f} %"
    return f"{count:,} of {total:,} molecules ({percent})"


def _executor(asked: Asked, method: Method, relaxing: Method | None) -> Executor:
    from ..properties.executors import Limits, LocalExecutor, default_limits
    from .cluster import cluster_of

    usual = default_limits(method, relaxing)
    if asked.timeout is not None and asked.timeout <= 0:
        raise UsageError(f"--timeout: got {asked.timeout:g}, wanted seconds above 0.")
    if asked.memory is not None and asked.memory <= 0:
        raise UsageError(f"--memory: got {asked.memory:g}, wanted GiB above 0.")
    limits = Limits(
        usual.timeout if asked.timeout is None else asked.timeout,
        usual.memory if asked.memory is None else int(asked.memory * GIB),
    )
    return cluster_of(asked.scheduler, asked.slurm, limits, workers=asked.workers) or LocalExecutor(
        limits, asked.workers
    )
