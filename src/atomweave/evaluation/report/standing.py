"""The few figures that decide, where each set stands in them among published systems, and that said in words.

Nothing here is an opinion: a system is ahead or behind where its published value lies outside the set's own interval,
level with it where it lies inside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .strip import Mark, strip
from .svg import Figure

if TYPE_CHECKING:
    from ..evaluation import Evaluation
    from ..measure import Measure

DECISIVE = {
    "valid": "",
    "strict": "",
    "valid_unique": "",
    "molecule_stable": "",
    "lookup_valid": "",
    "posebusters_all/all_pass": "PoseBusters, all tests but the energy",
    "bond_w1/mean": "bond lengths, mean W₁",
    "novel": "",
}
"""What the top of the page shows, as far as it was measured; the heading where the measure's label does not say it."""

NAMED_AT_MOST = 3
"""So many systems on one side of a set are named; of more, the two nearest are, and how far the others reach."""

PUBLISHED_ATTEMPTS = 10_000
"""Molecules behind published uniqueness, which falls with their number: fewer give no figure to compare."""


@dataclass(frozen=True)
class Standing:
    """Where one set stands in one figure.

    Attributes:
        index: of the set, which decides its colour.
        set_name: of the set.
        label: what the figure is called.
        measure: the set's own figure.
        ahead, level, behind: published values that are better, within the interval, and worse; nearest first.
    """

    index: int
    set_name: str
    label: str
    measure: Measure
    ahead: tuple[Mark, ...] = ()
    level: tuple[Mark, ...] = ()
    behind: tuple[Mark, ...] = ()

    @property
    def place(self) -> str:
        """The place among the published systems: "3rd of 5", "shared 2nd of 5"; empty if there are none.

        A system that was published twice counts once, by its better value.
        """
        ahead = {mark.system for mark in self.ahead}
        level = {mark.system for mark in self.level} - ahead
        systems = ahead | level | {mark.system for mark in self.behind}
        if not systems or not self.measure.better:
            return ""
        return f"{'shared ' if level else ''}{ordinal(len(ahead) + 1)} of {len(systems) + 1}"

    @property
    def words(self) -> str:
        """The comparison in words: "below Symphony (83.5), above G-SphereNet (26.9)"."""
        better, worse = {"high": ("below", "above"), "low": ("above", "below")}.get(
            self.measure.better, ("below", "above")
        )
        parts = [self._side(better, self.ahead), self._side("level with", self.level), self._side(worse, self.behind)]
        return ", ".join(filter(None, parts))

    def _named(self, mark: Mark) -> str:
        """Return the system's name, with where the value is written if there is another value of it elsewhere."""
        twice = sum(mark.system == other.system for other in (*self.ahead, *self.level, *self.behind)) > 1
        return f"{mark.system} in {re.split('[,;]', mark.source)[0]}" if twice else mark.system

    def _side(self, word: str, marks: Sequence[Mark]) -> str:
        if not marks:
            return ""
        values = [f"{self._named(mark)} ({brief(self.measure, mark.value, unit=False)})" for mark in marks]
        if len(marks) <= NAMED_AT_MOST:
            return f"{word} {listed(values)}"
        return f"{word} {values[0]}, {values[1]} and {len(marks) - 2} more as far as {values[-1]}"


@dataclass(frozen=True)
class Decision:
    """One decisive figure over all sets."""

    name: str
    label: str
    of: str
    better: str
    standings: tuple[Standing, ...]
    reference_name: str
    reference: float | None
    marks: tuple[Mark, ...]
    warning: str

    @property
    def is_share(self) -> bool:
        """Whether the figure is a share."""
        return self.standings[0].measure.kind == "share"

    @property
    def notes(self) -> list[str]:
        """What must be said with the figure, each once."""
        notes = [self.warning, *(s.measure.note for s in self.standings)]
        return list(dict.fromkeys(filter(None, notes)))

    @cached_property
    def figure(self) -> Figure:
        """The values beside one another on one axis."""
        own = [(s.index, s.set_name, s.measure.value, uncertainty(s.measure)) for s in self.standings]
        measure = self.standings[0].measure
        floors = [s.measure.floor for s in self.standings if s.measure.floor is not None]
        floor = max(floors) if floors else None
        spoken = "; ".join(f"{s.set_name} {s.measure.value_text}" for s in self.standings)
        return strip(self.label, measure, own, self.marks, self.reference_name, self.reference, floor, spoken)

    @property
    def reference_text(self) -> str:
        """The reference data's own value, empty if unknown."""
        return "" if self.reference is None else brief(self.standings[0].measure, self.reference)


