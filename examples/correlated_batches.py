"""Fragments of few molecules, or of many? Validation loss against fragments seen, for shared and independent batches.

All fragments of a molecule share computation but also its noise and its chemistry, so that a batch of few whole
molecules is correlated. Trains `symphony-small` three times with about the same number of fragments a step: 16
molecules with all their decisions, 72 with four each, 288 with one each. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402

from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.training.config import load_config  # noqa: E402
from atomweave.training.loop import train  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
BATCHES = {
    "16 molecules, all decisions": (16, None),
    "72 molecules, 4 each": (72, 4),
    "288 molecules, 1 each": (288, 1),
}
QUICK_BATCHES = {"2 molecules, all decisions": (2, None), "4 molecules, 1 each": (4, 1)}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "qm9.safetensors", help="store (make qm9)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "correlated_batches", help="folder of the runs")
    parser.add_argument("--steps", type=int, default=400, help="of about 288 fragments (default 400)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps = 2
    store = MoleculeStore.open(options.data)
    curves = []
    for label, (n_molecules, n_decisions) in (QUICK_BATCHES if options.quick else BATCHES).items():
        run = options.runs / f"{n_molecules}_molecules"
        config = load_config("symphony-small", _overrides(n_molecules, n_decisions, options.steps, options.seed, store))
        outcome = train(config, store, run, data_name=options.data.name)
        if not outcome.finished:
            raise SystemExit(f"stopped: {outcome.reason}; run the same command again to go on.")
        records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        points = [record for record in records if record["kind"] == "validation"]
        curves.append(
            {
                "batch": label,
                "fragments": [point["fragments"] for point in points],
                "loss": [point["loss"] for point in points],
            }
        )
    print_table(["batch", "fragments", "loss"], [[c["batch"], c["fragments"][-1], c["loss"][-1]] for c in curves])
    numbers = {"seed": options.seed, "data_sha256": store.sha256, "steps": options.steps, "curves": curves}
    save(options.out, "correlated_batches", _figure(curves), numbers)
    return numbers


def _overrides(n_molecules: int, n_decisions: int | None, n_steps: int, seed: int, store: MoleculeStore) -> list[str]:
    splits = store.splits
    return [
        f"training.seed={seed}",
        f"training.n_steps={n_steps}",
        f"training.molecules_per_batch={n_molecules}",
        f"training.decisions_per_molecule={'null' if n_decisions is None else n_decisions}",
        "training.ema_decay=0.98",
        f"training.train_split={'edm/train' if 'edm/train' in splits else 'all'}",
        f"training.valid_split={'edm/valid' if 'edm/valid' in splits else 'all'}",
        f"training.validation_every={max(1, n_steps // 8)}",
        "training.samples_every=null",
        "training.device=cpu",
    ]


def _figure(curves: list[dict[str, Any]]) -> Any:
    figure, (axis,) = new_figure(1, width=3.6, height=2.8)
    for curve, colour in zip(curves, COLOURS, strict=False):
        thousands = [fragments / 1000 for fragments in curve["fragments"]]
        axis.plot(thousands, curve["loss"], marker="o", color=colour, label=curve["batch"])
    axis.set_xlabel("fragments seen, thousands")
    axis.set_ylabel("validation loss, nats a fragment")
    axis.legend()
    return figure


if __name__ == "__main__":
    main()
