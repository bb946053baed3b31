"""Suites by name: which metrics make a table, which of their figures it shows, and who published the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError, UsageError, did_you_mean
from . import published
from .evaluation import Suite
from .metrics.angles import Angles
from .metrics.bispectra import Bispectra
from .metrics.bond_lengths import BondLengths
from .metrics.bond_lengths_gspherenet import GSphereNetBondLengths
from .metrics.composition import Composition
from .metrics.environments import Environments
from .metrics.groups import Groups
from .metrics.gspherenet import GSphereNet
from .metrics.lookup import LookUp
from .metrics.memorisation import Memorisation
from .metrics.novelty import Novelty
from .metrics.open_babel import OpenBabel
from .metrics.posebusters import PoseBusters
from .metrics.rediscovery import Rediscovery
from .metrics.relaxation import Xtb
from .metrics.rings import Rings
from .metrics.shares import Validity
from .metrics.torsions import Torsions

if TYPE_CHECKING:
    from .metric import Metric


@dataclass(frozen=True)
class Settings:
    """Sizes of the random parts on which costly metrics are measured, and how their workers run.

    Attributes:
        energies: valid molecules that get PoseBusters' energy test; None for all.
        relaxed: valid molecules that are relaxed with GFN2-xTB; None for all.
        seed: draws these molecules.
        workers: processes; by default one for each CPU.
    """

    energies: int | None = 1_000
    relaxed: int | None = 200
    seed: int = 0
    workers: int | None = None


DEFAULT = "core"

HEADLINE = ("attempted", "finished", "valid", "strict", "unique", "valid_unique")
LOOKUP = ("atom_stable", "molecule_stable", "lookup_valid", "lookup_unique", "lookup_valid_unique")
SEEN = ("novel", "novel_valid_unique", "most_frequent", "rediscovered", "memorised/")
BONDS = tuple(name for name in published.SYMPHONY_TABLE_5_3[0].values if name.startswith("bond_mmd/"))
BISPECTRA = tuple(name for name in published.SYMPHONY_TABLE_5_3[0].values if name.startswith("bispectrum_mmd/"))
GEOMETRY = ("bond_w1/", "angle_w1/", "torsion_w1/")
DIVERGENCES = ("jsd/", "composition/", "rings/")


def core(_: Settings) -> Suite:
    """Return what takes seconds: validity, stability, uniqueness, novelty, geometry, composition, environments."""
    return Suite(
        "core",
        "what takes seconds: validity, stability, uniqueness, novelty, geometry, composition",
        (
            Validity(),
            LookUp(),
            Novelty(),
            Rediscovery(),
            BondLengths(),
            Angles(),
            Torsions(),
            Bispectra(),
            Environments(),
            Composition(),
            Rings(),
            Groups(),
        ),
        (*HEADLINE, *LOOKUP, *SEEN, *GEOMETRY, "bond_mmd/", "bispectrum_mmd/", *DIVERGENCES, "groups/"),
        published.merged(published.SYMPHONY_TABLE_5_1, published.SYMPHONY_TABLE_5_3, published.EDM_TABLE),
        "Published rows: the thesis and later papers; their conditions stand with their sources.",
    )


def symphony_table_5_1(settings: Settings) -> Suite:
    """Return validity and uniqueness by three ways to find bonds."""
    return Suite(
        "symphony-table-5.1",
        "validity and uniqueness by three ways to find bonds",
        (Validity(), LookUp(), OpenBabel(workers=settings.workers)),
        ("valid", "openbabel_valid", "lookup_valid", "unique", "openbabel_unique", "lookup_unique"),
        published.SYMPHONY_TABLE_5_1,
        "Uniqueness falls with the number of molecules: the published figures are of 10,000.",
    )


def symphony_table_5_2(settings: Settings) -> Suite:
    """Return PoseBusters' tests on valid molecules with the thesis's thresholds."""
    tests = tuple(published.SYMPHONY_TABLE_5_2[0].values)
    metric = PoseBusters("thesis", energies=settings.energies, seed=settings.seed, workers=settings.workers)
    return Suite(
        "symphony-table-5.2",
        "PoseBusters with the thesis's thresholds, over the valid and over all attempts",
        (Validity(), metric),
        ("valid", *tests, "posebusters/all_pass", "posebusters/all_pass_with_energy", "posebusters_all/"),
        published.SYMPHONY_TABLE_5_2,
        "Published over the valid molecules of each model; over all attempts every test falls with validity. Contacts "
        "may come as near as 0.8 of the lower bound, as the thesis's table E.1 says; PoseBusters as packaged allows "
        "0.7.",
    )


def symphony_table_5_3(_: Settings) -> Suite:
    """Return how far bond lengths, bispectra, atom types and environments lie from the data's."""
    return Suite(
        "symphony-table-5.3",
        "bond lengths, bispectra, atom types and local environments against the data",
        (Validity(), BondLengths(), Bispectra(), Environments(), Composition()),
        (*BONDS, *BISPECTRA, "jsd/atoms", "jsd/environments"),
        published.SYMPHONY_TABLE_5_3,
        "The estimator's floor, between two samples of the data, is well above 0: a figure near it cannot get better.",
    )


