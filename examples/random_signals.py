"""Random signals on the sphere, thesis B.2 and B.3: what degrees, channels and parametrisations can represent.

Fits the density of five smoothed random points by harmonics of lmax 1 to 5 in one to four channels, with Symphony's
logits and with the squared ones of Simm et al., with and without their normaliser k. Prints the mean over signals and
its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402
from sphere_fit import fit, random_centres, smoothed  # noqa: E402

from atomweave.models.heads.angular import AngularConfig  # noqa: E402
from atomweave.randomness import generator  # noqa: E402

N_CENTRES = 5
PARAMETRISATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "harmonics": ("Symphony (B.2)", {}),
    # beta = 1 in orthonormal harmonics, which are those of the library divided by the root of 4 pi.
    "squared_k": ("squared / k (B.3, left)", {"logits": "squared", "normaliser": "k", "beta": 1 / (4 * math.pi)}),
    "squared": ("squared (B.3, right)", {"logits": "squared", "normaliser": "none"}),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Fit, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--signals", type=int, default=16, help="random signals (default 16)")
    parser.add_argument("--steps", type=int, default=400, help="of descent (default 400)")
    options = parser.parse_args(arguments)
    n_signals, n_steps = (3, 120) if options.quick else (options.signals, options.steps)
    degrees, channels = ((2, 5), (1, 2)) if options.quick else ((1, 2, 3, 4, 5), (1, 2, 3, 4))
    target = smoothed(random_centres(n_signals, N_CENTRES, generator(options.seed, "signals")))
    fits = []
    for name, (_, settings) in PARAMETRISATIONS.items():
        for lmax in degrees:
            for n_channels in channels:
                config = AngularConfig(channels=n_channels, **settings)
                rng = generator(options.seed, "start", name, lmax, n_channels)
                _, reached = fit(target, lmax, config, rng, n_steps)
                mean, error = float(reached.mean()), float(reached.std() / len(reached) ** 0.5)
                row = {"logits": name, "lmax": lmax, "channels": n_channels, "kl_nats": mean, "standard_error": error}
                fits.append(row | {"kl_nats_by_signal": reached.tolist()})
    print_table(["logits", "lmax", "channels", "KL / nats", "+-"], [list(row.values())[:5] for row in fits])
    numbers = {"seed": options.seed, "n_signals": n_signals, "n_centres": N_CENTRES, "n_steps": n_steps, "fits": fits}
    save(options.out, "random_signals", _figure(fits, channels), numbers)
    return numbers


def _figure(fits: list[dict[str, Any]], channels: Sequence[int]) -> Any:
    figure, axes = new_figure(len(PARAMETRISATIONS), sharey=True)
    for axis, (name, (title, _)) in zip(axes, PARAMETRISATIONS.items(), strict=True):
        for n_channels, colour in zip(channels, COLOURS, strict=False):
            rows = [row for row in fits if row["logits"] == name and row["channels"] == n_channels]
            axis.errorbar(
                [row["lmax"] for row in rows],
                [row["kl_nats"] for row in rows],
                yerr=[row["standard_error"] for row in rows],
                marker="o",
                color=colour,
                label=f"{n_channels}",
                capsize=2,
            )
        axis.set_title(title)
        axis.set_xlabel("highest degree $l_\\mathrm{max}$")
        axis.set_xticks(sorted({row["lmax"] for row in fits}))
    axes[0].set_ylabel("KL(q || p) / nats")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(title="channels", title_fontsize=8)
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
