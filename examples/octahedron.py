"""The octahedron of thesis B.1: two channels of degree 2 for what one channel needs degree 4 for.

Three of six vertices are taken; the other three, two opposite each other and one at right angles to both, are where the
next atom may go. Fits their smoothed density with one channel of lmax 4, one of lmax 2 and two of lmax 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import command_line, new_figure, print_table, save  # noqa: E402
from sphere_fit import fit, smoothed, target_log_density  # noqa: E402

from atomweave.geometry.harmonics import spherical_harmonics  # noqa: E402
from atomweave.models.heads.angular import AngularConfig, log_density, log_partition  # noqa: E402
from atomweave.randomness import generator  # noqa: E402

FREE = [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # two "stars", one "square"
TAKEN = [[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
MODELS = ((1, 4), (1, 2), (2, 2))  # (channels, lmax)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Fit, print, draw; return the numbers."""
    options = command_line(__doc__).parse_args(arguments)
    n_steps, n_starts = (200, 8) if options.quick else (1000, 16)
    centres = torch.tensor([FREE], dtype=torch.float64)
    target = smoothed(centres)
    longitudes, latitudes, points = _map_points(60 if options.quick else 180)
    panels = [("target", target_log_density(centres, points)[0])]
    rows = []
    for channels, lmax in MODELS:
        config = AngularConfig(channels=channels)
        rng = generator(options.seed, "octahedron", channels, lmax)
        coefficients, reached = fit(target, lmax, config, rng, n_steps, n_starts)
        harmonics = spherical_harmonics(points, lmax).float()
        log_p = log_density(coefficients.expand(len(points), -1, -1), harmonics, config) - log_partition(
            coefficients, config
        )
        channel_text = "1 channel" if channels == 1 else f"{channels} channels"
        panels.append((f"{channel_text}, $l_\\mathrm{{max}}$ {lmax}: KL {float(reached[0]):.3f} nats", log_p))
        rows.append(
            {"channels": channels, "lmax": lmax, "coefficients": coefficients[0].numel(), "kl_nats": float(reached[0])}
        )
    print_table(["channels", "lmax", "coefficients", "KL / nats"], [list(row.values()) for row in rows])
    numbers = {"seed": options.seed, "n_steps": n_steps, "n_starts": n_starts, "fits": rows}
    save(options.out, "octahedron", _figure(longitudes, latitudes, panels), numbers)
    return numbers


def _map_points(n_latitudes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return longitudes and latitudes (radians) and their (n, 3) directions; y is the pole, z at longitude 0."""
    latitude = (torch.arange(n_latitudes, dtype=torch.float64) + 0.5) / n_latitudes * math.pi - math.pi / 2
    longitude = (torch.arange(2 * n_latitudes, dtype=torch.float64) + 0.5) / n_latitudes * math.pi - math.pi
    flat, turn = torch.meshgrid(latitude, longitude, indexing="ij")
    points = torch.stack([flat.cos() * turn.sin(), flat.sin(), flat.cos() * turn.cos()], -1)
    return longitude, latitude, points.flatten(0, 1)


def _figure(longitudes: torch.Tensor, latitudes: torch.Tensor, panels: list[tuple[str, torch.Tensor]]) -> Any:
    figure, axes = new_figure(len(panels), width=9.6, height=1.9, subplot_kw={"projection": "mollweide"})
    for axis, (title, log_p) in zip(axes, panels, strict=True):
        density = log_p.exp().view(len(latitudes), len(longitudes)).numpy()
        look = {"cmap": "Blues", "vmin": 0, "vmax": 6, "shading": "nearest", "rasterized": True}
        image = axis.pcolormesh(longitudes.numpy(), latitudes.numpy(), density, **look)
        for vertices, marker, colour in (
            (FREE[:2], "*", "#d1662a"),
            (FREE[2:], "s", "#d1662a"),
            (TAKEN, "o", "#b02a30"),
        ):
            x, y, z = torch.tensor(vertices).T
            axis.plot(
                torch.atan2(x, z).numpy(),
                torch.asin(y).numpy(),
                marker,
                color=colour,
                fillstyle="none",
                markersize=13,
                markeredgewidth=0.8,
            )
        axis.set_title(title, loc="center")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.7, extend="max", label="density / sr$^{-1}$")
    return figure


if __name__ == "__main__":
    main()
