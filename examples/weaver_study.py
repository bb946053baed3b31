"""What each ingredient of Weaver buys: variants of `weaver-small` that learn from as much, judged by what they grow.

Every variant sees the same batches of QM9 with a cosine schedule of its own, and grows as many molecules. Temperatures
are tried on the first. A run that is stopped goes on where it was; runs that are there are not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, new_figure, print_table, save  # noqa: E402
from grown_sample import bars, grow_and_judge  # noqa: E402
from teaching import splits_of, study_options, taught  # noqa: E402

import atomweave  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.models.base import Temperatures  # noqa: E402
from atomweave.training.config import RunConfig, load_config  # noqa: E402

MOLECULES_PER_BATCH = 128
VARIANTS: dict[str, list[str]] = {
    "weaver-small": [],
    "adam": ["training.optimizer.kind=adam", "training.learning_rate=0.001"],
    "an eighth of the learning rate": ["training.learning_rate=0.001"],
    "a quarter of the learning rate": ["training.learning_rate=0.002"],
    "half the learning rate": ["training.learning_rate=0.004"],
    "twice the learning rate": ["training.learning_rate=0.016"],
    "four times the learning rate": ["training.learning_rate=0.032"],
    "no torsion series": ["model.position_head.n_harmonics=0"],
    "no noise": ["model.augmentation.noise=0.0"],
    "noise 0.05 Å": ["model.augmentation.noise=0.05"],
    "no mirror images": ["model.augmentation.mirror=false"],
    "no given fragments": ["model.policy.fragment_share=0.0"],
    "a third given fragments": ["model.policy.fragment_share=0.33"],
    "distances in bins of 8 mÅ": ["model.position_head.n_distances=125"],
    "coarse bins": [
        "model.position_head.n_distances=62",
        "model.position_head.n_angles=90",
        "model.position_head.n_torsions=180",
    ],
    "fine angles and torsions": ["model.position_head.n_angles=360", "model.position_head.n_torsions=720"],
    "no foresight": ["model.foresight=false"],
    "no matching": ["model.foresight=false", "model.matching=false"],
    "no smoothing": ["model.position_head.smoothing=0.0"],
    "twice the smoothing": ["model.position_head.smoothing=1.4"],
    "wide and shallow": ["model.width=176", "model.n_encoder_layers=2", "model.n_decoder_layers=2"],
    "narrow and deep": ["model.width=96", "model.n_encoder_layers=7", "model.n_decoder_layers=7"],
    "more encoder": ["model.n_encoder_layers=6", "model.n_decoder_layers=2"],
    "more decoder": ["model.n_encoder_layers=2", "model.n_decoder_layers=6"],
    "no average of weights": ["training.ema_decay=0.0"],
    "constant rate": ["training.schedule.kind=constant"],
}
"""By name: what differs from the first."""

TEMPERATURES = (0.3, 0.5, 0.8)
"""Of choice and position, tried on the first variant; all others are grown at 1."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, grow, print, draw; return the numbers."""
    parser = study_options(__doc__, "weaver_study")
    parser.add_argument("--steps", type=int, default=500, help=f"of {MOLECULES_PER_BATCH} molecules (default 500)")
    parser.add_argument("-n", "--molecules", type=int, default=2000, help="attempts a variant (default 2000)")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", choices=list(VARIANTS), help="some of them")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.molecules, options.only = 2, 4, ["weaver-small", "no torsion series"]
    store = MoleculeStore.open(options.data)
    rows = []
    for name in options.only or VARIANTS:
        run = options.runs / name.replace(" ", "_")
        outcome = taught(_config(name, options, store), store, run, options.data)
        model = atomweave.load(run / "last.safetensors")
        for temperature in (1.0, *(TEMPERATURES if name == "weaver-small" else ())):
            at = Temperatures(focus=temperature, position=temperature)
            measured = grow_and_judge(model, options.molecules, options.seed + 1, temperatures=at)
            loss = outcome.best.value if outcome.best is not None else None
            told = name if temperature == 1 else f"temperature {temperature:g}"
            rows.append({"variant": told, "validation_loss": loss, **measured})
            print(f"{told}: {100 * measured['valid']:.1f} % valid", flush=True)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    numbers = {
        "seed": options.seed,
        "data_sha256": store.sha256,
        "training_molecules": options.steps * MOLECULES_PER_BATCH,
        "grown_molecules": options.molecules,
        "variants": rows,
    }
    save(options.out, "weaver_study", _figure(rows), numbers)
    return numbers


def _config(name: str, options: Any, store: MoleculeStore) -> RunConfig:
    steps = options.steps
    small = ["model.width=16", "model.n_heads=2", "model.n_encoder_layers=1", "model.n_decoder_layers=1"]
    return load_config(
        "weaver-small",
        [
            f"training.seed={options.seed}",
            f"training.n_steps={steps}",
            f"training.molecules_per_batch={MOLECULES_PER_BATCH}",
            f"training.schedule.warmup_steps={min(100, steps // 2)}",
            "training.ema_decay=0.99",
            *splits_of(store),
            f"training.validation_every={steps}",
            "training.samples_every=null",
            "training.device=cpu",
            *(small if options.quick else []),
            *VARIANTS[name],
        ],
    )


def _figure(rows: list[dict[str, Any]]) -> Any:
    figure, (axis,) = new_figure(1, width=5.2, height=0.24 * len(rows) + 1)
    places = range(len(rows))[::-1]
    for shares, label, colour in (("valid", "xyz2mol-valid", COLOURS[0]), ("molecule_stable", "stable", COLOURS[1])):
        values = [row[shares] for row in rows]
        axis.errorbar(values, places, xerr=bars(rows, shares), fmt="o", capsize=2, color=colour, label=label)
    axis.set_yticks(places, [row["variant"] for row in rows])
    axis.set_xlabel("share of all attempts")
    axis.legend()
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
