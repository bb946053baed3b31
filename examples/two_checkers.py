"""Why one model has 88 % valid molecules in its paper and 27 % in a later one: two checkers on the same molecules.

The checker of G-SphereNet's authors lets an atom have bonds to spare, xyz2mol does not; the one counts bonds of a few
pairs of elements up to tight lengths, the other of all pairs up to loose ones. Three sets of molecules tell these
apart: QM9 without its last atoms (in the order of Prim's algorithm), QM9 with noise on its coordinates, and what
trained weights grow at the temperatures of the published figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomweave.memory import keep_freed_memory

keep_freed_memory()  # before torch allocates anything

import numpy as np  # noqa: E402
import torch  # noqa: E402
from figure_style import COLOURS, command_line, new_figure, print_table, save  # noqa: E402

import atomweave  # noqa: E402
from atomweave.chemistry.gspherenet_checker import check_many  # noqa: E402
from atomweave.data.store import MoleculeStore  # noqa: E402
from atomweave.evaluation.intervals import wilson  # noqa: E402
from atomweave.evaluation.validity import Verdict, assess  # noqa: E402
from atomweave.growth.policies import build_policy  # noqa: E402
from atomweave.growth.policies.prim import PrimConfig  # noqa: E402
from atomweave.models.base import TEMPERATURES  # noqa: E402
from atomweave.models.weights import weights_path  # noqa: E402
from atomweave.molecule import Molecule  # noqa: E402
from atomweave.randomness import fold_in  # noqa: E402
from atomweave.species import Species  # noqa: E402
from atomweave.tensorfile import content_hash  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
MISSING = (0, 1, 2, 4)
NOISE = (0.01, 0.02, 0.05)
FEWEST_ATOMS = 5
"""Of a fragment: those of the first few steps are too small to tell anything."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Judge the three sets, print, draw; return the numbers."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "qm9.safetensors", help="store (make qm9)")
    parser.add_argument("--weights", nargs="*", default=["gspherenet-qm9"], help="shipped names or files; may be none")
    parser.add_argument("-n", "--molecules", type=int, default=2000, help="of each set (default 2000)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.molecules = 20
    rng = np.random.default_rng(fold_in(options.seed, "two checkers"))
    store = MoleculeStore.open(options.data)
    chosen = rng.choice(len(store), min(options.molecules, len(store)), replace=False)
    ordered = _in_prims_order([store[int(index)] for index in chosen])
    rows = []
    for n_missing in MISSING:
        cut = [_first(molecule, len(molecule) - n_missing) for molecule in ordered]
        rows.append(_judged("QM9" if n_missing == 0 else f"QM9, last {n_missing} missing", cut))
    cut = [_first(molecule, int(rng.integers(FEWEST_ATOMS, len(molecule)))) for molecule in ordered
           if len(molecule) > FEWEST_ATOMS]  # fmt: skip
    rows.append(_judged("QM9, any number missing", cut))
    for noise in NOISE:
        moved = [
            Molecule(each.numbers, each.positions + rng.normal(scale=noise, size=each.positions.shape))
            for each in ordered
        ]
        rows.append(_judged(f"QM9, noise {noise:g} Å", moved))
    hashes = {}
    for name in options.weights:
        model = atomweave.load(name)
        hashes[weights_path(name).stem] = content_hash(model.state_dict(), {})
        grown = atomweave.grow(model, options.molecules, seed=options.seed, temperatures=TEMPERATURES["published"])
        attempts = grown.attempts
        rows.append(
            _judged(
                f"{weights_path(name).stem}, grown",
                [attempt.molecule for attempt in attempts],
                [attempt.finished for attempt in attempts],
            )
        )
    columns = ["molecules", "of", "authors", "xyz2mol", "strict", "both"]
    print_table(columns, [[row[column] for column in columns] for row in rows])
    numbers = {
        "seed": options.seed,
        "data_sha256": store.sha256,
        "n_molecules": options.molecules,
        "weights_sha256": hashes,
        "rows": rows,
    }
    save(options.out, "two_checkers", _figure(rows), numbers)
    return numbers


def _in_prims_order(molecules: Sequence[Molecule]) -> list[Molecule]:
    """Return molecules whose atoms stand in the order in which G-SphereNet grows them, around the first atom."""
    species = Species(sorted({int(number) for molecule in molecules for number in molecule.numbers}))
    n_atoms = np.array([len(molecule) for molecule in molecules])
    index, positions = np.zeros((len(molecules), n_atoms.max()), np.int64), np.zeros((len(molecules), n_atoms.max(), 3))
    for row, molecule in enumerate(molecules):
        index[row, : len(molecule)] = species.indices(molecule.numbers)
        positions[row, : len(molecule)] = molecule.positions
    policy = build_policy(PrimConfig(), species)
    grown, _ = policy.grow(index, positions, n_atoms, np.zeros((len(molecules), policy.n_draws(n_atoms.max()))))
    return [
        Molecule(species.atomic_numbers(grown.species[row, :n].numpy()), grown.positions[row, :n].double().numpy())
        for row, n in enumerate(grown.n_atoms.tolist())
    ]


def _first(molecule: Molecule, n_atoms: int) -> Molecule:
    n_atoms = max(1, n_atoms)
    return Molecule(molecule.numbers[:n_atoms], molecule.positions[:n_atoms])


def _judged(name: str, molecules: Sequence[Molecule], finished: Sequence[bool] | None = None) -> dict[str, Any]:
    """Return what both checkers say of a set, and why xyz2mol refuses what the authors' checker passes."""
    verdicts = assess(molecules, finished, workers=1)
    ended = [verdict.finished for verdict in verdicts]
    checked = iter(check_many([m for m, done in zip(molecules, ended, strict=True) if done], workers=1, orders=False))
    authors = [done and next(checked).valid for done in ended]
    pairs = list(zip(authors, verdicts, strict=True))
    row: dict[str, Any] = {"molecules": name, "of": len(pairs), "finished": sum(ended) / len(ended)}
    for key, count in (
        ("authors", sum(authors)),
        ("xyz2mol", sum(verdict.valid for verdict in verdicts)),
        ("strict", sum(verdict.strict for verdict in verdicts)),
        ("both", sum(passed and verdict.valid for passed, verdict in pairs)),
    ):
        row[key] = count / len(pairs)
        row[f"{key}_low"], row[f"{key}_high"] = wilson(count, len(pairs))
    refused = Counter(_why(verdict) for passed, verdict in pairs if passed and not verdict.valid)
    row["passed_but_invalid"] = {reason: count / len(pairs) for reason, count in refused.most_common()}
    return row


def _why(verdict: Verdict) -> str:
    """Return why xyz2mol refuses a molecule; an odd number of electrons says that an atom is missing or to spare."""
    assert verdict.molecule is not None
    odd = int(np.sum(verdict.molecule.numbers, dtype=np.int64)) % 2
    return f"{verdict.reason}, {'odd' if odd else 'even'} number of electrons"


def _figure(rows: list[dict[str, Any]]) -> Any:
    figure, (axis,) = new_figure(1, width=6.2, height=0.32 * len(rows) + 1)
    places = np.arange(len(rows))[::-1]
    shown = (("authors", "the authors' checker"), ("xyz2mol", "xyz2mol"), ("strict", "and connected, neutral"))
    for offset, (key, label), colour in zip((0.26, 0.0, -0.26), shown, COLOURS, strict=False):
        axis.barh(places + offset, [row[key] for row in rows], height=0.24, color=colour, label=label)
    axis.set_yticks(places, [row["molecules"] for row in rows])
    axis.set_xlabel("valid, share of all")
    axis.set_xlim(0, 1)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