def gspherenet_table_1(settings: Settings) -> Suite:
    """Return validity and bond-length discrepancies by the G-SphereNet authors' own checker."""
    return Suite(
        "gspherenet-table-1",
        "validity and bond lengths by the checker of G-SphereNet's authors",
        (GSphereNet(), GSphereNetBondLengths(workers=settings.workers)),
        ("gspherenet_valid", "bond_mmd_gspherenet/"),
        published.GSPHERENET_TABLE_1,
        "This checker passes radicals and incomplete molecules: QM9 molecules with their last atoms deleted are valid.",
    )


def edm(_: Settings) -> Suite:
    """Return stability and validity by EDM's table of bond lengths."""
    return Suite(
        "edm",
        "stability and validity by EDM's table of bond lengths",
        (Validity(), LookUp(), Novelty()),
        (*LOOKUP, "valid", "valid_unique", "novel"),
        published.EDM_TABLE,
        "Look-up validity is that of the largest fragment, as published; xyz2mol stands beside it to compare.",
    )


def posebusters(settings: Settings) -> Suite:
    """Return PoseBusters' packaged tests for molecules."""
    return Suite(
        "posebusters",
        "PoseBusters as packaged (configuration mol), over the valid and over all attempts",
        (PoseBusters("packaged", energies=settings.energies, seed=settings.seed, workers=settings.workers),),
        ("posebusters_packaged/", "posebusters_packaged_all/"),
    )


def energy(settings: Settings) -> Suite:
    """Return what a relaxation with GFN2-xTB does to the molecules."""
    return Suite(
        "energy",
        "relaxation with GFN2-xTB: is the graph kept, how far do atoms move, how much energy is lost",
        (Xtb(n=settings.relaxed, seed=settings.seed, workers=settings.workers),),
        ("xtb/",),
    )


def memorisation(_: Settings) -> Suite:
    """Return how near the molecules are to those that a model has seen."""
    return Suite(
        "memorisation",
        "novelty, exact duplicates of training molecules, nearest training neighbour",
        (Novelty(), Rediscovery(), Memorisation()),
        SEEN,
    )


PARTS = (
    core, symphony_table_5_1, symphony_table_5_2, symphony_table_5_3, gspherenet_table_1, edm, posebusters, energy,
    memorisation,
)  # fmt: skip


def full(settings: Settings) -> Suite:
    """Return every metric there is."""
    # PoseBusters' energy test is the same under either thresholds: once is enough.
    suites = [make(replace(settings, energies=0) if make is posebusters else settings) for make in PARTS]
    metrics = tuple(dict.fromkeys(metric for suite in suites for metric in suite.metrics))
    rows = tuple(dict.fromkeys(row for suite in suites for row in suite.rows))
    # Those of the core are merged already, from tables that have suites of their own.
    published_rows = published.merged(*(suite.published for suite in suites[1:]))
    return Suite("full", "everything", metrics, rows, published_rows, suites[0].note)


SUITES: dict[str, Callable[[Settings], Suite]] = {
    "core": core,
    "symphony-table-5.1": symphony_table_5_1,
    "symphony-table-5.2": symphony_table_5_2,
    "symphony-table-5.3": symphony_table_5_3,
    "gspherenet-table-1": gspherenet_table_1,
    "edm": edm,
    "posebusters": posebusters,
    "energy": energy,
    "memorisation": memorisation,
    "full": full,
}
"""Every suite by the name that `--suite` takes."""


REQUIRED = {
    "openbabel": ("openbabel", "openbabel"),
    "xtb": ("tblite", "xtb"),
    "posebusters": ("posebusters", "eval"),
    "posebusters_packaged": ("posebusters", "eval"),
}
"""Metric name -> the package it cannot do without, and the extra that installs it."""


def suite_named(name: str, settings: Settings) -> Suite:
    """Return a suite without the metrics whose package is not installed, which its note then names.

    Raises:
        UsageError: if there is none of that name.
        MissingDependencyError: if none of its own metrics could be measured.
    """
    if name not in SUITES:
        raise UsageError(f"there is no suite {name!r}: {did_you_mean(name, SUITES)}")
    suite = SUITES[name](settings)
    missing = {metric: REQUIRED[metric.name] for metric in suite.metrics if not _installed(metric)}
    if not missing:
        return suite
    said = " ".join(
        f"{package} is not installed, which leaves out {metric.name}: pip install 'atomweave[{extra}]'."
        for metric, (package, extra) in missing.items()
    )
    left = tuple(metric for metric in suite.metrics if metric not in missing)
    if not left or left == (Validity(),):
        raise MissingDependencyError(f"suite {name}: {said}")
    return replace(suite, metrics=left, note=f"{suite.note} {said}".strip())


def _installed(metric: Metric) -> bool:
    return metric.name not in REQUIRED or find_spec(REQUIRED[metric.name][0]) is not None
