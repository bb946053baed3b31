"""Resolution of the grid in teaching and in drawing, thesis D.3: lmax 2, two channels, five random points.

Left: the divergence after teaching on a grid, once as that grid sees it and once as it is. Middle and right: how far
drawn directions lie from the nearest of the five points (chord on the unit sphere), drawing from the fitted density and
from the target itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402
from sphere_fit import Target, descend, divergence, fit, random_centres, smoothed, starts, target_log_density  # noqa: E402
from torch import Tensor  # noqa: E402

from atomweave.geometry.harmonics import spherical_harmonics  # noqa: E402
from atomweave.geometry.sphere import grid_harmonics, log_integral, sphere_grid  # noqa: E402
from atomweave.models.heads.angular import AngularConfig, draw_direction, draw_index  # noqa: E402
from atomweave.randomness import generator  # noqa: E402

LMAX, N_CENTRES = 2, 5
TEACHING = ((10, 9), (15, 29), (22, 45), (45, 89), (90, 179), (180, 359), (360, 719))
DRAWING = ((10, 9), (20, 39), (45, 89), (90, 179), (180, 359), (360, 719))
JUDGE = AngularConfig(channels=2, n_polar=180, n_azimuth=359)
"""What measures the true divergence, whatever the grid of teaching."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Fit, draw directions, print, draw the figure; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--signals", type=int, default=16, help="random signals (default 16)")
    parser.add_argument("--draws", type=int, default=100, help="directions a signal and grid (default 100)")
    options = parser.parse_args(arguments)
    n_signals, n_draws, n_steps = (4, 40, 120) if options.quick else (options.signals, options.draws, 400)
    teaching = (TEACHING[0], TEACHING[3]) if options.quick else TEACHING
    drawing = (DRAWING[0], DRAWING[2]) if options.quick else DRAWING
    target = smoothed(random_centres(n_signals, N_CENTRES, generator(options.seed, "signals")))
    taught = [
        {"n_polar": grid[0], "n_azimuth": grid[1]} | _teach(target, grid, n_steps, options.seed) for grid in teaching
    ]
    print_table(["polar", "azimuth", "KL on the grid", "+-", "true KL", "+-"], [list(row.values()) for row in taught])
    coefficients, _ = fit(target, LMAX, AngularConfig(channels=2), generator(options.seed, "fit"), n_steps)
    drawn = []
    for grid in drawing:
        grid_points = sphere_grid(*grid).points
        fitted = (coefficients @ grid_harmonics(*grid, LMAX).float()).logsumexp(1)
        for source, logits in (("fitted", fitted), ("target", target_log_density(target.centres, grid_points).float())):
            distances = _distances(target, logits, grid, n_draws, options.seed)
            drawn.append({"n_polar": grid[0], "n_azimuth": grid[1], "density": source} | distances)
    print_table(
        ["polar", "azimuth", "density", "distance at points", "within cells"],
        [[*list(row.values())[:4], row.get("cells", "-")] for row in drawn],
    )
    numbers = {"seed": options.seed, "n_signals": n_signals, "n_draws": n_draws, "n_steps": n_steps}
    numbers |= {"teaching": taught, "drawing": drawn}
    save(options.out, "resolution_study", _figure(taught, drawn), numbers)
    return numbers


