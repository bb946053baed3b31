"""How cost grows with the size of molecules and with the batch: a table and a figure, where it was measured.

A record of the benchmark "scaling" is one point: `preset`, `task` (training or growing), `axis` (n_atoms or batch),
`n_atoms` of each molecule, `batch` (molecules at a time) and `fragments_per_second` or `molecules_per_second`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness import ROOT

from atomweave.files import write_atomic

from .records import Record, of_benchmark
from .tables import moment, number, table

AXES = {"n_atoms": "atoms of each molecule", "batch": "molecules at a time"}
RATES = {"training": ("fragments_per_second", "fragment"), "growing": ("molecules_per_second", "molecule")}

STYLES = ("o-", "s--")
"""Of the presets in the figure."""

FIGURE = "scaling.svg"


def scaling(records: Sequence[Record]) -> str:
    """Return the section, or nothing if it was not measured."""
    points = of_benchmark(records, "scaling")
    if not points:
        return ""
    parts = ["## Cost against size and batch", f"![Milliseconds against size and batch](results/{FIGURE})"]
    for preset in _presets(points):
        of_preset = [point for point in points if point["preset"] == preset]
        parts.append(f"### Preset `{preset}`")
        for axis, label in AXES.items():
            for task in RATES:
                line = _line(of_preset, task, axis)
                if line:
                    parts.append(_table(line, task, axis, label))
        parts.append(f"Measured on {moment(of_preset[-1])}.")
    return "\n\n".join(parts)


def draw_scaling(records: Sequence[Record], folder: Path) -> None:
    """Draw the figure into a folder, if there is anything to draw."""
    points = of_benchmark(records, "scaling")
    if not points:
        return
    sys.path.append(str(ROOT / "examples"))  # the look of all figures belongs to the examples
    from figure_style import COLOURS, new_figure
    from matplotlib import pyplot as plt

    figure, panels = new_figure(len(AXES), height=3.1)
    for panel, (axis, label) in zip(panels, AXES.items(), strict=True):
        ticks = sorted({point[axis] for point in points if point["axis"] == axis})
        for style, preset in zip(STYLES, _presets(points), strict=False):
            for colour, (task, (_, what)) in zip(COLOURS, RATES.items(), strict=False):
                line = _line([point for point in points if point["preset"] == preset], task, axis)
                if line:
                    x, y = [point[axis] for point in line], [cost(point) for point in line]
                    panel.plot(x, y, style, color=colour, label=f"{preset}: {task}, one {what}")
        panel.set(xlabel=label, ylabel="milliseconds", xscale="log", yscale="log")
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
    drawn = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=2)
    with write_atomic(folder / FIGURE) as temporary:
        figure.savefig(temporary, metadata={"Date": None})
    plt.close(figure)


def cost(point: Record) -> float:
    """Return the milliseconds that one fragment or molecule of a point takes."""
    return 1000 / point[RATES[point["task"]][0]]


def _presets(points: Sequence[Record]) -> list[str]:
    return sorted({point["preset"] for point in points}, reverse=True)


def _line(points: Sequence[Record], task: str, axis: str) -> list[Record]:
    chosen = [point for point in points if point["task"] == task and point["axis"] == axis]
    return sorted(chosen, key=lambda point: point[axis])


def _table(line: Sequence[Record], task: str, axis: str, label: str) -> str:
    (other,) = AXES.keys() - {axis}
    fixed = ", ".join(sorted({f"{point[other]:,}" for point in line}))
    rows = [
        [label, *(f"{point[axis]:,}" for point in line)],
        [f"ms a {RATES[task][1]}", *(number(cost(point)) for point in line)],
        ["GFLOP/s of matrix products", *(number(point["matrix_gflops"]) for point in line)],
    ]
    return f"{task.capitalize()}, {fixed} {AXES[other]}:\n\n{table(rows[0], rows[1:])}"
