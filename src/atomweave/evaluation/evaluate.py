"""Judging sets of molecules by suites of metrics: what `atomweave evaluate` and `atomweave.evaluate` do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.store import MoleculeStore
from ..errors import InputError, UsageError, printable
from ..isolation import answered_by
from .attempts import Attempts, attempts_of
from .building import ReferenceData, Work, build_reference, find_reference
from .evaluation import Evaluation, Scored, Suite
from .pooling import pooled
from .reading import read_attempts
from .reference import Reference
from .sample import Sample
from .suites import Settings, suite_named
from .validity import assess

if TYPE_CHECKING:
    from .metric import Metric

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
            came to nothing); what `atomweave.grow` returns; a sequence of files, which are seeds of one model; or a
            mapping from names to any of these, several sets to be compared.
        reference: "qm9", which ships; a store or file of molecules, beside which the statistics are kept; molecules as
            above or a `MoleculeStore`; a `Reference`; "none" or None.
        suite: one or more of `suites.SUITES`.
        settings: sizes of the random parts on which costly metrics are measured.
        work: processes, time limits, progress.

    Raises:
        UsageError: for a name that is not known, and for things that are no molecules.
        InputError: where there is nothing to judge, and for files that cannot be read.
        RefusedFileError: for a damaged reference.
        MissingDependencyError: where a suite can do nothing without a package that is not installed.
        IncompleteError: where an executor's workers go away.
    """
    settings, work = settings or Settings(), work or Work()
    names = [suite] if isinstance(suite, str) else list(suite)
    suites = tuple(suite_named(name, settings) for name in dict.fromkeys(names))
    groups = molecules if isinstance(molecules, Mapping) else {"": molecules}
    attempts = {str(name): _attempts(group, str(name)) for name, group in groups.items()}
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
    # Names come from files and options: shown everywhere, so made printable here.
    called = {name: printable(name or _name_of(files[0])) for name, files in sets.items()}
    known_at = {called[name]: degree for name, degree in (temperatures or {}).items()}
    sets = {called[name]: files for name, files in sets.items()}
    if not sets or not suites:
        raise UsageError(f"got {len(sets)} sets of molecules and {len(suites)} suites, wanted at least one of each.")
    for name, files in sets.items():
        if not all(map(len, files)):
            raise InputError(f"{name}: there is no attempt to judge; wanted at least one molecule.")
    metrics = distinct(suites)
    lookup = any(metric.name == LOOKUP for metric in metrics)
    scored = []
    with answered_by(work.executor):
        known = _reference(reference, metrics, work)
        for name, files in sets.items():
            samples = tuple(_sample(name, attempts, lookup, work) for attempts in files)
            results = tuple({metric.name: metric.measure(sample, known) for metric in metrics} for sample in samples)
            scored.append(Scored(name, samples, results, pooled(results), known_at.get(name)))
    made = {
        "suites": ", ".join(suite.name for suite in suites),
        "attempts": {one.name: [len(sample) for sample in one.samples] for one in scored},
        "files": {one.name: [sample.source for sample in one.samples] for one in scored},
        "sha256": {name: [attempts.sha256 for attempts in files] for name, files in sets.items()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return Evaluation(tuple(scored), known, tuple(suites), made)


def distinct(suites: Iterable[Suite]) -> list[Metric]:
    """Return the metrics of all suites, each name once: where two suites set one otherwise, the first suite counts."""
    found: dict[str, Metric] = {}
    for metric in (metric for suite in suites for metric in suite.metrics):
        found.setdefault(metric.name, metric)
    return list(found.values())


def _attempts(group: Any, name: str) -> list[Attempts]:
    if isinstance(group, str | Path):
        return [read_attempts(group)]
    if isinstance(group, Sequence) and len(group) and all(isinstance(one, str | Path) for one in group):
        return [read_attempts(one) for one in group]
    return [attempts_of(group, name)]


def _name_of(attempts: Attempts) -> str:
    path = Path(attempts.source)
    return (path.stem or path.absolute().name) if attempts.source else "sample"


def _sample(name: str, attempts: Attempts, lookup: bool, work: Work) -> Sample:
    shown = work.progress(f"bonds of {name}") if work.progress is not None else None
    verdicts = assess(
        attempts.molecules, attempts.finished, attempts.reasons, work.workers, work.timeout, lookup, shown
    )
    # What could not be read has a sentence of its reader, which names file and frame.
    told = [
        replace(verdict, detail=detail) if detail else verdict
        for verdict, detail in zip(verdicts, attempts.details, strict=True)
    ]
    return Sample(name, tuple(told), printable(attempts.source), tuple(attempts.labels), work.progress)


def _reference(reference: Any, metrics: Sequence[Metric], work: Work) -> Reference:
    if reference is None:
        return Reference()
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, str | Path):
        return find_reference(reference, metrics, work)
    if isinstance(reference, MoleculeStore):
        return build_reference(ReferenceData.of_store(reference, "reference"), metrics, work)
    attempts = attempts_of(reference, "reference")
    molecules = [molecule for molecule in attempts.molecules if molecule is not None]
    if not molecules:
        raise InputError("reference: there is no molecule in it, and so nothing to compare with.")
    return build_reference(ReferenceData(molecules, "reference", attempts.sha256), metrics, work)
