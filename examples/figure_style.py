"""What the examples share: one command line, one look, and files that come out byte for byte the same.

Every example takes `-o FOLDER`, `--seed` and `--quick`, prints its table, and writes one SVG figure and one JSON file
with the numbers in it.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomweave.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"
"""Where the figures of the documentation lie."""

COLOURS = ("#1b6ca8", "#d1662a", "#3a8f5c", "#8a5a9e", "#8c8c8c")
"""Lines in order: distinct in print and to the colour-blind."""

GREY = "#8c8c8c"

_LOOK = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    # Text stays text, and names inside the file do not change from run to run.
    "svg.fonttype": "none",
    "svg.hashsalt": "atomweave",
}


def command_line(description: str | None, seed: int = 0) -> argparse.ArgumentParser:
    """Return a parser with the options of every example; `description` is the script's docstring."""
    first, _, rest = (description or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest.strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, default=FIGURES, metavar="FOLDER", help="where figure and numbers go")
    parser.add_argument("--seed", type=int, default=seed, help=f"names the random numbers (default {seed})")
    parser.add_argument("--quick", action="store_true", help="a small version that takes seconds")
    return parser


def new_figure(n_columns: int, width: float = 7.6, height: float = 2.7, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels side by side, `width` x `height` inches, in the look of all figures."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(_LOOK)
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, n_columns, figsize=(width, height), squeeze=False, **options)
    return figure, list(axes[0])


def save(folder: Path, name: str, figure: Figure, numbers: Mapping[str, Any]) -> None:
    """Write `name`.svg and `name`.json into `folder`, each whole or not at all, and close the figure."""
    from matplotlib import pyplot as plt

    with write_atomic(folder / f"{name}.svg") as path:
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    save_numbers(folder / f"{name}.json", numbers)


def save_numbers(path: Path, numbers: Mapping[str, Any]) -> None:
    """Write numbers as JSON, whole or not at all."""
    with write_atomic(path) as temporary:
        temporary.write_text(json.dumps(_rounded(numbers), indent=1) + "\n", encoding="utf-8")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headings, numbers with four decimals, columns aligned to the right."""
    text = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(headings), *text]) for i in range(len(headings))]
    for row in [list(headings), *text]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), flush=True)


def _rounded(value: Any) -> Any:
    """Round to five figures: more is rounding noise of one machine."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, (list, tuple)) else value
