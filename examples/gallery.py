"""The first molecules that weights grow, by index, none chosen: atoms as balls, each molecule in its widest plane.

Under each stands what the verdict is. As in the second figure of G-SphereNet's paper there are twenty-four.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import numpy as np  # noqa: E402
import torch  # noqa: E402
from figure_style import command_line, new_figure, save  # noqa: E402

import atomweave  # noqa: E402
from atomweave.chemistry.radii import bonded_pairs  # noqa: E402
from atomweave.evaluation.validity import Verdict, assess  # noqa: E402
from atomweave.models.base import TEMPERATURES  # noqa: E402
from atomweave.models.weights import weights_path  # noqa: E402
from atomweave.tensorfile import content_hash  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from atomweave.molecule import Molecule

BALLS = {
    1: ("#f2f2f2", 0.30), 6: ("#5a5a5a", 0.46), 7: ("#3b62d9", 0.44), 8: ("#d8402f", 0.42), 9: ("#8fd18a", 0.40),
    15: ("#e8852e", 0.56), 16: ("#e3c52f", 0.55), 17: ("#3f9e3a", 0.54), 35: ("#8e3b21", 0.60), 53: ("#7b2f9e", 0.66),
}  # fmt: skip
"""Atomic number -> colour and radius (Å) of its ball: the usual colours, sizes by taste."""

OTHER = ("#b05fc4", 0.5)
"""Of all other elements."""

PANEL = 1.25
"""Inches, of each molecule's panel."""

WIDTH = 6.0
"""Å, of what every panel shows at least: all molecules are drawn at one scale unless one is larger."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Grow, judge, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", default="weaver-qm9", help="a shipped name or a file (default weaver-qm9)")
    parser.add_argument("-n", "--molecules", type=int, default=24, help="attempts (default 24)")
    parser.add_argument("--columns", type=int, default=8, help="of the gallery (default 8)")
    parser.add_argument("--temperatures", default="own", choices=list(TEMPERATURES), help="own (default) or published")
    options = parser.parse_args(arguments)
    if options.quick:
        options.molecules, options.columns = 3, 2
    model = atomweave.load(options.weights)
    grown = atomweave.grow(
        model, options.molecules, seed=options.seed, temperatures=TEMPERATURES[options.temperatures]
    ).attempts
    verdicts = assess(
        [attempt.molecule for attempt in grown],
        [attempt.finished for attempt in grown],
        [attempt.reason or "" for attempt in grown],
        workers=1,
    )
    stem = weights_path(options.weights).stem
    numbers = {
        "weights": stem,
        "weights_sha256": content_hash(model.state_dict(), {}),
        "seed": options.seed,
        "temperatures": options.temperatures,
        "molecules": [
            {"index": index, "atoms": 0 if verdict.molecule is None else len(verdict.molecule),
             "smiles": verdict.smiles, "reason": verdict.reason}
            for index, verdict in enumerate(verdicts)
        ],
    }  # fmt: skip
    for molecule in numbers["molecules"]:
        print(f"{molecule['index']:3}  {molecule['smiles'] or molecule['reason']}")
    save(options.out, f"gallery-{stem}", _figure(verdicts, options.columns), numbers)
    return numbers


def _figure(verdicts: Sequence[Verdict], n_columns: int) -> Any:
    from matplotlib import pyplot as plt

    n_rows = -(-len(verdicts) // n_columns)
    plt.close(new_figure(1)[0])  # sets the look of all figures
    figure, panels = plt.subplots(n_rows, n_columns, figsize=(PANEL * n_columns, 1.12 * PANEL * n_rows), squeeze=False)
    for axis in panels.flat:
        axis.set_axis_off()
    for index, (axis, verdict) in enumerate(zip(panels.flat, verdicts, strict=False)):
        if verdict.molecule is not None:
            _draw(axis, verdict.molecule)
        colour = "#333333" if verdict.valid else "#b3261e"
        axis.set_title(f"{index}: {verdict.reason or 'valid'}", fontsize=6, color=colour, loc="center", y=-0.13)
    return figure


def _draw(axis: Axes, molecule: Molecule) -> None:
    """Draw a molecule as seen along the direction in which it is flattest, what is nearer over what is farther."""
    centred = molecule.positions - molecule.positions.mean(0)
    x = centred @ np.linalg.svd(centred)[2].T
    depth = x[:, 2]
    for first, second in bonded_pairs(molecule.numbers, molecule.positions):
        ends = x[[first, second], :2].T
        axis.plot(*ends, color="#8c8c8c", linewidth=2, zorder=depth[[first, second]].min(), solid_capstyle="round")
    half = max(WIDTH / 2, np.abs(x[:, :2]).max() + 0.6)
    axis.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    points = PANEL * 72 / (2 * half)  # an Å
    for number, place in zip(molecule.numbers.tolist(), x, strict=True):
        colour, radius = BALLS.get(number, OTHER)
        # As markers, not as patches: of equal ones a figure holds the outline once.
        axis.plot(
            *place[:2, None], "o", markersize=2 * radius * points, markerfacecolor=colour, markeredgecolor="#303030",
            markeredgewidth=0.5, zorder=place[2] + 0.01,
        )  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
