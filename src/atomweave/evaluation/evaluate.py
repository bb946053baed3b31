"""Judging sets of molecules by suites of metrics: what `atomweave evaluate` and `atomweave.evaluate` do."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, UsageError
from ..molecule import Molecule
from .attempts import Attempts, attempts_of
from .building import ReferenceData, Work, build_reference, find_reference
from .evaluation import Evaluation, Scored, Suite
from .measure import Measure, Spread
from .reading import read_attempts
from .reference import Reference
from .sample import Sample
from .suites import Settings, suite_named
from .validity import assess

if TYPE_CHECKING:
    from .metric import Metric, Result

LOOKUP = "lookup"
"""The metric whose verdicts the workers that seek bonds give as well, in the same pass."""


def evaluate(
    molecules: Any,
    reference: Any = "qm9",
    suite: str | Sequence[str] = "core",
    *,
    settings: Settings | None = None,
    work: Work | None = None,
) -> Evaluation:
    """Judge molecules, and return a table of figures with intervals, the reference's own and published ones beside.

        evaluation = atomweave.evaluate("samples.sdf")
        print(evaluation)
        evaluation["valid"].value

    Args:
        molecules: a file or folder; a sequence of `Molecule`, `ase.Atoms`, `rdkit.Chem.Mol` or None (an attempt that
            came to nothing); what `atomweave.grow` returns; or a mapping from names to any of these, several sets to
            be compared. A list as a mapping's value whose entries are files is one model's files or seeds.
        reference: "qm9", which ships; a store or file of molecules; a sequence of molecules; a `Reference`; or None.
        suite: one or more of `suites.SUITES`.
        settings: sizes of the random parts on which costly metrics are measured.
        work: processes, time limits, progress.

    Raises:
        UsageError: for a name that is not known.
        InputError: where there is nothing to judge.
    """
    settings, work = settings or Settings(), work or Work()
    names = [suite] if isinstance(suite, str) else list(suite)
    suites = tuple(suite_named(name, settings) for name in names)
    groups = molecules if isinstance(molecules, Mapping) else {"": molecules}
    attempts = {name: _attempts(group, name) for name, group in groups.items()}
    return score(attempts, reference, suites, work)


def score(
    sets: Mapping[str, Sequence[Attempts]],
    reference: Any,
    suites: Sequence[Suite],
    work: Work,
    temperatures: Mapping[str, float] | None = None,
) -> Evaluation:
    """Return the evaluation of attempts that have been read; arguments as `evaluate`.

    Args:
        sets: name -> the attempts of each of its files or seeds; an empty name is taken from the source.
        reference: as `evaluate` takes it.
        suites: the tables to fill.
        work: processes, time limits, progress.
        temperatures: name -> temperature at which the set was grown, where that is known.
    """
    began = time.perf_counter()
    metrics = _distinct(suites)
    known = _reference(reference, metrics, work)
    scored = []
    for name, files in sets.items():
        samples = tuple(_sample(name or _name_of(files[0]), attempts, suites, work) for attempts in files)
        results = tuple({metric.name: metric.measure(sample, known) for metric in metrics} for sample in samples)
        temperature = (temperatures or {}).get(name)
        scored.append(Scored(samples[0].name, samples, results, _pooled(results), temperature))
    made = {
        "suites": ", ".join(suite.name for suite in suites),
        "attempts": {one.name: [len(sample) for sample in one.samples] for one in scored},
        "files": {one.name: [sample.source for sample in one.samples] for one in scored},
        "sha256": {
            one.name: [attempts.sha256 for attempts in files] for one, files in zip(scored, sets.values(), strict=True)
        },
        "seconds": round(time.perf_counter() - began, 2),
    }
    return Evaluation(tuple(scored), known, tuple(suites), made)


def _attempts(group: Any, name: str) -> list[Attempts]:
    if isinstance(group, str | Path):
        return [read_attempts(group)]
    if isinstance(group, Sequence) and len(group) and all(isinstance(one, str | Path) for one in group):
        return [read_attempts(one) for one in group]
    return [attempts_of(group, name)]


def _name_of(attempts: Attempts) -> str:
    return Path(attempts.source).stem if attempts.source else "sample"


def _sample(name: str, attempts: Attempts, suites: Sequence[Suite], work: Work) -> Sample:
    if not attempts.molecules:
        raise InputError(f"{name}: there is no attempt to judge; wanted at least one molecule.")
    shown = work.progress(f"bonds of {name}") if work.progress is not None else None
    verdicts = assess(
        attempts.molecules, attempts.finished, attempts.reasons, work.workers, work.timeout,
        lookup=any(metric.name == LOOKUP for suite in suites for metric in suite.metrics), progress=shown,
    )  # fmt: skip
    return Sample(name, tuple(verdicts), attempts.source, tuple(attempts.labels), work.progress)


def _distinct(suites: Iterable[Suite]) -> list[Metric]:
    """Return the metrics of all suites, each once: the same settings are the same metric."""
    return list(dict.fromkeys(metric for suite in suites for metric in suite.metrics))


def _reference(reference: Any, metrics: Sequence[Metric], work: Work) -> Reference:
    if reference is None:
        return Reference()
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, str | Path):
        return find_reference(reference, metrics, work)
    molecules = list(reference)
    if not molecules or not all(isinstance(molecule, Molecule) for molecule in molecules):
        raise UsageError("reference: wanted a name, a file, a Reference or molecules, got something else.")
    return build_reference(ReferenceData(molecules, "reference", ""), metrics, work)


def _pooled(results: Sequence[Mapping[str, Result]]) -> dict[str, Measure]:
    """Return the figures of a set: of its one sample, or over its samples the mean with the spread."""
    found: dict[str, list[Measure]] = defaultdict(list)
    for result in results:
        for one in result.values():
            for measure in one.measures:
                found[measure.name].append(measure)
    return {name: measures[0] if len(results) == 1 else _mean(measures) for name, measures in found.items()}


def _mean(measures: Sequence[Measure]) -> Measure:
    values = [measure.value for measure in measures if math.isfinite(measure.value)]
    mean = float(np.mean(values)) if values else math.nan
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    floors = [measure.floor for measure in measures if measure.floor is not None]
    return replace(
        measures[0],
        value=mean,
        count=sum(measure.count for measure in measures),
        total=sum(measure.total for measure in measures),
        interval=None,
        floor=float(np.mean(floors)) if floors else None,
        spread=Spread(mean, deviation, len(values), "files") if len(values) > 1 else None,
    )
