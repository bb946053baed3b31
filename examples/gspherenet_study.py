"""G-SphereNet's table 3 again, and what each repair of the published model buys, judged by what they grow.

Every variant learns from as many molecules of QM9 at one small size, and grows as many, at the temperatures of the
published figures and at 1. The first variant is the published model in all but size; the others differ from it in what
their line says. A run that is stopped goes on where it was; rows that are there are not repeated, and all rows that are
there make the figure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import torch  # noqa: E402
from figure_style import COLOURS, new_figure, print_table, save, save_numbers  # noqa: E402
from grown_sample import bars  # noqa: E402
from teaching import splits_of, study_options, taught  # noqa: E402

import atomweave  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.evaluation.attempts import attempts_of  # noqa: E402
from atomweave.evaluation.building import Work  # noqa: E402
from atomweave.evaluation.evaluate import score  # noqa: E402
from atomweave.evaluation.suites import Settings, suite_named  # noqa: E402
from atomweave.models.base import TEMPERATURES, Temperatures  # noqa: E402
from atomweave.training.config import RunConfig, load_config  # noqa: E402

if TYPE_CHECKING:
    from atomweave.models.base import Model

NAME = "gspherenet_study"
MOLECULES_PER_BATCH = 32
SIZE = [
    "model.embedder.width=32",
    "model.embedder.n_layers=2",
    "model.embedder.triplet_width=16",
    "model.embedder.readout_width=64",
]
"""Of every variant but those that name an embedder: a quarter of an hour of one core for 100,000 molecules."""

LAST = ["model.policy.order=last", "model.focus.choice=last"]
POINTER = ["model.focus.kind=softmax", "model.focus.width=64"]
SOFTMAX = ["model.atom_type.kind=softmax", "model.atom_type.width=64"]
MIXTURES = [
    "model.position.distance={kind: mixture, n_components: 24, smallest_width: 0.003, width: 64}",
    "model.position.angle={kind: mixture, n_components: 16, smallest_width: 0.005, width: 64}",
    "model.position.torsion={kind: mixture, n_components: 12, smallest_width: 0.01, width: 64}",
]
BONDED = ["model.references=bonded"]
AUGMENTATION = ["model.augmentation.noise=0.02", "model.augmentation.mirror=true"]
TEACHING = [
    "model.objective=likelihood",
    "training.optimizer={kind: muon, momentum: 0.95}",
    "training.learning_rate=0.006",
    "training.clip_norm=1.0",
    "training.ema_decay=0.999",
]
ALL = ["model.policy.order=last", *POINTER, *SOFTMAX, *MIXTURES, *BONDED, *AUGMENTATION, *TEACHING]

VARIANTS: dict[str, list[str]] = {
    "as published": [],
    "all repairs": ALL,
    "softmax types": SOFTMAX,
    "mixtures of distance, angle, torsion": MIXTURES,
    "pointer focus with STOP": POINTER,
    "local features only": ["model.features=local"],
    "global features only": ["model.features=global"],
    "SchNet": ["model.embedder={kind: schnet, width: 32, n_layers: 2, n_filters: 32}"],
    "DimeNet++": [
        "model.embedder.kind=dimenetpp",
        *SIZE,
        "model.embedder.n_spherical=5",
    ],
    "last open atom": LAST,
    "finished molecules taught": ["model.focus.finished=true"],
    "bonded references": BONDED,
    "noise and mirror images": AUGMENTATION,
    "Muon, likelihood, averages": TEACHING,
    "mixtures of torsion alone": [MIXTURES[2]],
    "all repairs but the last open atom": [value for value in ALL if value != LAST[0]],
}
"""By name: what differs from the first."""

GROWN_AT = {"published": TEMPERATURES["published"], "1": Temperatures()}
"""By name: temperatures at which every variant grows."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, grow, print, draw; return the numbers."""
    parser = study_options(__doc__, NAME)
    parser.add_argument("--steps", type=int, default=3125, help=f"of {MOLECULES_PER_BATCH} molecules (default 3125)")
    parser.add_argument("-n", "--molecules", type=int, default=2000, help="attempts a variant (default 2000)")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", choices=list(VARIANTS), help="some of them")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.molecules, options.only = 2, 4, ["as published", "all repairs"]
    store = MoleculeStore.open(options.data)
    settings = {
        "seed": options.seed,
        "data_sha256": store.sha256,
        "training_molecules": options.steps * MOLECULES_PER_BATCH,
        "grown_molecules": options.molecules,
    }
    numbers = _resumed(options.out / f"{NAME}.json", settings)
    for name in options.only or VARIANTS:
        if any(row["variant"] == name for row in numbers["variants"]):
            continue
        run = options.runs / name.replace(" ", "_").replace(",", "")
        outcome = taught(_config(name, options, store), store, run, options.data)
        loss = outcome.best.value if outcome.best is not None else None
        model = atomweave.load(run / "last.safetensors")
        for at, temperatures in GROWN_AT.items():
            measured = _measures(model, options, temperatures)
            numbers["variants"].append({"variant": name, "temperatures": at, "validation_loss": loss, **measured})
        numbers["variants"].sort(key=lambda row: list(VARIANTS).index(row["variant"]))
        save_numbers(options.out / f"{NAME}.json", numbers)
    rows = numbers["variants"]
    columns = ["variant", "temperatures", "gspherenet_valid", "valid", "unique", "molecule_stable", "finished"]
    print_table(columns, [[row[column] for column in columns] for row in rows])
    save(options.out, NAME, _figure(rows), numbers)
    return numbers


