"""Figures D.2 and D.4 of the thesis from trained weights: what drawing grid and temperatures do to the molecules.

Every point grows its own molecules. Points are kept in shipped_figures.json as they are done, so that the command may
be stopped and run again; points of other weights, or of other sizes and seeds, are grown anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, GREY, command_line, new_figure, print_table, save, save_numbers  # noqa: E402
from grown_sample import bars, grow_and_judge  # noqa: E402

import atomweave  # noqa: E402
from atomweave.files import sha256_of  # noqa: E402
from atomweave.models.registry import build_model  # noqa: E402
from atomweave.models.weights import weights_path  # noqa: E402

if TYPE_CHECKING:
    from atomweave.models.base import Model

NAME = "shipped_figures"
GRIDS = ((180, 359), (20, 39), (45, 89), (90, 179), (360, 719))
TEMPERATURES = (1.0, 0.1, 0.5, 0.7, 0.3, 1.5, 0.01, 10.0)

PUBLISHED = {
    # (temperature, valid, unique among valid) of the authors' notebook on the temperatures behind figure D.4.
    "focus": ((0.01, 0.8977, 0.5229), (0.1, 0.8989, 0.5479), (1.0, 0.8301, 0.9777), (10.0, 0.1836, 0.6111)),
    "position": ((0.01, 0.9609, 0.7579), (0.1, 0.9560, 0.7882), (1.0, 0.8301, 0.9777), (10.0, 0.0021, 0.9524)),
    # (polar, azimuth, valid): the diagonal of the sixteen grids behind figure D.2.
    "grid": ((45, 89, 0.8312), (90, 179, 0.8374), (180, 359, 0.8303)),
}


class Point(NamedTuple):
    """One setting of the drawing grid and the temperatures."""

    grid: tuple[int, int] = GRIDS[0]
    focus: float = 1.0
    position: float = 1.0

    @property
    def key(self) -> str:
        """Name of the point among the numbers."""
        return f"grid {self.grid[0]}x{self.grid[1]}, focus {self.focus:g}, position {self.position:g}"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Grow what is missing, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", default="symphony-qm9", help="a shipped name or a file (default symphony-qm9)")
    parser.add_argument("-n", "--molecules", type=int, default=500, help="attempts a point (default 500)")
    parser.add_argument("--tempering", default="exact", choices=("exact", "coefficients"), help="see Temperatures")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.molecules = 6
    points = _points(options.quick)
    settings = {
        "weights": str(options.weights),
        "weights_sha256": sha256_of(weights_path(options.weights)),
        "n_molecules": options.molecules,
        "seed": options.seed,
        "tempering": options.tempering,
    }
    numbers = _resumed(options.out / f"{NAME}.json", settings)
    missing = [point for point in points if point.key not in numbers["points"]]
    model = atomweave.load(options.weights) if missing else None
    for place, point in enumerate(missing):
        numbers["points"][point.key] = _grow(model, point, options)
        save_numbers(options.out / f"{NAME}.json", numbers)
        print(f"{place + 1} of {len(missing)}: {point.key}", flush=True)
    shown = {point: numbers["points"][point.key] for point in points}
    print_table(
        ["point", "valid", "valid_low", "valid_high", "unique"],
        [[point.key, row["valid"], row["valid_low"], row["valid_high"], row["unique"]] for point, row in shown.items()],
    )
    save(options.out, NAME, _figure(shown), numbers)
    return numbers


def _points(quick: bool) -> list[Point]:
    """Return every point once, the most telling ones first."""
    grids, temperatures = (GRIDS[:2], TEMPERATURES[:2]) if quick else (GRIDS, TEMPERATURES)
    tempered = [point for t in temperatures for point in (Point(focus=t), Point(position=t))]
    return list(dict.fromkeys([*tempered, *(Point(grid) for grid in grids)]))


def _resumed(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of an earlier run with the same settings, or none yet."""
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if all(earlier.get(name) == value for name, value in settings.items()):
            return earlier
    return {**settings, "points": {}}


def _grow(model: Model, point: Point, options: Any) -> dict[str, Any]:
    """Grow and judge the molecules of one point; unfinished attempts count."""
    temperatures = atomweave.Temperatures(focus=point.focus, position=point.position, tempering=options.tempering)
    # A grid of a quarter of a million points for 128 fragments would take gigabytes.
    slots = 128 if point.grid[0] * point.grid[1] < 100_000 else 32
    changed = _with_grid(model, point.grid)
    return grow_and_judge(
        changed, options.molecules, options.seed, options.workers, temperatures=temperatures, slots=slots
    )


def _with_grid(model: Model, grid: tuple[int, int]) -> Model:
    """Return a model with the same weights that draws directions on another grid."""
    head = model.config.position_head
    angular = head.angular.model_copy(update={"n_polar_drawing": grid[0], "n_azimuth_drawing": grid[1]})
    config = model.config.model_copy(update={"position_head": head.model_copy(update={"angular": angular})})
    changed = build_model(config)
    changed.load_state_dict(model.state_dict())
    return changed.eval()


def _figure(shown: dict[Point, dict[str, Any]]) -> Any:
    figure, (grid_axis, *temperature_axes) = new_figure(3, width=8.4, height=3.2, sharey=True)
    rows = sorted((point.grid, row) for point, row in shown.items() if point.focus == point.position == 1.0)
    grid_axis.set_title("drawing grid (D.2)")
    names = [f"{polar} × {azimuth}" for (polar, azimuth), _ in rows]
    _line(grid_axis, names, [row for _, row in rows])
    published = {f"{polar} × {azimuth}": valid for polar, azimuth, valid in PUBLISHED["grid"]}
    there = [name for name in names if name in published]
    grid_axis.plot(there, [published[name] for name in there], "o", color=GREY, fillstyle="none")
    grid_axis.tick_params(axis="x", labelrotation=60)
    grid_axis.set_xlabel("polar × azimuth")
    grid_axis.set_ylabel("share")
    grid_axis.set_ylim(0, 1.02)
    for axis, decision in zip(temperature_axes, ("focus", "position"), strict=True):
        other = "position" if decision == "focus" else "focus"
        chosen = [(p, row) for p, row in shown.items() if p.grid == GRIDS[0] and getattr(p, other) == 1.0]
        chosen.sort(key=lambda pair: getattr(pair[0], decision))
        _line(axis, [getattr(point, decision) for point, _ in chosen], [row for _, row in chosen])
        temperatures, valid, unique = zip(*PUBLISHED[decision], strict=True)
        axis.plot(temperatures, valid, "o", color=GREY, fillstyle="none", label="valid, thesis")
        axis.plot(temperatures, unique, "s", color=GREY, fillstyle="none", label="unique, thesis")
        axis.set_xscale("log")
        axis.set_title(f"{decision} temperature (D.4)")
        axis.set_xlabel("temperature")
    figure.legend(*temperature_axes[1].get_legend_handles_labels(), loc="outside upper center", ncol=4)
    return figure


def _line(axis: Any, x: list[Any], rows: list[dict[str, Any]]) -> None:
    """Draw validity with its 95 % interval, and uniqueness, which has none."""
    valid = [row["valid"] for row in rows]
    axis.errorbar(x, valid, bars(rows), marker="o", capsize=2, color=COLOURS[0], label="valid, of all attempts")
    unique = [row["unique"] if row["n_valid"] else math.nan for row in rows]
    axis.plot(x, unique, marker="s", color=COLOURS[1], label="unique, of valid")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
