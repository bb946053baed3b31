"""Thesis D.1 on a small scale: position embedder of lmax 1, 2 and 5, one and two position channels, equal fragments.

Trains six small variants of the preset `symphony` on the same batches of QM9, grows molecules with each and plots how
many are valid. Small: a continuous radius and narrow embedders, so that all six take less than 40 minutes on one core;
the thesis trained the published size for 16 million fragments. A run that is stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402
from grown_sample import bars, grow_and_judge  # noqa: E402

import atomweave  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.training.config import RunConfig, load_config  # noqa: E402
from atomweave.training.loop import train  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DEGREES, CHANNELS = (1, 2, 5), (1, 2)
MOLECULES_PER_BATCH = 16


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, grow, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "qm9.safetensors", help="store (make qm9)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablation_lmax", help="folder of the six runs")
    parser.add_argument("--steps", type=int, default=1000, help=f"of {MOLECULES_PER_BATCH} molecules (default 1000)")
    parser.add_argument("-n", "--molecules", type=int, default=500, help="attempts a variant (default 500)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.molecules = 2, 4
    store = MoleculeStore.open(options.data)
    variants = [(lmax, channels) for channels in CHANNELS for lmax in (DEGREES[:2] if options.quick else DEGREES)]
    rows = []
    for lmax, channels in variants:
        run = options.runs / f"lmax{lmax}_channels{channels}"
        config = _config(lmax, channels, options.steps, options.seed, store, options.quick)
        outcome = train(config, store, run, data_name=options.data.name)
        if not outcome.finished:
            raise SystemExit(f"stopped: {outcome.reason}; run the same command again to go on.")
        model = atomweave.load(run / "last.safetensors")
        measured = grow_and_judge(model, options.molecules, options.seed + 1)
        rows.append({"lmax": lmax, "channels": channels, "fragments": outcome.fragments, **measured})
        print(f"lmax {lmax}, {channels} channels: {100 * measured['valid']:.1f} % valid", flush=True)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    numbers = {
        "seed": options.seed,
        "data_sha256": store.sha256,
        "training_molecules": options.steps * MOLECULES_PER_BATCH,
        "grown_molecules": options.molecules,
        "variants": rows,
    }
    save(options.out, "ablation_lmax", _figure(rows), numbers)
    return numbers


def _config(lmax: int, channels: int, n_steps: int, seed: int, store: MoleculeStore, quick: bool) -> RunConfig:
    """Return a small Symphony; every variant sees the same batches, since they depend on seed and step alone."""
    width, splits = (4, 8) if quick else (32, 48), store.splits
    return load_config(
        "symphony",
        [
            f"model.focus_embedder.channels={width[1]}",
            "model.focus_embedder.n_layers=2",
            f"model.position_embedder.channels={width[0]}",
            "model.position_embedder.n_layers=2",
            "model.position_embedder.radial_width=32",
            f"model.position_embedder.lmax={lmax}",
            "model.position_head.radius=mixture",
            f"model.position_head.angular.channels={channels}",
            "model.position_head.angular.n_polar_drawing=90",
            "model.position_head.angular.n_azimuth_drawing=179",
            f"training.seed={seed}",
            f"training.n_steps={n_steps}",
            f"training.molecules_per_batch={MOLECULES_PER_BATCH}",
            "training.decisions_per_molecule=null",
            "training.learning_rate=0.005",
            "training.schedule.kind=cosine",
            f"training.schedule.warmup_steps={min(100, n_steps // 2)}",
            "training.clip_norm=10.0",
            "training.ema_decay=0.99",
            f"training.train_split={'edm/train' if 'edm/train' in splits else 'all'}",
            f"training.valid_split={'edm/valid' if 'edm/valid' in splits else 'all'}",
            f"training.validation_every={n_steps}",
            "training.samples_every=null",
            "training.device=cpu",
        ],
    )


def _figure(rows: list[dict[str, Any]]) -> Any:
    figure, (axis,) = new_figure(1, width=3.6, height=2.8)
    for channels, colour in zip(CHANNELS, COLOURS, strict=False):
        chosen = [row for row in rows if row["channels"] == channels]
        lmax, valid = [row["lmax"] for row in chosen], [row["valid"] for row in chosen]
        label = "1 position channel" if channels == 1 else f"{channels} position channels"
        axis.errorbar(lmax, valid, bars(chosen), marker="o", capsize=2, color=colour, label=label)
    axis.set_xticks(sorted({row["lmax"] for row in rows}))
    axis.set_xlabel("$l_\\mathrm{max}$ of the position embedder")
    axis.set_ylabel("valid, of all attempts")
    axis.set_ylim(bottom=0)
    axis.legend()
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
