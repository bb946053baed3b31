"""Completion as training goes on, by the order in which a model was taught to place atoms.

Symphony's thesis saw completion of molecules that lack one hydrogen fall from an early to a late checkpoint, and does
not know why. One guess: nearest neighbour first, a hydrogen is placed as soon as its neighbour is there, so a fragment
that lacks just one of its hydrogens is hardly ever the beginning of a molecule, and the longer a model learns the more
it trusts that. So the same model is taught twice, nearest neighbour first and in random order along bonds, and asked to
complete at several moments. Under random order most fragments that lack a hydrogen are beginnings of molecules.

A run that is stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

from figure_style import COLOURS, new_figure, print_table, save  # noqa: E402
from grown_sample import bars, grow_and_judge  # noqa: E402
from teaching import splits_of, study_options, taught  # noqa: E402

import atomweave  # noqa: E402
from atomweave.cli.verdicts import assess_attempts  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.evaluation.completion import BENCHMARKS, Cases  # noqa: E402
from atomweave.growth.completion import complete  # noqa: E402
from atomweave.training.config import RunConfig, load_config  # noqa: E402

ORDERS = {
    "nearest first": [],
    # Any pair up to 0.7 Å longer than the shortest is admissible, which is every bond and hardly anything else.
    "random, along bonds": ["model.policy.tolerance=0.7"],
}
SMALL = [
    "model.focus_embedder.channels=4",
    "model.focus_embedder.n_layers=1",
    "model.position_embedder.channels=4",
    "model.position_embedder.n_layers=1",
    "model.position_embedder.lmax=1",
]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, complete, print, draw; return the numbers."""
    parser = study_options(__doc__, "completion_study")
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 1500, 4500], help="when to ask; ascending")
    parser.add_argument("--molecules", type=int, default=200, help="that lose their hydrogens, a split (default 200)")
    parser.add_argument("-n", "--grown", type=int, default=1000, help="molecules grown from nothing (default 1000)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.molecules, options.grown = [1, 2], 1, 2
    store = MoleculeStore.open(options.data)
    rows = []
    for order, changes in ORDERS.items():
        for steps in sorted(options.steps):
            run = options.runs / order.replace(" ", "_").replace(",", "")
            taught(_config(changes, steps, options, store), store, run, options.data)
            rows.append({"order": order, "steps": steps, **_asked(run / "last.safetensors", store, options)})
            print_table(list(rows[-1]), [list(rows[-1].values())])
    numbers = {
        "seed": options.seed,
        "data_sha256": store.sha256,
        "molecules_per_step": 16,
        "completed_molecules": options.molecules,
        "grown_molecules": options.grown,
        "rows": rows,
    }
    save(options.out, "completion_study", _figure(rows), numbers)
    return numbers


def _asked(weights: Path, store: MoleculeStore, options: Any) -> dict[str, Any]:
    """Return the valid shares of completions of either split, and of molecules grown from nothing."""
    model = atomweave.load(weights)
    found: dict[str, Any] = {}
    for split, indices in _molecules(store, options.molecules).items():
        cases = Cases.of(BENCHMARKS["symphony-table-5.4"], [store[int(index)] for index in indices])
        verdicts = assess_attempts(complete(model, cases.fragments, seed=options.seed + 1))
        valid = {measure.name: measure for measure in cases.measures(verdicts)}["valid"]
        interval = valid.interval or (None, None)
        found |= {split: valid.value, f"{split}_low": interval[0], f"{split}_high": interval[1]}
    grown = grow_and_judge(model, options.grown, options.seed + 2)
    return found | {"grown": grown["valid"], "grown_low": grown["valid_low"], "grown_high": grown["valid_high"]}


def _molecules(store: MoleculeStore, number: int) -> dict[str, Any]:
    """Return the thesis's molecules: the first of the training split, the last of the test split."""
    if "edm/train" not in store.splits:
        return {"train": range(min(number, len(store)))}
    return {"train": store.splits["edm/train"][:number], "test": store.splits["edm/test"][-number:]}


def _config(changes: Sequence[str], steps: int, options: Any, store: MoleculeStore) -> RunConfig:
    return load_config(
        "symphony-small",
        [
            f"training.seed={options.seed}",
            f"training.n_steps={steps}",
            "training.ema_decay=0.99",
            *splits_of(store),
            "training.samples_every=null",
            "training.device=cpu",
            *(SMALL if options.quick else []),
            *changes,
        ],
    )


def _figure(rows: list[dict[str, Any]]) -> Any:
    titles = {"train": "one hydrogen removed, training split", "test": "test split", "grown": "grown from nothing"}
    shown = {share: title for share, title in titles.items() if share in rows[0]}
    figure, axes = new_figure(len(shown))
    for axis, (share, title) in zip(axes, shown.items(), strict=True):
        for order, colour in zip(ORDERS, COLOURS, strict=False):
            line = [row for row in rows if row["order"] == order]
            steps = [row["steps"] for row in line]
            values = [row[share] for row in line]
            axis.errorbar(steps, values, yerr=bars(line, share), fmt="o-", capsize=2, color=colour, label=order)
        axis.set_title(title)
        axis.set_xscale("log")
        axis.set_xticks(steps, [f"{step:,}" for step in steps])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("steps of 16 molecules")
    axes[0].set_ylabel("xyz2mol-valid share")
    axes[0].legend()
    return figure


if __name__ == "__main__":
    main()
