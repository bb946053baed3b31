"""Distributions of the sets drawn over those of the reference: one panel an SVG, all with the same look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..histogram import Histogram
from .svg import Drawing, Figure, Reading, Scale, colour, plain_number, shorten, text_width

WIDTH, HEIGHT = 290, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 36
INSIDE = (0.002, 0.998)
"""Quantiles of the reference that a panel holds at least; what lies outside is said in numbers."""
FEWEST_BINS, MOST_BINS = 12, 70
LITTLE = 0.005
"""A share beyond the edges of a panel that need not be said."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of what a drawing shows."""

Counts = Mapping[str, int]


def histogram_panel(
    title: str, reference: Histogram, samples: Sequence[np.ndarray | None], names: Sequence[str], axis: str,
    readings: Sequence[Reading] = (), limits: tuple[float, float] | None = None, ticks: Sequence[float] = (),
) -> Figure:  # fmt: skip
    """Draw densities of values over the reference's.

    Args:
        title: of the panel.
        reference: of the reference data.
        samples: (n,) values of each set, None or empty where it has none.
        names: of the sets.
        axis: what the values are, with the unit.
        readings: numbers that stand with the panel.
        limits: between which values lie by their nature.
        ticks: where the axis is marked, if not at round values.
    """
    edges = _edges(reference, samples, limits)
    behind = _density(np.histogram(reference.values, edges, weights=reference.counts)[0], len(reference), edges)
    fronts = [
        (index, _density(np.histogram(found, edges)[0], len(found), edges))
        for index, found in enumerate(samples)
        if found is not None and len(found)
    ]
    top = 1.06 * max(float(heights.max()) for heights in (behind, *(heights for _, heights in fronts))) or 1.0
    across = Scale(float(edges[0]), float(edges[-1]), 12, WIDTH - 12)
    up = Scale(0, top, HEIGHT - BOTTOM, TOP)
    said = "; ".join(_spoken(name, found) for name, found in zip(names, samples, strict=True))
    drawing = Drawing(WIDTH, HEIGHT, f"{title}: distribution of {axis} over that of the reference. {said}")
    xs = [across(edge) for edge in edges.tolist()]
    drawing.steps(xs, [up(height) for height in behind.tolist()], up(0), "reference-area", filled=True)
    for index, heights in fronts:
        drawing.steps(xs, [up(height) for height in heights.tolist()], up(0), f"outline {colour(index)}")
    shown = [tick for tick in ticks or across.ticks(5) if edges[0] <= tick <= edges[-1]]
    drawing.axis_below(across, HEIGHT - BOTTOM, [(tick, plain_number(round(tick, 6))) for tick in shown], axis)
    beyond = tuple(
        (index, _percent(share, 2))
        for index, found in enumerate(samples)
        if found is not None and len(found) and (share := _beyond(found, edges)) > LITTLE
    )
    further = (Reading("beyond the edges", beyond),) if beyond else ()
    return Figure(title, drawing.markup(), "", (*readings, *further), WIDTH)


