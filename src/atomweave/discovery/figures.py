"""Drawings of a discovery run: where the property lies, and how it moved from model to model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.histogram import Histogram
from ..evaluation.report.plots import histogram_panel
from ..evaluation.report.strip import Mark, strip
from ..evaluation.report.svg import Drawing, Figure, Reading, Scale, colour, plain_number, shorten
from .provenance import HOW, PICKED, RANDOM
from .table2 import SOURCE, published

if TYPE_CHECKING:
    from ..evaluation.measure import Measure
    from .discover import Discovery
    from .measured import Measured
    from .tally import Tally

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 700, 260, 56, 130, 14, 44
BINS = 400
"""Of the data's range: the histogram's grid, finer than any drawing."""


def histograms(found: Discovery) -> list[Figure]:
    """Return distributions over that of the data: what was taught, what the models draw, what each round picked."""
    values = found.values[np.isfinite(found.values)]
    low, high = np.quantile(values, [0.001, 0.999])
    behind = Histogram.of(values, max(float(high - low) / BINS, 1e-6))
    axis = f"{found.plan.target}, {found.plan.objective.unit}"

    def panel(title: str, samples: Sequence[tuple[str, np.ndarray]]) -> Figure:
        names, drawn = [name for name, _ in samples], [one for _, one in samples]
        counted = [Reading(name, ((place, f"{len(one):,}"),)) for place, (name, one) in enumerate(samples)]
        return histogram_panel(title, behind, drawn, names, axis, counted)

    figures = [panel("What was taught", [("biased set", found.selected)])]
    figures.append(panel("What the models draw", [(one.name, _values(one, RANDOM)) for one in found.models]))
    for one in found.rounds:
        both = [(HOW[how], _values(one.measured, how)) for how in (RANDOM, PICKED)]
        figures.append(panel(one.measured.name.capitalize(), both))
    return figures


def standings(found: Discovery, measures: Sequence[tuple[str, Sequence[Measure]]]) -> list[Figure]:
    """Return one figure a measure: the models with their intervals over the published systems and the data."""
    rows, data = published(found.plan), found.data[0]
    figures = []
    for field, models in measures:
        own = [
            (place, one.name, measure.value, measure.interval)
            for place, (one, measure) in enumerate(zip(found.models, models, strict=True))
            if np.isfinite(measure.value)
        ]
        if not own:
            continue
        marks = [Mark(row.system, getattr(row, field), SOURCE) for row in rows if row.system != "QM9"]
        first = models[0]
        spoken = ", ".join(f"{name} {first.number_text(value)}" for _, name, value, _ in own)
        figures.append(strip(first.label, first, own, marks, data.system, getattr(data, field), None, spoken))
    return figures


def progress(found: Discovery) -> Figure:
    """Return mean and best of every set in the order in which they were grown."""
    sets, objective = found.sets, found.plan.objective
    points = [(one, how, one.tally_of(how)) for one in sets for how in (RANDOM, PICKED) if one.scored(how)]
    levels = [
        value
        for *_, tally in points
        for value in (tally.mean, tally.best, *(tally.mean_interval or ()))
        if np.isfinite(value)
    ]
    levels += [found.data[0].mean, found.data[2].mean, objective.threshold]
    pad = 0.06 * (max(levels) - min(levels) or 1.0)
    up = Scale(min(levels) - pad, max(levels) + pad, HEIGHT - BOTTOM, TOP)
    spoken = "; ".join(
        f"{one.name}, {HOW[how]}: mean {tally.mean:.3g}, best {tally.best:.3g}" for one, how, tally in points
    )
    drawing = Drawing(WIDTH, HEIGHT, f"{objective.target} from model to model, {objective.unit}. {spoken}")
    drawing.axis_left(up, LEFT, WIDTH - RIGHT, [(tick, plain_number(round(tick, 6))) for tick in up.ticks(5)])
    for value, name in ((found.data[0].mean, f"mean of {found.data[0].system}"), (objective.threshold, "threshold")):
        drawing.line(LEFT, up(value), WIDTH - RIGHT, up(value), "curve", name)
        drawing.text(WIDTH - RIGHT + 8, up(value) + 4, shorten(name, 20), "reference-name")
    room = (WIDTH - LEFT - RIGHT) / max(len(sets), 1)
    for place, one in enumerate(sets):
        middle = LEFT + room * (place + 0.5)
        drawing.text(middle, HEIGHT - BOTTOM + 18, shorten(one.name, max(int(room / 6), 6)), "tick", "middle")
        drawn = [(how, tally) for each, how, tally in points if each is one]
        for shift, (how, tally) in enumerate(drawn):
            x = middle + 22 * (shift - (len(drawn) - 1) / 2)
            _point(drawing, x, up, how, one.name, tally)
    drawing.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
    caption = f"{objective.unit}; blue: by lot, orange: picked; dots: means with 95 % intervals; diamonds: the best"
    return Figure("From model to model", drawing.markup(), caption, width=WIDTH)


def _point(drawing: Drawing, x: float, up: Scale, how: str, name: str, tally: Tally) -> None:
    class_ = colour(0 if how == RANDOM else 1)
    hint = f"{name}, {HOW[how]}: mean {tally.mean:.3f}, best {tally.best:.3f}, {tally.scored:,} scored"
    if tally.mean_interval is not None:
        drawing.line(x, up(tally.mean_interval[0]), x, up(tally.mean_interval[1]), f"whisker {class_}")
    drawing.add("circle", hint=hint, cx=x, cy=up(tally.mean), r=4.5, class_=f"dot {class_}")
    y = up(tally.best)
    drawing.add("path", hint=hint, d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5Z", class_=f"published {class_}")


def _values(one: Measured, how: str) -> np.ndarray:
    return np.array([entry.value for entry in one.scored(how)], float)
