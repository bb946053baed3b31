"""Which drawings an evaluation gives; what a reference does not hold is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..histogram import Histogram
from ..metrics import angles, bond_lengths, torsions
from ..metrics.bispectra import of_environment
from ..metrics.bispectrum import SECTORS
from ..metrics.composition import atoms
from ..metrics.rings import rings
from .heatmap import SHOWN, heat_maps
from .plots import frequency_panel, histogram_panel, scatter_panel, share_rows
from .standing import brief, is_reference
from .svg import Figure, Reading

if TYPE_CHECKING:
    from ..evaluation import Evaluation, Scored
    from ..graphs import Graphs
    from ..metrics.comparison import Family
    from ..metrics.coordinates import Coordinates

N_BONDS, N_ANGLES, N_TORSIONS, N_ENVIRONMENTS, N_GROUPS, N_RING_SIZES = 10, 6, 6, 2, 16, 14


@dataclass(frozen=True)
class Section:
    """Drawings under one heading; `wide` drawings take the room of two."""

    key: str
    title: str
    words: str
    figures: tuple[Figure, ...]
    wide: bool = False


def sections(evaluation: Evaluation) -> list[Section]:
    """Return the drawings of an evaluation, in the order of the page."""
    graphs = [scored.sample.graphs for scored in evaluation.sets]
    name = evaluation.reference.name
    found = [
        Section(
            "bonds", "Bond lengths",
            f"Densities over the valid molecules, the ten most frequent bonds of {name}. "
            "W₁ is the mean distance in Å by which lengths would have to be shifted to become those of the reference.",
            tuple(
                value_panels(
                    evaluation, graphs, bond_lengths.W1, bond_lengths.bond_lengths, N_BONDS, "bond length, Å"
                )
            ),
        ),
        Section(
            "angles", "Bond angles and torsions",
            f"The most frequent of {name}; W₁ in degrees.",
            (
                *value_panels(evaluation, graphs, angles.FAMILY, angles.bond_angles, N_ANGLES, "angle, degrees",
                              limits=(0, 180)),
                *value_panels(evaluation, graphs, torsions.FAMILY, torsions.torsions, N_TORSIONS, "torsion, degrees",
                              limits=(-180, 180), ticks=(-180, -90, 0, 90, 180)),
            ),
        ),
        Section(
            "composition", "Atoms, rings and sizes",
            f"Shares in the valid molecules; bars are {name}, a cross means that a set has none.",
            tuple(count_panels(evaluation, graphs)),
        ),
        Section(
            "groups", "Functional groups",
            f"Share of valid molecules that hold each group; first where a set differs most from {name}, by the ratio. "
            "A cross at the left edge: none.",
            tuple(group_panels(evaluation)), wide=True,
        ),
        Section(
            "environments", "Bispectra of local environments",
            "Each row is one atom's environment, each column one component of its bispectrum (orders l of the three "
            "harmonics), colour its value; rows are sorted by the component that varies most. Equal pictures mean "
            "equal geometry around these atoms.",
            tuple(bispectrum_panels(evaluation, graphs)), wide=True,
        ),
        Section(
            "curve", "Validity against uniqueness",
            "Low temperatures buy validity with uniqueness: what is better lies to the upper right; a line joins sets "
            "of known temperature. Uniqueness falls with the number of molecules: compare equal numbers.",
            tuple(curve_panel(evaluation)), wide=True,
        ),
    ]  # fmt: skip
    return [section for section in found if section.figures]


def value_panels(
    evaluation: Evaluation, graphs: Sequence[Graphs], family: Family, values_of: Callable[[Graphs], Coordinates],
    n_shown: int, axis: str, limits: tuple[float, float] | None = None, ticks: Sequence[float] = (),
) -> list[Figure]:  # fmt: skip
    """Return a panel for each of the most frequent kinds of bond, angle or torsion of the reference.

    Args:
        evaluation: holds the reference's distributions, and the sets' distances from them.
        graphs: of each set.
        family: of distributions.
        values_of: gives a set's values.
        n_shown: panels at most.
        axis: what the values are, with the unit.
        limits: between which values lie by their nature.
        ticks: where the axis is marked, if not at round values.
    """
    known = family.most_frequent(evaluation.reference, n_shown)
    if not known:
        return []
    samples = [values_of(graph) for graph in graphs]
    names = [scored.name for scored in evaluation.sets]
    return [
        histogram_panel(
            family.label(kind), target, [sample.values[sample.rows(kind)] for sample in samples], names, axis,
            _distances(evaluation, f"{family.prefix}/{kind}", "W₁"), limits, ticks,
        )
        for kind, target in known.items()
    ]  # fmt: skip


def count_panels(evaluation: Evaluation, graphs: Sequence[Graphs]) -> list[Figure]:
    """Return atom types, ring sizes and molecule sizes."""
    counts = evaluation.reference.counts
    names = [scored.name for scored in evaluation.sets]
    found = []
    if counts.get("atoms"):
        samples = [atoms(graph).counts() for graph in graphs]
        labels = [label for label, _ in _summed([counts["atoms"], *samples]).most_common()]
        distance = _distances(evaluation, "jsd/atoms", "JSD")
        found.append(frequency_panel("Atom types", counts["atoms"], samples, names, labels, "element", distance))
    if counts.get("rings"):
        samples = [rings(graph).counts() for graph in graphs]
        of = sorted(_summed([counts["rings"], *samples]), key=int)
        caption = f"none above {of[N_RING_SIZES - 1]} shown" if len(of) > N_RING_SIZES else ""
        found.append(
            frequency_panel(
                "Ring sizes", counts["rings"], samples, names, of[:N_RING_SIZES], "atoms in the ring",
                _distances(evaluation, "jsd/rings", "JSD"), caption,
            )
        )  # fmt: skip
    if counts.get("sizes"):
        own = counts["sizes"]
        reference = Histogram.of(np.repeat([int(size) for size in own], list(own.values())), 1)
        distance = _distances(evaluation, "jsd/sizes", "JSD")
        sizes = [graph.sizes for graph in graphs]
        found.append(histogram_panel("Molecule sizes", reference, sizes, names, "atoms in the molecule", distance))
    return found


def group_panels(evaluation: Evaluation) -> list[Figure]:
    """Return functional groups that the sets hold more often than the reference, and less often, by the ratio."""
    measured = dict.fromkeys(
        name for scored in evaluation.sets for name in scored.measures if name.startswith("groups/")
    )
    rows = []
    for name in measured:
        measure = evaluation.measure(name)
        own = evaluation.reference.values.get(name)
        if own is None or measure.kind != "share":
            continue
        found = [_share(scored, name) for scored in evaluation.sets]
        if own or any(found):
            rows.append((_log_ratio(own, found, evaluation), measure.label, own, found))
    names, reference = [scored.name for scored in evaluation.sets], evaluation.reference.name
    panels = []
    for title, sign in ((f"More often than in {reference}", 1), (f"Less often than in {reference}", -1)):
        side = sorted((row for row in rows if sign * row[0] > 0), key=lambda row: -abs(row[0]))
        shown = [row[1:] for row in side[:N_GROUPS]]
        if shown:
            caption = f"{len(shown)} of {len(side)} groups" if len(side) > len(shown) else ""
            panels.append(share_rows(title, shown, names, reference, caption))
    return panels


def bispectrum_panels(evaluation: Evaluation, graphs: Sequence[Graphs]) -> list[Figure]:
    """Return heat maps of the most frequent environments that the reference keeps."""
    kept = evaluation.reference.of_metric("bispectra")
    often = evaluation.reference.counts.get("environments", {})
    shown = sorted(kept, key=lambda environment: -often.get(environment, 0))[:N_ENVIRONMENTS]
    labels = ["".join(map(str, degrees)) for degrees in SECTORS]
    figures = []
    for environment in shown:
        matrices = [(evaluation.reference.name, kept[environment])]
        matrices += [
            (scored.name, of_environment(graph, environment, SHOWN))
            for scored, graph in zip(evaluation.sets, graphs, strict=True)
        ]
        distance = _distances(evaluation, f"bispectrum_mmd/{environment}", "MMD")
        figures.append(heat_maps(environment, matrices, labels, distance))
    return figures


def curve_panel(evaluation: Evaluation) -> list[Figure]:
    """Return uniqueness against validity where there are two sets and more."""
    own = [
        (index, scored.name, scored.measures["valid"].value, scored.measures["unique"].value)
        for index, scored in enumerate(evaluation.sets)
        if all(name in scored.measures and scored.measures[name].total for name in ("valid", "unique"))
    ]
    if len(own) < 2:
        return []
    marks = {
        (row.system, row.values["valid"], row.values["unique"])
        for suite in evaluation.suites
        for row in suite.published
        if {"valid", "unique"} <= row.values.keys() and not is_reference(evaluation, row.system)
    }
    axes = ("xyz2mol-valid, share of attempts", "unique, share of valid")
    temperatures = [evaluation.sets[index].temperature for index, *_ in own]
    known = [place for place, temperature in enumerate(temperatures) if temperature is not None]
    order = sorted(known, key=lambda place: temperatures[place] or 0.0)
    return [scatter_panel("Validity and uniqueness", own, sorted(marks), axes, order)]


def _distances(evaluation: Evaluation, name: str, symbol: str) -> tuple[Reading, ...]:
    """Return the sets' distances from the reference."""
    values = tuple(
        (index, brief(measure, measure.value, unit=False))
        for index, scored in enumerate(evaluation.sets)
        if (measure := scored.measures.get(name)) is not None and measure.total
    )
    return (Reading(symbol, values, evaluation.measure(name).unit),) if values else ()


def _share(scored: Scored, name: str) -> float | None:
    measure = scored.measures.get(name)
    return measure.value if measure is not None and measure.total else None


def _log_ratio(own: float, found: Sequence[float | None], evaluation: Evaluation) -> float:
    """Return the log ratio to the reference of the set that differs most; one molecule is added to either side."""
    ratios = [0.0]
    for scored, share in zip(evaluation.sets, found, strict=True):
        if share is not None:
            one = 1 / max(len(scored.sample.valid), 1)
            ratios.append(float(np.log((share + one) / (own + one))))
    return max(ratios, key=abs)


def _summed(counts: Sequence[Mapping[str, int]]) -> Counter[str]:
    """Return counts over the reference and all sets, those of the reference first among equals."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total