def frequency_panel(
    title: str, reference: Counts, samples: Sequence[Counts], names: Sequence[str], categories: Sequence[str],
    axis: str, readings: Sequence[Reading] = (), caption: str = "",
) -> Figure:  # fmt: skip
    """Draw shares of labelled counts on a logarithmic axis: the reference as bars, sets as marks side by side.

    Args:
        title: of the panel.
        reference: label -> count.
        samples: the same of each set.
        names: of the sets.
        categories: labels to show, in order.
        axis: what the labels are.
        readings: numbers that stand with the panel.
        caption: one line under the title.
    """
    shares = [_shares(counts, categories) for counts in (reference, *samples)]
    present = [share for found in shares for share in found if share > 0]
    top = max(present, default=1.0)
    low = 10 ** math.floor(math.log10(min(present, default=0.1)))
    high = 1.0 if top > 0.4 else 1.5 * top
    width = WIDTH if len(categories) <= 12 else 2 * WIDTH
    up = Scale(low, high, HEIGHT - BOTTOM, TOP, log=True)
    room = (width - LEFT - RIGHT) / max(len(categories), 1)
    spoken = "; ".join(
        f"{name} " + ", ".join(f"{label} {100 * share:.3g} %" for label, share in zip(categories, found, strict=True))
        for name, found in zip(("reference", *names), shares, strict=True)
    )
    drawing = Drawing(width, HEIGHT, f"{title}, shares. {spoken}")
    drawing.axis_left(up, LEFT, width - RIGHT, [(tick, _percent(tick)) for tick in up.ticks(5)])
    stride = max(1, math.ceil(text_width("0" * max(map(len, categories), default=1)) * 1.3 / room))
    step = min(room / (len(samples) + 1), 9.0)
    for place, label in enumerate(categories):
        middle = LEFT + room * (place + 0.5)
        own = shares[0][place]
        if own > 0:
            y = up(own)
            drawing.add(
                "rect", hint=f"{label}: reference {_percent(own, 3)}", class_="reference-area",
                x=middle - 0.4 * room, y=y, width=0.8 * room, height=max(HEIGHT - BOTTOM - y, 1.0),
            )  # fmt: skip
        for index, found in enumerate(shares[1:]):
            x = middle + step * (index - (len(samples) - 1) / 2)
            hint = f"{label}: {names[index]} {_percent(found[place], 3)}"
            if found[place] > 0:
                drawing.add("circle", hint=hint, cx=x, cy=up(found[place]), r=3.6, class_=f"dot {colour(index)}")
            elif own > 0:  # nothing of this kind: a cross on the floor of the axis
                drawing.add("path", hint=hint, class_=f"cross {colour(index)}",
                            d=f"M{x - 3:.1f} {HEIGHT - BOTTOM - 7}l6 6m0 -6l-6 6")  # fmt: skip
        if place % stride == 0:
            drawing.text(middle, HEIGHT - BOTTOM + 16, label, "tick", "middle")
    drawing.line(LEFT, HEIGHT - BOTTOM, width - RIGHT, HEIGHT - BOTTOM, "axis")
    drawing.text((LEFT + width - RIGHT) / 2, HEIGHT - BOTTOM + 31, axis, "axis-title", "middle")
    return Figure(title, drawing.markup(), caption, tuple(readings), width)


def share_rows(
    title: str, rows: Sequence[tuple[str, float, Sequence[float | None]]], names: Sequence[str], reference_name: str,
    caption: str = "",
) -> Figure:  # fmt: skip
    """Draw shares as rows on a logarithmic axis: the reference as a bar mark, sets as dots joined to it.

    Args:
        title: of the panel.
        rows: label, the reference's share and each set's share (None where it was not measured).
        names: of the sets.
        reference_name: of the reference data.
        caption: one line under the title.
    """
    present = [share for _, own, found in rows for share in (own, *found) if share]
    low = 10 ** math.floor(math.log10(min(present, default=0.01)))
    longest = 36
    left = 14 + text_width("x" * min(max((len(label) for label, *_ in rows), default=1), longest), 11)
    width, row_height = 2 * WIDTH, 19
    height = 10 + row_height * len(rows) + BOTTOM
    across = Scale(low, max(*present, low * 10) if present else 1.0, left, width - 24, log=True)
    spoken = "; ".join(
        f"{label}: {reference_name} {_percent(own, 3)}, "
        + ", ".join(
            f"{name} {_percent(share, 3)}" for name, share in zip(names, found, strict=True) if share is not None
        )
        for label, own, found in rows
    )
    drawing = Drawing(width, height, f"{title}, share of molecules. {spoken}")
    base = height - BOTTOM
    for tick in across.ticks(5):
        drawing.line(across(tick), 6, across(tick), base, "grid")
    for place, (label, own, found) in enumerate(rows):
        y = 10 + row_height * (place + 0.5)
        drawing.text(left - 10, y + 4, shorten(label, longest), "row-label", "end")
        ends = [across(share) if share else left for share in (own, *found) if share is not None]
        drawing.line(min(ends), y, max(ends), y, "link")
        if own:
            drawing.add("rect", hint=f"{label}: {reference_name} {_percent(own, 3)}", class_="reference-mark",
                        x=across(own) - 2.0, y=y - 6.5, width=4, height=13)  # fmt: skip
        for index, share in enumerate(found):
            hint = f"{label}: {names[index]} {_percent(share or 0, 3)}"
            if share:
                drawing.add("circle", hint=hint, cx=across(share), cy=y, r=4, class_=f"dot {colour(index)}")
            elif share is not None:
                drawing.add("path", hint=hint, class_=f"cross {colour(index)}",
                            d=f"M{left - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6")  # fmt: skip
    drawing.axis_below(across, base, [(tick, _percent(tick)) for tick in across.ticks(5)], "share of valid molecules")
    return Figure(title, drawing.markup(), caption, width=width)