def decisions(evaluation: Evaluation) -> list[Decision]:
    """Return the decisive figures that at least one set has."""
    found = []
    for name, heading in DECISIVE.items():
        having = [
            (index, scored)
            for index, scored in enumerate(evaluation.sets)
            if name in scored.measures and math.isfinite(scored.measures[name].value) and scored.measures[name].total
        ]
        if not having:
            continue
        marks = published(evaluation, name)
        few = not comparable(name, [len(scored.sample) for _, scored in having])
        label = heading or having[0][1].measures[name].label
        standings = tuple(
            stand(index, scored.name, label, scored.measures[name], [] if few else marks) for index, scored in having
        )
        first = standings[0].measure
        reference = evaluation.reference.values.get(name)
        found.append(
            Decision(
                name, label, common_denominator([s.measure for s in standings]), first.better, standings,
                evaluation.reference.name, reference, () if few else tuple(marks),
                f"falls with the number of molecules: not comparable with published values, of {PUBLISHED_ATTEMPTS:,}"
                if few and marks
                else "",
            )
        )  # fmt: skip
    return found


def published(evaluation: Evaluation, name: str) -> list[Mark]:
    """Return the published values of a measure in all suites, each once; the reference data's own are not among them.

    `valid_unique` is the product of two published shares where it was not published itself.
    """
    found: dict[tuple[str, float], Mark] = {}
    for suite in evaluation.suites:
        for row in suite.published:
            values = dict(row.values)
            note = f"{row.source}; {row.conditions}".strip("; ")
            if "valid_unique" not in values and {"valid", "unique"} <= values.keys():
                values["valid_unique"] = values["valid"] * values["unique"]
                if name == "valid_unique":
                    note += "; product of the two published shares"
            value = values.get(name)
            if value is None or not math.isfinite(value) or is_reference(evaluation, row.system):
                continue
            found.setdefault((row.system, round(value, 4)), Mark(row.system, value, note))
    return list(found.values())


def comparable(name: str, n_attempts: Sequence[int]) -> bool:
    """Return whether a figure of so many attempts may stand against published ones: uniqueness needs as many."""
    return not name.endswith("unique") or min(n_attempts) >= PUBLISHED_ATTEMPTS


def is_reference(evaluation: Evaluation, system: str) -> bool:
    """Return whether a published row is one of the reference data themselves."""
    name = evaluation.reference.name.casefold()
    return bool(name) and system.casefold() in {name, f"{name} itself", f"{name} (data)"}


def stand(index: int, set_name: str, label: str, measure: Measure, marks: Sequence[Mark]) -> Standing:
    """Return where a set stands among published values."""
    low, high = uncertainty(measure) or (measure.value, measure.value)
    nearest = sorted(marks, key=lambda mark: abs(mark.value - measure.value))
    level = tuple(mark for mark in nearest if low <= mark.value <= high)
    above = tuple(mark for mark in nearest if mark.value > high)
    below = tuple(mark for mark in nearest if mark.value < low)
    ahead, behind = (below, above) if measure.better == "low" else (above, below)
    return Standing(index, set_name, label, measure, ahead, level, behind)


