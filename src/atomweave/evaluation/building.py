"""Making a reference: judge the reference data once, keep what the metrics need, and what the data reach themselves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, RefusedFileError, UsageError, did_you_mean, printable
from .reference import VERSION, Reference, is_reference, shipped_references
from .sample import Progress, Sample
from .tools import tool_versions
from .validity import assess

if TYPE_CHECKING:
    from ..data.store import MoleculeStore
    from ..isolation import Executor
    from ..molecule import Molecule
    from .metric import Metric

TRAINED_ON = frozenset({"novelty", "memorisation"})
"""Metrics about the molecules that a model has seen: described on the training split, measured on the held-out one."""

PARTS = {
    "posebusters": 2_000,
    "posebusters_packaged": 2_000,
    "openbabel": 10_000,
    "gspherenet": 10_000,
    "bond_lengths_gspherenet": 1_000,
}
"""Metrics that cost milliseconds a molecule and more: the reference's own value comes from so many random molecules."""

TRAINING_SPLITS = ("edm/train", "train")
HELD_OUT_SPLITS = ("edm/test", "test")

NAMING = ("rdkit", "openbabel-wheel", "openbabel", "posebusters", "tblite")
"""Packages whose version decides names of molecules and verdicts: statistics of another one are made anew."""

NO_REFERENCE = "none"
OURS = __name__.partition(".")[0]
"""The package whose metrics `VERSION` stands for."""

CACHED = ".reference.safetensors"


@dataclass(frozen=True, eq=False)
class ReferenceData:
    """Molecules to compare with.

    Attributes:
        molecules: all of them.
        name: as tables show it.
        data: hash of them.
        training: indices of those that a model may have learnt from; None for all.
        held_out: indices of those that it has not seen; None if there are none.
    """

    molecules: Iterable[Molecule]
    name: str
    data: str
    training: np.ndarray | None = None
    held_out: np.ndarray | None = None

    @classmethod
    def of_store(cls, store: MoleculeStore, name: str) -> ReferenceData:
        """Take all molecules of a store, with its splits if it has any."""
        found = [
            next((store.splits[split] for split in names if split in store.splits), None)
            for names in (TRAINING_SPLITS, HELD_OUT_SPLITS)
        ]
        return cls(store, name, store.sha256, *found)


@dataclass(frozen=True)
class Work:
    """How the work is done; none of it changes a figure.

    Attributes:
        workers: processes; by default one for each CPU.
        timeout: seconds for the bonds of one molecule.
        progress: title -> a function to be called with (done, total).
        executor: what works on single molecules instead of processes of this machine, e.g. an
            `isolation.cluster.DaskExecutor`; each kind of work has time limits of its own.
    """

    workers: int | None = None
    timeout: float = 10.0
    progress: Callable[[str], Progress] | None = field(default=None, repr=False)
    executor: Executor | None = None


def build_reference(
    data: ReferenceData,
    metrics: Sequence[Metric],
    work: Work,
    parts: Mapping[str, int] = PARTS,
    seed: int = 0,
    known: Reference | None = None,
) -> Reference:
    """Return the statistics of reference data.

    Args:
        data: the molecules.
        metrics: those that the reference shall serve.
        work: processes, time limit, progress.
        parts: metric name -> number of random molecules on which its own value is measured; all where it is absent.
        seed: draws those molecules.
        known: what is known of the same data already; it is kept, and the statistics of further metrics are added.
    """
    shown = work.progress(f"bonds of {data.name}") if work.progress is not None else None
    molecules = list(data.molecules)
    verdicts = tuple(assess(molecules, workers=work.workers, timeout=work.timeout, lookup=True, progress=shown))
    whole = Sample(data.name, verdicts, progress=work.progress)
    training = whole if data.training is None else whole.part(data.training)
    reference = replace(
        known or Reference(), name=data.name, n_molecules=len(whole), data=data.data, tools=tool_versions()
    )
    for metric in dict.fromkeys(metrics):
        seen = training if metric.name in TRAINED_ON else whole
        statistics = metric.describe(seen)
        reference = replace(
            reference,
            arrays={**reference.arrays, **statistics.arrays},
            counts={**reference.counts, **statistics.counts},
            metrics=(*reference.metrics, metric.name),
        )
        unseen = _measured_on(metric, whole, data, parts, seed)
        measures = metric.measure(unseen, reference).measures if unseen is not None else ()
        # A distance of the data to themselves says nothing; the floor that stands with each distance does.
        own = [one for one in measures if one.floor is None and one.kind != "count" and math.isfinite(one.value)]
        reference = replace(
            reference,
            values={**reference.values, **{measure.name: measure.value for measure in own}},
            totals={**reference.totals, **{measure.name: measure.total for measure in own}},
        )
    return reference


