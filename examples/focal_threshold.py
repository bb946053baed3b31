"""The threshold of G-SphereNet's focal classifier: is growing "not sensitive" to it (paper, appendix C: 0.3 to 0.7)?

The same weights grow at the published temperatures with each threshold: an atom is a candidate focus where the
probability that it has all its neighbours lies below it, and a molecule is finished when no atom is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402
from grown_sample import bars  # noqa: E402

import atomweave  # noqa: E402
from atomweave.chemistry.gspherenet_checker import check_many  # noqa: E402
from atomweave.evaluation.intervals import wilson  # noqa: E402
from atomweave.evaluation.validity import assess  # noqa: E402
from atomweave.models.base import TEMPERATURES  # noqa: E402
from atomweave.models.weights import weights_path  # noqa: E402
from atomweave.tensorfile import content_hash  # noqa: E402

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Grow with each threshold, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", default="gspherenet-qm9", help="shipped name or file, of a focal classifier")
    parser.add_argument("-n", "--molecules", type=int, default=2000, help="attempts a threshold (default 2000)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.molecules = 10
    model = atomweave.load(options.weights)
    rows = [_row(model, threshold, options.molecules, options.seed) for threshold in THRESHOLDS]
    columns = ["threshold", "authors", "xyz2mol", "finished", "mean_atoms"]
    print_table(columns, [[row[column] for column in columns] for row in rows])
    numbers = {
        "weights": weights_path(options.weights).stem,
        "weights_sha256": content_hash(model.state_dict(), {}),
        "seed": options.seed,
        "n_molecules": options.molecules,
        "rows": rows,
    }
    save(options.out, "focal_threshold", _figure(rows), numbers)
    return numbers


def _row(model: Any, threshold: float, n_molecules: int, seed: int) -> dict[str, Any]:
    """Return what both checkers say of as many attempts; whatever did not finish counts as invalid."""
    temperatures = TEMPERATURES["published"].model_copy(update={"focus_threshold": threshold})
    attempts = atomweave.grow(model, n_molecules, seed=seed, temperatures=temperatures).attempts
    molecules = [attempt.molecule for attempt in attempts]
    finished = [attempt.finished for attempt in attempts]
    passed = check_many([m for m, done in zip(molecules, finished, strict=True) if done], workers=1, orders=False)
    verdicts = assess(molecules, finished, workers=1)
    row: dict[str, Any] = {
        "threshold": threshold,
        "finished": sum(finished) / n_molecules,
        "mean_atoms": sum(map(len, molecules)) / n_molecules,
    }
    for key, count in (
        ("authors", sum(each.valid for each in passed)),
        ("xyz2mol", sum(verdict.valid for verdict in verdicts)),
    ):
        row[key] = count / n_molecules
        row[f"{key}_low"], row[f"{key}_high"] = wilson(count, n_molecules)
    return row


def _figure(rows: list[dict[str, Any]]) -> Any:
    figure, (axis,) = new_figure(1, width=4.2, height=2.8)
    shown = (("authors", "the authors' checker"), ("xyz2mol", "xyz2mol"))
    for (key, label), colour in zip(shown, COLOURS, strict=False):
        axis.errorbar(
            [row["threshold"] for row in rows], [row[key] for row in rows], yerr=bars(rows, key), fmt="o-", capsize=2,
            color=colour, label=label,
        )  # fmt: skip
    axis.set_xlabel("threshold of the focal probability")
    axis.set_ylabel("valid, share of all attempts")
    axis.set_ylim(0, 1)
    axis.legend()
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