def scatter_panel(
    title: str, own: Sequence[tuple[int, str, float, float]], marks: Sequence[tuple[str, float, float]],
    axes: tuple[str, str], order: Sequence[int] = (),
) -> Figure:  # fmt: skip
    """Draw shares against shares: sets as dots, published systems as diamonds, all named.

    Args:
        title: of the panel.
        own: index, name, x and y of each set, shares.
        marks: name, x and y of each published system.
        axes: titles of the two axes.
        order: places in `own` that a line joins, e.g. one temperature after the other.
    """
    width, height, left, bottom = 2 * WIDTH, 320, 56, 44
    xs = [x for *_, x, _ in own] + [x for _, x, _ in marks]
    ys = [y for *_, y in own] + [y for *_, y in marks]
    across, up = (
        Scale(max(min(v) - pad, 0), min(max(v) + pad, 1.0), *ends)
        for v, ends in ((xs, (left, width - 16)), (ys, (height - bottom, 34)))
        for pad in [max(0.1 * (max(v) - min(v)), 0.01)]
    )
    said = "; ".join(f"{n} {100 * x:.1f} % and {100 * y:.1f} %" for n, x, y in [o[1:] for o in own] + list(marks))
    drawing = Drawing(width, height, f"{title}, {axes[0]} against {axes[1]}: {said}")
    drawing.axis_left(up, left, width - 16, [(tick, _percent(tick)) for tick in up.ticks(5)])
    drawing.axis_below(across, height - bottom, [(t, _percent(t)) for t in across.ticks(6)], axes[0])
    drawing.add(
        "text",
        axes[1],
        class_="axis-title",
        text_anchor="middle",
        transform=f"translate(12 {height / 2 - 14:.0f}) rotate(-90)",
    )
    if len(order) > 1:
        drawing.path([(across(own[place][2]), up(own[place][3])) for place in order], "curve")
    points = [(name, across(x), up(y), "published-name") for name, x, y in marks]
    points += [(name, across(x), up(y), f"own-name {colour(index)}") for index, name, x, y in own]
    for name, x, y in marks:
        drawing.add("path", hint=f"{name}: {100 * x:.2f} %, {100 * y:.2f} %", class_="published",
                    d=f"M{across(x):.1f} {up(y) - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5 -4.5Z")  # fmt: skip
    for index, name, x, y in own:
        drawing.add("circle", hint=f"{name}: {100 * x:.2f} %, {100 * y:.2f} %", cx=across(x), cy=up(y), r=5,
                    class_=f"dot {colour(index)}")  # fmt: skip
    _name_points(drawing, points, width - 4, height - bottom)
    return Figure(title, drawing.markup(), width=width)