def _measured_on(
    metric: Metric, whole: Sample, data: ReferenceData, parts: Mapping[str, int], seed: int
) -> Sample | None:
    if metric.name in TRAINED_ON:
        return None if data.held_out is None else whole.part(data.held_out)
    n = parts.get(metric.name, len(whole))
    if n >= len(whole):
        return whole
    return whole.part(np.sort(np.random.default_rng(seed).choice(len(whole), n, replace=False)))


def check_source(source: str | Path) -> None:
    """Raise `UsageError` if a reference is neither a known name nor a file; before anything is read or measured."""
    known = {*shipped_references(), NO_REFERENCE}
    if str(source) not in known and not Path(source).exists():
        wanted = "a store, a file of molecules or a name that is known"
        names = did_you_mean(str(source), known)
        raise UsageError(f"reference: there is no {printable(str(source))!r}, wanted {wanted}; {names}")


def find_reference(source: str | Path, metrics: Sequence[Metric], work: Work) -> Reference:
    """Return the reference that a name, a store or a file of molecules stands for, made and cached if need be.

    Statistics of a store or file are kept beside it under a name that holds its hash. What is there already is not made
    again: for a suite with further metrics these are added.

    Args:
        source: "qm9", "none", a store, a file that `Reference.write` wrote, or any file or folder of molecules.
        metrics: those that it must serve.
        work: how to make it, should there be none yet.

    Raises:
        UsageError: if it is neither a known name nor a file.
        InputError: if the file holds no molecules.
        RefusedFileError: if it is a damaged store or reference.
    """
    check_source(source)
    if str(source) == NO_REFERENCE:
        return Reference()
    shipped = shipped_references()
    if str(source) in shipped:
        return Reference.open(shipped[str(source)])
    path = Path(source)
    if is_reference(path):
        return Reference.open(path)
    data = _data_of(path)
    cache = path.absolute().with_name(f"{path.absolute().stem}-{data.data[:12]}-{VERSION}{CACHED}")
    known = _known(data, cache, shipped.values())
    ours = [metric for metric in metrics if type(metric).__module__.startswith(f"{OURS}.")]
    lacking = [metric for metric in ours if metric.name not in known.metrics]
    if lacking:
        known = build_reference(data, lacking, work, known=known)
        with contextlib.suppress(OSError):  # a folder that cannot be written to costs time at the next call only
            known.write(cache)
    # Nothing tells whether a metric of the user's own means what it meant at the last call.
    own = [metric for metric in metrics if metric not in ours]
    return build_reference(data, own, work, known=known) if own else known


def _known(data: ReferenceData, cache: Path, shipped: Iterable[Path]) -> Reference:
    """Return what is known of the data already, from the cache or as it ships; an empty reference if nothing is.

    What is damaged, of another version or decided by other versions of the tools is passed over and made anew.
    """
    versions = tool_versions(NAMING)
    for path in (cache, *shipped):
        with contextlib.suppress(RefusedFileError):
            reference = Reference.open(path)
            both = [tool for tool in NAMING if tool in versions and tool in reference.tools]
            if reference.data == data.data and all(versions[tool] == reference.tools[tool] for tool in both):
                return reference
    return Reference()


def _data_of(path: Path) -> ReferenceData:
    from ..data.store import MoleculeStore
    from .reading import read_attempts

    name = path.stem or path.absolute().name
    if path.suffix == ".safetensors":
        return ReferenceData.of_store(MoleculeStore.open(path), name)
    attempts = read_attempts(path)
    molecules = [molecule for molecule in attempts.molecules if molecule is not None]
    if not molecules:
        raise InputError(f"{printable(str(path))}: no molecule in it can be read: there is nothing to compare with.")
    return ReferenceData(molecules, name, attempts.sha256)
