"""One table a suite: measures down, our sets across, then the reference's own value, the floor, published systems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .standing import common_denominator, comparable, is_reference
from .svg import colour

if TYPE_CHECKING:
    from ..evaluation import Evaluation, PublishedRow, Suite
    from ..measure import Measure

ARROWS = {"high": "↑", "low": "↓"}
DIRECTIONS = {"high": "higher is better", "low": "lower is better"}


GROUPS = {
    "bond_mmd": "Bond lengths, MMD of the thesis",
    "bond_mmd_gspherenet": "Bond lengths, MMD of G-SphereNet's paper",
    "bond_w1": "Bond lengths, Wasserstein-1",
    "angle_w1": "Bond angles, Wasserstein-1",
    "torsion_w1": "Torsions, Wasserstein-1",
    "bispectrum_mmd": "Bispectra of local environments, MMD",
    "jsd": "Jensen-Shannon divergence",
    "rings": "Rings",
    "composition": "Composition",
    "groups": "Functional groups, share of molecules that hold one",
    "posebusters": "PoseBusters, of the valid",
    "posebusters_all": "PoseBusters, of all attempts",
    "posebusters_packaged": "PoseBusters as packaged, of the valid",
    "posebusters_packaged_all": "PoseBusters as packaged, of all attempts",
    "xtb": "Relaxation with GFN2-xTB",
    "memorised": "Memorisation",
}
"""Headings of measures whose names share what stands before the slash."""

SPREAD = "±: standard deviation over"
LONG = 45
"""Rows of a table whose groups are folded until somebody asks for them."""

SUMMARIES = ("mean", "all_pass", "all_pass_with_energy")
"""Endings of the names of measures that stand for their group."""

INLINE = 64
"""A note of one row alone that is no longer than this stands in the row, not under the table."""


@dataclass(frozen=True)
class Column:
    """A heading: what stands in it, a line below it, the class of its cells and the number of its source."""

    heading: str
    kind: str
    below: str = ""
    source: int = 0


@dataclass(frozen=True)
class Cell:
    """A value, the lines below it, and whether it is the best of its row."""

    text: str = ""
    below: tuple[str, ...] = ()
    best: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """One measure; `summary` marks the one that stands for its group while that is folded."""

    name: str
    label: str
    arrow: str
    direction: str
    of: str
    notes: tuple[int, ...]
    note: str
    cells: tuple[Cell, ...]
    summary: bool


@dataclass(frozen=True)
class Group:
    """Rows under one heading; those of a long table are folded at first."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """What the template writes down, plain text throughout."""

    key: int
    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def folded(self) -> bool:
        """Whether the groups are better folded at first."""
        return sum(len(group.rows) for group in self.groups) > LONG


def table(evaluation: Evaluation, suite: Suite) -> Table | None:
    """Return a suite's table, or None if no set has any of its measures; its key is the suite's place."""
    names = evaluation.rows(suite)
    if not names:
        return None
    measures = {name: [scored.measures.get(name) for scored in evaluation.sets] for name in names}
    published = [row for row in suite.published if any(name in row.values for name in names)]
    has_reference = any(name in evaluation.reference.values for name in names)
    has_floor = any(m is not None and m.floor is not None for row in measures.values() for m in row)
    sources = list(dict.fromkeys(_source(row) for row in published))

    columns = [
        Column(scored.name, f"own {colour(index)}", _attempts(evaluation, index))
        for index, scored in enumerate(evaluation.sets)
    ]
    if has_reference:
        columns.append(Column(evaluation.reference.name, "reference", "measured here"))
    if has_floor:
        columns.append(Column("floor", "floor", f"{evaluation.reference.name or 'reference'} against itself"))
    columns += [Column(row.system, "published", "published", sources.index(_source(row)) + 1) for row in published]

    footnotes = _footnotes(measures)
    labels = {name: evaluation.measure(name).label for name in names}
    for heading in {name.partition("/")[0] for name in names if "/" in name}:
        group_names = [name for name in names if name.startswith(f"{heading}/")]
        labels |= dict(zip(group_names, _without_heading([labels[name] for name in group_names]), strict=True))
    groups: dict[str, list[Row]] = {}
    for name in names:
        having = [measure for measure in measures[name] if measure is not None]
        own = list(dict.fromkeys(note for measure in having for note in _notes_of(measure)))
        alone = [note for note in own if note not in footnotes]
        group, _, last = name.partition("/")
        row = Row(
            name, labels[name], ARROWS.get(having[0].better, ""), DIRECTIONS.get(having[0].better, ""),
            common_denominator(having) if having[0].kind != "count" else "",
            tuple(footnotes.index(note) + 1 for note in own if note in footnotes),
            alone[0] if len(alone) == 1 and len(having) == 1 else "",
            tuple(_cells(evaluation, name, measures[name], published, has_reference, has_floor, footnotes)),
            last in SUMMARIES,
        )  # fmt: skip
        groups.setdefault(group if last else "", []).append(row)
    headed = [Group(GROUPS.get(key, key.replace("_", " ")), tuple(rows)) for key, rows in groups.items()]
    key = evaluation.suites.index(suite)
    return Table(
        key, suite.name, suite.title, suite.note, tuple(columns), tuple(headed), tuple(footnotes), tuple(sources)
    )


def _cells(
    evaluation: Evaluation,
    name: str,
    measures: Sequence[Measure | None],
    published: Sequence[PublishedRow],
    has_reference: bool,
    has_floor: bool,
    footnotes: Sequence[str],
) -> list[Cell]:
    having = [measure for measure in measures if measure is not None]
    first = having[0]
    rivals = [row.values[name] for row in published if name in row.values and not is_reference(evaluation, row.system)]
    few = not comparable(name, [len(scored.sample) for scored in evaluation.sets if name in scored.measures])
    best = "" if few else _best(first, [measure.value for measure in having if measure.total] + rivals)
    one_denominator = len({(measure.total, measure.of) for measure in having}) == 1

    cells = []
    for measure in measures:
        if measure is None:
            cells.append(Cell("–", kind="own"))
            continue
        below = [] if measure.interval_text == "–" else [measure.interval_text]
        if not one_denominator and measure.kind != "count":
            below.append(measure.count_text.removesuffix(f" {measure.of}"))
        if measure.note and measure.note not in footnotes and len(having) > 1:
            below.append(measure.note)
        text = measure.value_text
        cells.append(Cell(text, tuple(below), bool(best) and text == best, "own"))
    if has_reference:
        cells.append(Cell(_text(first, evaluation.reference.values.get(name)), kind="reference"))
    if has_floor:
        floors = [measure.floor for measure in having if measure.floor is not None]
        # It depends on the size of the set: from the smallest to the largest where there are several.
        ends = [first.number_text(end) for end in (min(floors), max(floors))] if floors else []
        low = f"{ends[0].removesuffix(f' {first.unit}')} – " if ends and ends[0] != ends[1] else ""
        cells.append(Cell(f"{low}{ends[1]}" if ends else "", kind="floor"))
    for row in published:
        text = _text(first, row.values.get(name))
        spread = [f"± {_text(first, row.spread[name]).removesuffix(' %')}"] if name in row.spread else []
        is_best = bool(best) and text == best and not is_reference(evaluation, row.system)
        cells.append(Cell(text, tuple(spread), is_best, "published"))
    return cells


def _footnotes(measures: Mapping[str, Sequence[Measure | None]]) -> list[str]:
    """Return the notes that stand under the table: long ones, and those that several rows share."""
    rows_of: dict[str, set[str]] = {}
    for name, row in measures.items():
        for measure in row:
            for note in _notes_of(measure) if measure is not None else ():
                rows_of.setdefault(note, set()).add(name)
    return [note for note, names in rows_of.items() if len(names) > 1 or len(note) > INLINE or note.startswith(SPREAD)]


def _notes_of(measure: Measure) -> list[str]:
    """Return what must be said with a figure: its own note, and over what parts its spread was taken."""
    spread = measure.spread_shown
    return list(filter(None, [f"{SPREAD} {spread.n_parts} {spread.of}" if spread else "", measure.note]))


def _without_heading(labels: Sequence[str]) -> list[str]:
    """Return labels without the ending after a comma that all of them share, which the group's heading says."""
    endings = {label.rpartition(", ")[1:] for label in labels}
    ending = "".join(endings.pop()) if len(labels) > 1 and len(endings) == 1 else ""
    return [label.removesuffix(ending) for label in labels] if ending.startswith(", ") else list(labels)


def _best(measure: Measure, values: Sequence[float]) -> str:
    """Return the best of at least two values as the table shows it, so that what looks equal is equal; else empty."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or not measure.better:
        return ""
    return measure.number_text(max(finite) if measure.better == "high" else min(finite))


def _text(measure: Measure, value: float | None) -> str:
    return "" if value is None else measure.number_text(value)


def _source(row: PublishedRow) -> str:
    return "; ".join(filter(None, [row.source, row.conditions]))


def _attempts(evaluation: Evaluation, index: int) -> str:
    samples = evaluation.sets[index].samples
    total = sum(len(sample) for sample in samples)
    return f"{total:,} attempts" + (f" in {len(samples)} files" if len(samples) > 1 else "")