def _name_points(drawing: Drawing, points: Sequence[tuple[str, float, float, str]], right: float, base: float) -> None:
    """Write names beside their points where they hide neither a point nor one another."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for _, x, y, _ in points]
    for name, x, y, class_ in points:
        text = shorten(name, 30)
        wide = text_width(text, 12 if class_ != "published-name" else 11)
        sides = ((x + 9, "start", 0.0), (x - 9, "end", 1.0), (x, "middle", 0.5), (right, "end", 1.0))
        places = [
            (at, y + down, anchor, (at - share * wide, y + down - 10, at + (1 - share) * wide, y + down + 3))
            for down in (4, -10, 18, -24, 32, 46, 60)
            for at, anchor, share in sides
        ]

        def trouble(place: tuple[float, float, str, Box], y: float = y) -> float:
            left, top, right_end, bottom = place[3]
            hidden = sum(left < b[2] and b[0] < right_end and top < b[3] and b[1] < bottom for b in taken)
            return hidden + 5 * (left < 56 or right_end > right or top < 0 or bottom > base) + abs(place[1] - y) / 100

        at, baseline, anchor, box = min(places, key=trouble)
        taken.append(box)
        drawing.text(at, baseline, text, class_, anchor)


def _edges(
    reference: Histogram, samples: Sequence[np.ndarray | None], limits: tuple[float, float] | None
) -> np.ndarray:
    """Return edges of bins that suit the smallest set and hold nearly all of every one."""
    present = [found for found in samples if found is not None and len(found)]
    cumulative = np.cumsum(reference.counts) / reference.counts.sum()
    low, high = (float(np.interp(q, cumulative, reference.values)) for q in INSIDE)
    for found in present:  # a set may be wider, but a few wild values do not squeeze the rest into a corner
        width = max(high - low, 1e-6)
        low = min(low, max(float(np.quantile(found, 0.01)), low - 0.5 * width))
        high = max(high, min(float(np.quantile(found, 0.99)), high + 0.5 * width))
    if limits is not None and high - low > 0.75 * (limits[1] - limits[0]):
        low, high = limits  # nearly all of what there can be: show all of it
    pad = 0.04 * max(high - low, 10 * reference.width)
    fewest = min((len(found) for found in present), default=10_000)
    n_bins = int(np.clip(3.0 * fewest ** (1 / 3), FEWEST_BINS, MOST_BINS))
    if reference.width == 1 and high - low <= MOST_BINS:
        n_bins = MOST_BINS  # whole numbers: one bin each
    # Edges lie between the values on the reference's grid, so that no bin holds one grid value more than its neighbour.
    step = max(math.ceil((high - low + 2 * pad) / n_bins / reference.width), 1) * reference.width
    start = (math.floor((low - pad) / reference.width) + 0.5) * reference.width
    edges = start + step * np.arange(math.ceil((high + pad - start) / step) + 1)
    if limits is None:
        return edges
    edge = 0.51 * reference.width  # values were rounded to the reference's grid, the limits too
    ends = [max(edges[0], limits[0] - edge), min(edges[-1], limits[1] + edge)]
    # No narrow bin at a limit: its density would stand out for few values.
    inside = edges[(edges > ends[0] + 0.6 * step) & (edges < ends[1] - 0.6 * step)]
    return np.array([ends[0], *inside, ends[1]])


def _beyond(found: np.ndarray, edges: np.ndarray) -> float:
    return float(np.mean((found < edges[0]) | (found > edges[-1])))


def _density(counts: np.ndarray, total: float, edges: np.ndarray) -> np.ndarray:
    return counts / max(total, 1) / np.diff(edges)


def _shares(counts: Counts, categories: Sequence[str]) -> list[float]:
    total = sum(counts.values())
    return [counts.get(label, 0) / total if total else 0.0 for label in categories]


def _spoken(name: str, found: np.ndarray | None) -> str:
    if found is None or not len(found):
        return f"{name}: none"
    return f"{name}: {len(found):,} values, median {np.median(found):.4g}"


def _percent(share: float, digits: int = 0) -> str:
    """Return a share as a short label: "10 %", "0.01 %"; with `digits`, that many significant ones."""
    percent = 100 * share
    text = f"{percent:.{digits}g}" if digits else f"{percent:.10g}"
    return f"{float(text):.10g} %"
