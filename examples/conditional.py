"""Asking Weaver for a number of atoms or a composition, and counting how often the molecules have it.

Every attempt is asked for what one molecule of the validation set has; the same attempts without a question are the
chance level. Without --weights, a tiny Weaver is taught first, in a few minutes on one core; a run that is stopped goes
on where it was. With --xtb, HOMO-LUMO gaps are asked for, too, and compared with those of GFN2-xTB: another property
than QM9's B3LYP gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import numpy as np  # noqa: E402
import torch  # noqa: E402
from figure_style import COLOURS, GREY, command_line, new_figure, print_table, save  # noqa: E402

import atomweave  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.errors import UsageError  # noqa: E402
from atomweave.evaluation.intervals import wilson  # noqa: E402
from atomweave.evaluation.metrics.gap import frontier_gaps  # noqa: E402
from atomweave.growth.conditions import COMPOSITION, N_ATOMS  # noqa: E402
from atomweave.models.weights import weights_path  # noqa: E402
from atomweave.species import SYMBOLS  # noqa: E402
from atomweave.training.config import RunConfig, load_config  # noqa: E402
from atomweave.training.loop import train  # noqa: E402

if TYPE_CHECKING:
    from atomweave.models.base import Model
    from atomweave.molecule import Molecule

NAME = "conditional"
ROOT = Path(__file__).resolve().parent.parent
PROPERTIES = ("gap", "polarizability")
SIZES = (12, 15, 18, 21, 24)
GAPS = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Teach if need be, ask, count, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", help="a shipped name or a file that was taught conditions (default: teach)")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "qm9.safetensors", help="store (make qm9)")
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / NAME, help="folder of the teaching")
    parser.add_argument("--steps", type=int, default=3000, help="of 64 molecules (default 3000)")
    parser.add_argument("-n", "--molecules", type=int, default=500, help="attempts a row (default 500)")
    parser.add_argument("--workers", type=int, default=1, help="processes that grow (default 1)")
    parser.add_argument("--xtb", action="store_true", help="also ask for gaps; needs tblite")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.molecules = 2, 4
    store = MoleculeStore.open(options.data)
    model = atomweave.load(options.weights or _teach(store, options))
    if not {N_ATOMS, COMPOSITION} <= set(model.conditions.names):
        raise UsageError(
            f"{options.weights}: was taught {model.conditions.names or 'no conditions'}; see docs/growing.md."
        )
    numbers = {
        "weights": str(options.weights or f"tiny, {options.steps} steps"),
        "data_sha256": store.sha256,
        "seed": options.seed,
        "n_molecules": options.molecules,
        "hits": _hits(model, store, options),
        "sizes": [_size(model, size, options) for size in (SIZES[:2] if options.quick else SIZES)],
        "gaps": [_gap(model, gap, options) for gap in GAPS] if options.xtb else [],
    }
    for rows in (numbers["hits"], numbers["sizes"], numbers["gaps"]):
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows])
    save(options.out, NAME, _figure(numbers), numbers)
    return numbers


def _teach(store: MoleculeStore, options: Any) -> Path:
    outcome = train(_config(store, options), store, options.run, data_name=options.data.name)
    if not outcome.finished:
        raise SystemExit(f"stopped: {outcome.reason}; run the same command again to go on.")
    return weights_path(options.run / "last.safetensors")


def _config(store: MoleculeStore, options: Any) -> RunConfig:
    names = [*(name for name in PROPERTIES if name in store.properties), N_ATOMS, COMPOSITION]
    return load_config(
        "weaver-small",
        [
            *(f"model.{key}={value}" for key, value in (("width", 32), ("n_heads", 4), ("expansion", 2))),
            *("model.n_encoder_layers=1", "model.n_decoder_layers=1"),
            *("model.pair_features=16", "model.pair_width=32"),
            *("model.position_head.n_distances=63", "model.position_head.n_angles=60"),
            *("model.position_head.n_torsions=90", "model.position_head.width=64"),
            *("model.position_head.n_harmonics=8", "model.position_head.series_width=32"),
            f"model.conditions.names=[{','.join(names)}]",
            "model.conditions.told=0.5",
            f"training.seed={options.seed}",
            f"training.n_steps={options.steps}",
            "training.molecules_per_batch=64",
            f"training.schedule.warmup_steps={min(100, options.steps // 2)}",
            "training.ema_decay=0.99",
            f"training.train_split={'edm/train' if 'edm/train' in store.splits else 'all'}",
            f"training.valid_split={'edm/valid' if 'edm/valid' in store.splits else 'all'}",
            f"training.validation_every={options.steps}",
            "training.samples_every=null",
            "training.device=cpu",
        ],
    )


def _hits(model: Model, store: MoleculeStore, options: Any) -> list[dict[str, Any]]:
    """Return how often molecules have what they were asked for, and how often without being asked."""
    indices = store.splits.get("edm/valid", np.arange(len(store)))
    chosen = np.random.default_rng(options.seed).choice(indices, options.molecules)
    wanted = [store[int(index)] for index in chosen]
    rows = []
    for name, of in ((N_ATOMS, len), (COMPOSITION, formula)):
        requests = [{name: of(molecule)} for molecule in wanted]
        for asked, conditions in (("asked", requests), ("not asked", None)):
            grown = atomweave.grow(
                model, len(wanted), options.seed, conditions=conditions, workers=options.workers
            ).molecules
            pairs = list(zip(wanted, grown, strict=True))
            exact = sum(of(a) == of(b) for a, b in pairs)
            low, high = wilson(exact, len(pairs))
            rows.append(
                {
                    "condition": name,
                    "told": asked,
                    "exact": exact / len(pairs),
                    "low": low,
                    "high": high,
                    "same_heavy_atoms": float(np.mean([_heavy(a) == _heavy(b) for a, b in pairs])),
                    "mean_size_error": float(np.mean([abs(len(a) - len(b)) for a, b in pairs])),
                }
            )
    return rows


def _size(model: Model, size: int, options: Any) -> dict[str, Any]:
    grown = _grown(model, {N_ATOMS: size}, options)
    sizes = [len(molecule) for molecule in grown]
    return {"asked": size, "mean": float(np.mean(sizes)), "deviation": float(np.std(sizes))}


def _gap(model: Model, gap: float, options: Any) -> dict[str, Any]:
    """Return the GFN2-xTB gaps of molecules asked for a B3LYP gap; those without one are left out and counted."""
    gaps = frontier_gaps(_grown(model, {"gap": gap}, options))
    known = gaps[np.isfinite(gaps)]
    return {
        "asked": gap,
        "median": float(np.median(known)),
        "lower_quartile": float(np.quantile(known, 0.25)),
        "upper_quartile": float(np.quantile(known, 0.75)),
        "with_gap": len(known),
    }


def _grown(model: Model, request: Mapping[str, float | str], options: Any) -> list[Molecule]:
    return atomweave.grow(model, options.molecules, options.seed, conditions=request, workers=options.workers).molecules


def formula(molecule: Molecule) -> str:
    """Return the composition, e.g. "H10C7O2", elements by rising number."""
    numbers, counts = np.unique(molecule.numbers, return_counts=True)
    return "".join(f"{SYMBOLS[number]}{count}" for number, count in zip(numbers, counts, strict=True))


def _heavy(molecule: Molecule) -> list[int]:
    return sorted(int(number) for number in molecule.numbers if number > 1)


def _figure(numbers: dict[str, Any]) -> Any:
    figure, (size_axis, hit_axis, *gap_axes) = new_figure(3 if numbers["gaps"] else 2, width=7.6, height=2.9)
    _against(size_axis, numbers["sizes"], "mean", [[row["deviation"]] * 2 for row in numbers["sizes"]])
    size_axis.set_title("atoms, mean and deviation")
    size_axis.set_ylabel("grown")
    labels = {N_ATOMS: "number\nof atoms", COMPOSITION: "composition"}
    for told, colour, shift in (("asked", COLOURS[0], -0.2), ("not asked", GREY, 0.2)):
        rows = [row for row in numbers["hits"] if row["told"] == told]
        bars = [[row["exact"] - row["low"] for row in rows], [row["high"] - row["exact"] for row in rows]]
        places = np.arange(len(rows)) + shift
        hit_axis.bar(places, [row["exact"] for row in rows], 0.4, yerr=bars, capsize=2, color=colour, label=told)
    hit_axis.set_xticks(range(len(labels)), list(labels.values()))
    hit_axis.set_title("share that has exactly that")
    hit_axis.legend()
    for axis in gap_axes:
        rows = numbers["gaps"]
        bars = [[r["median"] - r["lower_quartile"], r["upper_quartile"] - r["median"]] for r in rows]
        _against(axis, rows, "median", bars)
        axis.set_title("GFN2-xTB gap, quartiles")
        axis.set_ylabel("of what was grown, eV")
        axis.set_xlabel("asked (B3LYP), eV")
    return figure


def _against(axis: Any, rows: list[dict[str, Any]], name: str, bars: list[list[float]]) -> None:
    """Draw what was grown against what was asked, with bars (n, 2), and the diagonal."""
    asked = [row["asked"] for row in rows]
    axis.plot(asked, asked, color=GREY)
    axis.errorbar(asked, [row[name] for row in rows], np.array(bars).T, fmt="o", capsize=2, color=COLOURS[0])
    axis.set_xlabel("asked")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