def uncertainty(measure: Measure) -> tuple[float, float] | None:
    """Return the measure's 95 % interval, or its value plus and minus its spread over parts, or None."""
    if measure.interval is not None:
        return measure.interval
    if measure.spread is not None and math.isfinite(measure.spread.deviation):
        return measure.value - measure.spread.deviation, measure.value + measure.spread.deviation
    return None


def uncertainty_text(measure: Measure) -> str:
    """Return the uncertainty in words: "65.9 to 67.8", "± 0.4 over 10 blocks of 1,000"; empty if there is none."""
    if measure.interval is not None and measure.total:
        low, high = (brief(measure, bound, unit=False) for bound in measure.interval)
        return f"{low} to {high}"
    if measure.spread is not None and math.isfinite(measure.spread.deviation):
        deviation = brief(measure, measure.spread.deviation, unit=False)
        return f"± {deviation} over {measure.spread.n_parts} {measure.spread.of}"
    return ""


def brief(measure: Measure, value: float, unit: bool = True) -> str:
    """Return a value as a sentence shows it: percent to a tenth or, near its ends, a hundredth; three digits else."""
    if measure.kind == "share":
        percent = 100 * value
        return f"{percent:.{2 if percent > 99 or percent < 1 else 1}f}{' %' if unit else ''}"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return f"{text} {measure.unit}".rstrip() if unit else text


def ledes(evaluation: Evaluation, decided: Sequence[Decision]) -> list[tuple[int, str, list[str]]]:
    """Return for each set its index, its name and what is to be said of it first, in sentences."""
    found = []
    for index, scored in enumerate(evaluation.sets):
        standings = {
            decision.name: standing
            for decision in decided
            for standing in decision.standings
            if standing.index == index
        }
        sentences = []
        if "valid" in standings:
            sentences.append(_first_sentence(evaluation, standings["valid"]))
        places = [(standing, standing.place) for standing in standings.values() if standing.place]
        if places:
            ranked = listed([f"{place} in {standing.label}" for standing, place in places])
            sentences.append(f"Rank among the published systems: {ranked}.")
        sentences += _against_reference(evaluation, standings)
        found.append((index, scored.name, sentences))
    return found


def _first_sentence(evaluation: Evaluation, standing: Standing) -> str:
    measure = standing.measure
    sure = uncertainty_text(measure)
    of = f"{measure.total:,} {measure.of}"
    text = f"{brief(measure, measure.value)} {standing.label} ({f'{sure}; {of}' if sure else of})"
    if standing.words:
        text += f": {standing.words}"
    own = evaluation.reference.values.get(measure.name)
    return text + (f"; {evaluation.reference.name} itself {brief(measure, own)}." if own is not None else ".")


def _against_reference(evaluation: Evaluation, standings: dict[str, Standing]) -> list[str]:
    """Say in which shares the set is level with the reference data, and in which it falls furthest behind."""
    name = evaluation.reference.name
    level, gaps = [], []
    for key, standing in standings.items():
        own, measure = evaluation.reference.values.get(key), standing.measure
        if own is None or measure.kind != "share" or measure.better != "high":
            continue
        low, high = uncertainty(measure) or (measure.value, measure.value)
        if low <= own <= high:
            level.append(standing.label)
        elif own > high:
            gaps.append((own - measure.value, standing.label))
    said = [f"Level with {name} itself in {listed(level)}."] if level else []
    if gaps:
        gap, label = max(gaps)
        said.append(f"Furthest behind {name} itself in {label}, by {100 * gap:.1f} points.")
    return said


def common_denominator(measures: Sequence[Measure]) -> str:
    """Return what all figures were counted over, "10,000 attempts", or only its name where the numbers differ."""
    totals = {(measure.total, measure.of) for measure in measures}
    if len(totals) == 1:
        total, of = totals.pop()
        return f"{total:,} {of}".strip()
    kinds = {of for _, of in totals}
    return kinds.pop() if len(kinds) == 1 else ""


def listed(words: Sequence[str]) -> str:
    """Return words as an English list: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def ordinal(place: int) -> str:
    """Return "1st", "2nd", "3rd", "4th" ..."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
