"""Small drawings for the page: axes, steps and marks as SVG that takes its colours from the page's own theme.

Built as an element tree, so that no text can become markup. Colours are classes (`page.css`): `set-0`, `set-1` ... for
the sets in their order, `reference` for the reference data, so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np

N_COLOURS = 8
"""Sets beyond so many share colours with the first ones."""
CHARACTER = 0.6  # mean width of a character in a wide font, in font sizes
UNPRINTABLE = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Reading:
    """Numbers that stand under a drawing's heading, one a set: label, (place of the set, text) and unit."""

    label: str
    values: tuple[tuple[int, str], ...]
    unit: str = ""


@dataclass(frozen=True)
class Figure:
    """One drawing with the words that belong to it.

    Attributes:
        title: heading, plain text.
        svg: the drawing as markup of this module's making.
        caption: one line under the heading, plain text.
        readings: numbers of the sets.
        width: of the drawing, CSS pixels at its natural size.
    """

    title: str
    svg: str
    caption: str = ""
    readings: tuple[Reading, ...] = ()
    width: float = 0


@dataclass(frozen=True)
class Scale:
    """Where values fall along one axis; a logarithmic one needs positive bounds."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value in user units, held inside the axis."""
        low, high, value = (math.log10(max(v, 1e-300)) if self.log else v for v in (self.low, self.high, value))
        share = min(max((value - low) / ((high - low) or 1), 0), 1)
        return self.start + share * (self.stop - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values inside the axis: powers of ten on a logarithmic one."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, -(-(last - first) // about))
            return [10.0**power for power in range(first, last + 1, step)]
        rough = (self.high - self.low) / about
        unit = 10 ** math.floor(math.log10(rough))
        step = min((factor * unit for factor in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - rough))
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


class Drawing:
    """An SVG under construction, in user units of about one CSS pixel."""

    def __init__(self, width: float, height: float, label: str) -> None:
        """Begin a drawing; `label` says in words what it shows, for those who do not see it."""
        self.width, self.height = width, height
        self.root = ET.Element(
            "svg",
            {"class": "plot", "viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria-label": clean(label),
             "style": f"--natural: {width:g}px"},
        )  # fmt: skip

    def add(self, tag: str, text: str = "", hint: str = "", **attributes: object) -> ET.Element:
        """Append an element; `hint` is shown on hovering, `class_` is the class, `_` in other names stands for `-`."""
        element = ET.SubElement(self.root, tag)
        for name, value in attributes.items():
            plain = f"{value:.1f}" if isinstance(value, float) else clean(str(value))
            element.set(name.rstrip("_").replace("_", "-"), plain)
        if text:
            element.text = clean(text)
        if hint:
            ET.SubElement(element, "title").text = clean(hint)
        return element

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str, hint: str = "") -> None:
        """Draw a straight line."""
        self.add("line", hint=hint, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)

    def text(self, x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> None:
        """Write text whose baseline is at y; `anchor` is start, middle or end."""
        self.add("text", text, x=float(x), y=float(y), class_=class_, text_anchor=anchor)

    def path(self, points: Sequence[tuple[float, float]], class_: str, closed: bool = False) -> None:
        """Draw a line through points."""
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.add("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)

    def steps(self, xs: Sequence[float], ys: Sequence[float], base: float, class_: str, filled: bool = False) -> None:
        """Draw a histogram: `xs` (n + 1,) edges and `ys` (n,) heights, both already in user units."""
        points = [(xs[0], base)]
        for left, right, y in zip(xs[:-1], xs[1:], ys, strict=True):
            points += [(left, y), (right, y)]
        self.path([*points, (xs[-1], base)], class_, closed=filled)

    def axis_below(self, scale: Scale, y: float, ticks: Sequence[tuple[float, str]], title: str = "") -> None:
        """Draw a horizontal axis at y with ticks (value, label) and a title under them."""
        self.line(scale.start, y, scale.stop, y, "axis")
        for value, label in ticks:
            self.line(scale(value), y, scale(value), y + 4, "axis")
            self.text(scale(value), y + 16, label, "tick", "middle")
        if title:
            self.text((scale.start + scale.stop) / 2, y + 31, title, "axis-title", "middle")

    def axis_left(self, scale: Scale, x: float, right: float, ticks: Sequence[tuple[float, str]]) -> None:
        """Draw horizontal grid lines from x to `right`, their labels to the left of x."""
        for value, label in ticks:
            self.line(x, scale(value), right, scale(value), "grid")
            self.text(x - 6, scale(value) + 4, label, "tick", "end")

    def markup(self) -> str:
        """Return the drawing as SVG."""
        return ET.tostring(self.root, encoding="unicode")


def clean(text: str) -> str:
    """Return text without the characters that no XML may hold."""
    return UNPRINTABLE.sub("\ufffd", text)


def colour(index: int) -> str:
    """Return the class that gives a set its colour."""
    return f"set-{index % N_COLOURS}"


def text_width(text: str, size: float = 11) -> float:
    """Return about how wide a text is in user units."""
    return CHARACTER * size * len(text)


def shorten(text: str, longest: int) -> str:
    """Return text that is cut where it would not fit."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def levels(spans: Sequence[tuple[float, float]], gap: float = 6) -> list[int]:
    """Return for each span (left, right) the first row in which it overlaps none before it."""
    rows: list[list[tuple[float, float]]] = []
    found = []
    for left, right in spans:
        row = next(
            (k for k, taken in enumerate(rows) if all(right + gap <= a or left >= b + gap for a, b in taken)), len(rows)
        )
        if row == len(rows):
            rows.append([])
        rows[row].append((left, right))
        found.append(row)
    return found


def plain_number(value: float) -> str:
    """Return a tick's label: "0.2", "1,000", "−5", "2·10⁻⁵"."""
    if value < 0:
        return "−" + plain_number(-value)
    if not value or value >= 1e-4:
        return f"{value:,.10g}" if value >= 1 else f"{np.round(value, 10):g}"
    power = math.floor(math.log10(value))
    raised = "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digits = f"{value / 10.0**power:.3g}"
    return raised if digits == "1" else f"{digits}·{raised}"