def _resumed(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of an earlier run with the same settings, or none yet."""
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if all(earlier.get(name) == value for name, value in settings.items()):
            return earlier
    return {**settings, "variants": []}


def _measures(model: Model, options: Any, temperatures: Temperatures) -> dict[str, Any]:
    """Return shares of all attempts with their intervals, uniqueness, sizes and the discrepancy of bond lengths."""
    grown = atomweave.grow(model, options.molecules, seed=options.seed + 1, temperatures=temperatures)
    attempts = attempts_of(grown, "study")
    reference = None if options.quick else "qm9"
    suites = [suite_named(name, Settings(workers=1)) for name in ("gspherenet-table-1", "edm")]
    (scored,) = score({"study": [attempts]}, reference, suites, Work(1)).sets
    row: dict[str, Any] = {"parameters": sum(each.numel() for each in model.parameters())}
    for name in ("gspherenet_valid", "valid", "lookup_valid", "molecule_stable", "finished"):
        measure = scored.measures[name]
        row[name] = measure.value
        row[f"{name}_low"], row[f"{name}_high"] = measure.interval or (None, None)
    row["unique"], row["n_valid"] = scored.measures["unique"].value, scored.measures["valid"].count
    row["mean_atoms"] = sum(len(attempt.molecule) for attempt in grown.attempts) / len(grown.attempts)
    row["bond_mmd"] = {
        name.removeprefix("bond_mmd_gspherenet/"): measure.value
        for name, measure in scored.measures.items()
        if name.startswith("bond_mmd_gspherenet/")
    }
    return row


def _config(name: str, options: Any, store: MoleculeStore) -> RunConfig:
    steps = options.steps
    small = ["model.embedder.n_layers=1"] if options.quick else []
    return load_config(
        "gspherenet-small",
        [
            *([] if any(change.startswith("model.embedder") for change in VARIANTS[name]) else SIZE),
            f"training.seed={options.seed}",
            f"training.n_steps={steps}",
            f"training.molecules_per_batch={MOLECULES_PER_BATCH}",
            "training.learning_rate=0.001",
            f"training.schedule={{kind: cosine, warmup_steps: {min(100, steps // 2)}, final_fraction: 0.02}}",
            *splits_of(store),
            f"training.validation_every={steps}",
            "training.samples_every=null",
            "training.device=cpu",
            *small,
            *VARIANTS[name],
        ],
    )


def _figure(rows: list[dict[str, Any]]) -> Any:
    names = list(dict.fromkeys(row["variant"] for row in rows))
    figure, (axis,) = new_figure(1, width=6.4, height=0.3 * len(names) + 1)
    shown = (("gspherenet_valid", "valid by the authors' checker"), ("valid", "xyz2mol-valid"))
    for at, marker in (("published", "o"), ("1", "s")):
        these = [row for row in rows if row["temperatures"] == at]
        places = [len(names) - 1 - names.index(row["variant"]) for row in these]
        words = "published temperatures" if at == "published" else "temperature 1"
        for (share, label), colour in zip(shown, COLOURS, strict=False):
            values = [row[share] for row in these]
            axis.errorbar(
                values, places, xerr=bars(these, share), fmt=marker, capsize=2, color=colour,
                markerfacecolor=colour if at == "published" else "white", label=f"{label}, {words}",
            )  # fmt: skip
    axis.set_yticks(range(len(names)), names[::-1])
    axis.set_xlabel("share of all attempts")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
