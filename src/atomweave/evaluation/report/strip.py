"""One figure on one axis: our value with its interval, published systems as labelled marks, the reference as a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .svg import Drawing, Figure, Scale, colour, levels, plain_number, shorten, text_width

if TYPE_CHECKING:
    from ..measure import Measure

WIDTH = 290
MARGIN = 18
ROW = 13  # height of a row of labels
OWN_ROW = 15  # height of a set's row
LONGEST_NAME = 22


@dataclass(frozen=True)
class Mark:
    """A published value of a measure, and where it is written."""

    system: str
    value: float
    source: str


def strip(
    title: str,
    measure: Measure,
    own: Sequence[tuple[int, str, float, tuple[float, float] | None]],
    marks: Sequence[Mark],
    reference_name: str,
    reference: float | None,
    floor: float | None,
    spoken: str,
) -> Figure:
    """Draw one figure.

    Args:
        title: of the figure.
        measure: any set's measure, for its kind, unit and direction.
        own: index, name, value and interval of each set; they stand above the axis, one row each.
        marks: published values; they stand under the axis with their names.
        reference_name: name of the reference data.
        reference: their own value, drawn as a line over the full height.
        floor: of the estimator, drawn likewise where the reference has no value of its own.
        spoken: the sets' values in words.
    """
    values = [value for _, _, value, _ in own] + [mark.value for mark in marks]
    values += [bound for *_, bounds in own if bounds is not None for bound in bounds]
    values += [reference] if reference is not None else []
    values += [floor] if floor is not None else []
    scale = _scale(values, measure.kind == "share")

    placed = sorted(marks, key=lambda mark: mark.value)
    names = [shorten(mark.system, LONGEST_NAME) for mark in placed]
    spans = [_span(scale(mark.value), text_width(name, 10.5)) for mark, name in zip(placed, names, strict=True)]
    rows = levels(spans)
    line = (reference_name, reference) if reference is not None else ("floor", floor)
    top = 18 if line[1] is not None else 6
    axis = top + OWN_ROW * len(own) + 4
    height = axis + 20 + (ROW * (max(rows) + 1) + 8 if rows else 0)

    said = "".join(f"; {mark.system} {measure.number_text(mark.value)}" for mark in placed)
    said += f"; {reference_name} itself {measure.number_text(reference)}" if reference is not None else ""
    drawing = Drawing(WIDTH, height, f"{title}: {spoken}{said}")
    if line[1] is not None:
        x = scale(line[1])
        drawing.line(x, top - 4, x, axis, "reference-line", f"{line[0]}: {measure.number_text(line[1])}")
        name = shorten(line[0], LONGEST_NAME)
        left, right = _span(x, text_width(name, 10.5))
        drawing.text((left + right) / 2, 11, name, "reference-name", "middle")
    drawing.line(scale.start, axis, scale.stop, axis, "axis")
    unit = 100 if measure.kind == "share" else 1
    for tick in scale.ticks(4):
        drawing.line(scale(tick), axis, scale(tick), axis + 3, "axis")
        label = plain_number(unit * tick) + (" %" if unit == 100 else "")
        drawing.text(scale(tick), axis + 14, label, "tick", "middle")

    for row, (index, name, value, bounds) in enumerate(own):
        y = top + OWN_ROW * (row + 0.5)
        if bounds is not None:
            drawing.line(scale(bounds[0]), y, scale(bounds[1]), y, f"whisker {colour(index)}")
        hint = f"{name}: {measure.number_text(value)}"
        drawing.add("circle", hint=hint, cx=scale(value), cy=float(y), r=4.5, class_=f"dot {colour(index)}")

    for mark, name, (left, right), row in zip(placed, names, spans, rows, strict=True):
        x, y = scale(mark.value), axis + 20 + ROW * (row + 1)
        drawing.line(x, axis + 17, x, y - 8, "lead")
        hint = f"{mark.system}: {measure.number_text(mark.value)} ({mark.source})"
        drawing.add("path", hint=hint, d=f"M{x:.1f} {axis - 3.5}l3.5 3.5l-3.5 3.5l-3.5 -3.5Z", class_="published")
        drawing.add("text", name, hint=hint, x=(left + right) / 2, y=float(y), class_="published-name",
                    text_anchor="middle")  # fmt: skip
    return Figure(title, drawing.markup(), width=WIDTH)


def _scale(values: Sequence[float], is_share: bool) -> Scale:
    """Return an axis that holds all values and a little more; shares keep inside 0 and 1."""
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - pad, high + pad
    if not is_share and min(values) >= 0:
        low = 0.0  # of a distance, 0 is what matters
    if is_share:
        # Never so narrow that hundredths of a percent look like a difference.
        low, high = max(low, 0.0), min(high, 1.0)
        low = max(min(low, high - 0.05), 0.0)
        high = max(high, low + 0.05)
    return Scale(low, high, MARGIN, WIDTH - MARGIN)


def _span(x: float, width: float) -> tuple[float, float]:
    """Return where a text centred at x begins and ends, moved so that it stays inside the drawing."""
    left = min(max(x - width / 2, 0), max(WIDTH - width, 0))
    return left, left + width