def _teach(target: Target, grid: tuple[int, int], n_steps: int, seed: int) -> dict[str, float]:
    """Fit all signals on one grid, target included; return mean divergences in nats, with their standard errors.

    The target is taken at the points of the grid and normalised there, as the thesis does: a coarse grid holds a peak
    in a few points, which is why it seems easier to learn.
    """
    weights = sphere_grid(*grid).weights
    mass = target_log_density(target.centres, sphere_grid(*grid).points).exp() * weights
    mass = mass / mass.sum(1, keepdim=True)
    # All but the caps around the peaks is empty; what is left out holds less than 1e-6 of the mass.
    n_points = int((mass > 1e-12).sum(1).max())
    probabilities, chosen = mass.topk(n_points, dim=1)
    entropy = -torch.xlogy(probabilities, probabilities / weights[chosen]).sum(1)
    harmonics = grid_harmonics(*grid, LMAX).float()
    around = harmonics.T[chosen].mT
    coefficients = starts(len(mass), JUDGE, LMAX, generator(seed, "start")).requires_grad_()

    def on_grid() -> Tensor:
        logits = (coefficients @ around).logsumexp(1)
        log_z = (
            log_integral(coefficients.flatten(0, 1), harmonics, weights.float())
            .view(coefficients.shape[:2])
            .logsumexp(1)
        )
        return log_z - (probabilities.float() * logits).sum(1) - entropy.float()

    descend(lambda: on_grid().sum(), coefficients, n_steps, rate=0.5)
    with torch.no_grad():
        true = divergence(coefficients, spherical_harmonics(target.points, LMAX).mT.float(), target, JUDGE)
        seen = on_grid()
    return {
        "kl_on_grid_nats": float(seen.mean()),
        "kl_on_grid_error": float(seen.std() / len(seen) ** 0.5),
        "kl_nats": float(true.mean()),
        "kl_error": float(true.std() / len(true) ** 0.5),
    }


def _distances(target: Target, logits: Tensor, grid: tuple[int, int], n_draws: int, seed: int) -> dict[str, float]:
    """Return the mean distance on the unit sphere from drawn directions to the nearest centre.

    "points" draws grid points, as the thesis does, "cells" uniformly within the cell of the point, as Atomweave does.
    """
    rng = generator(seed, "draw")
    points, weights = sphere_grid(*grid)[:2]
    config = AngularConfig(n_polar_drawing=max(grid[0], 20), n_azimuth_drawing=max(grid[1], 20))
    found: dict[str, list[Tensor]] = {"points": []} | ({"cells": []} if min(grid) >= 20 else {})
    for row, centres in zip(logits, target.centres, strict=True):
        uniforms = torch.rand(n_draws, 3, generator=rng, dtype=torch.float64)
        mass = (row - row.max()).exp() * weights.float()
        # One draw at a time: the finest grid has a quarter of a million points.
        for one in uniforms.split(1):
            found["points"].append(_distance(points[draw_index(mass[None], one[:, 0])], centres))
            if "cells" in found:
                found["cells"].append(_distance(draw_direction(row[None], config, one).double(), centres))
    return {way: float(torch.cat(values).mean()) for way, values in found.items()}


def _distance(directions: Tensor, centres: Tensor) -> Tensor:
    return torch.cdist(directions, centres).amin(1)


def _figure(taught: list[dict[str, Any]], drawn: list[dict[str, Any]]) -> Any:
    figure, (learning, *drawing) = new_figure(3, height=2.9)
    grids = [f"{row['n_polar']} × {row['n_azimuth']}" for row in taught]
    for key, error, label, colour in (
        ("kl_on_grid_nats", "kl_on_grid_error", "as its own grid sees it", COLOURS[0]),
        ("kl_nats", "kl_error", "true", COLOURS[1]),
    ):
        learning.errorbar(
            grids,
            [row[key] for row in taught],
            [row[error] for row in taught],
            marker="o",
            capsize=2,
            color=colour,
            label=label,
        )
    learning.set_title("teaching")
    learning.set_ylabel("KL(q || p) / nats")
    for axis, source in zip(drawing, ("fitted", "target"), strict=True):
        rows = [row for row in drawn if row["density"] == source]
        for way, label, colour in (
            ("points", "grid points (thesis)", COLOURS[0]),
            ("cells", "within cells", COLOURS[1]),
        ):
            there = [row for row in rows if way in row]
            names = [f"{row['n_polar']} × {row['n_azimuth']}" for row in there]
            axis.plot(names, [row[way] for row in there], marker="o", color=colour, label=label)
        axis.set_title(f"drawing from the {'fitted density' if source == 'fitted' else 'target'}")
        axis.set_ylabel("distance to nearest point")
    for axis in (learning, *drawing):
        axis.set_ylim(bottom=0)
        axis.set_xlabel("grid, polar × azimuth")
        axis.tick_params(axis="x", labelrotation=60)
        axis.legend(loc="lower left" if axis is drawing[0] else "best")
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
