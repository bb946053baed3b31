"""`atomweave complete --benchmark`: take something from molecules, let the model grow, count what is valid."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .growing import Growing, check_device, speed_line, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from ..evaluation.completion import Benchmark, SplitResult
    from ..molecule import Molecule


def run_benchmark(
    growing: Growing,
    name: str,
    data: Path | None,
    n_molecules: int,
    shuffle: bool,
    json_file: Path | None,
    no_table: bool,
) -> None:
    """Measure completion on the training and the test split, show it beside the published figures, write it as JSON.

    Raises:
        UsageError: if there is no such benchmark, or no store is named.
        InputError: if the store has neither split, or nothing can be removed from its molecules.
    """
    from ..chemistry.bonds import require_rdkit
    from ..errors import InputError, UsageError, did_you_mean
    from ..evaluation.completion import BENCHMARKS, Cases, SplitResult, shuffled
    from ..evaluation.tools import tool_versions
    from ..growth.completion import complete
    from .verdicts import assess_attempts

    if name not in BENCHMARKS:
        raise UsageError(f"--benchmark: there is none {name!r}: {did_you_mean(name, BENCHMARKS)}")
    if data is None:
        raise UsageError("--benchmark: takes molecules from a store; name it by --data.")
    require_rdkit()
    check_device(growing.device)
    benchmark = BENCHMARKS[name]
    cases = {split: Cases.of(benchmark, found) for split, found in _molecules(data, n_molecules).items()}
    fragments = [fragment for those in cases.values() for fragment in those.fragments]
    if not fragments:
        raise InputError(f"{data}: {benchmark.removed} can be removed from none of the molecules taken.")
    if shuffle:
        fragments = [shuffled(fragment, growing.seed, place) for place, fragment in enumerate(fragments)]
    grown, made = growing.run(partial(complete, fragments=fragments), len(fragments))
    made |= {"data": data.name, "molecules": n_molecules, "shuffle": shuffle}
    verdicts = iter(assess_attempts(grown))
    results = {
        split: SplitResult.of(those, [next(verdicts) for _ in those.fragments]) for split, those in cases.items()
    }
    if not no_table:
        _print(growing.model, name, benchmark, results, made)
    if json_file is not None:
        content: dict[str, Any] = {
            "benchmark": name,
            "removed": benchmark.removed,
            "splits": {split: result.as_dict() for split, result in results.items()},
            "published": [
                {"system": row.system, "conditions": row.conditions, "source": row.source, "values": dict(row.values)}
                for row in benchmark.published
            ],
            "tools": tool_versions(),
            "made": made,
        }
        write_json(json_file, content)


def _molecules(data: Path, number: int) -> dict[str, list[Molecule]]:
    """Return the first `number` molecules of the training split and the last of the test split, as the thesis did.

    Raises:
        InputError: if the store has neither.
    """
    from ..data.store import MoleculeStore
    from ..errors import InputError
    from ..evaluation.building import HELD_OUT_SPLITS, TRAINING_SPLITS, ReferenceData

    store = MoleculeStore.open(data)
    splits = ReferenceData.of_store(store, data.name)
    found = {}
    if splits.training is not None:
        found["train"] = [store[int(index)] for index in splits.training[:number]]
    if splits.held_out is not None:
        found["test"] = [store[int(index)] for index in splits.held_out[-number:]]
    if not found:
        wanted = " or ".join((*TRAINING_SPLITS, *HELD_OUT_SPLITS))
        raise InputError(f"{data}: has the splits {', '.join(store.splits) or 'none'}, wanted {wanted}.")
    return found


def _print(model: str, name: str, benchmark: Benchmark, results: dict[str, SplitResult], made: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(_table(model, name, benchmark, results, made))
    for split, result in results.items():
        why = "; ".join(f"{reason}: {n:,}" for reason, n in result.reasons.items()) or "none"
        console.print(f"{split}: {result['valid'].count_text}, of {result.n_molecules:,} molecules; invalid: {why}",
                      highlight=False, markup=False)  # fmt: skip
    console.print(speed_line(made), highlight=False)


def _table(model: str, name: str, benchmark: Benchmark, results: dict[str, SplitResult], made: dict[str, Any]) -> Table:
    """Return the table: a row a figure of this model, then the data's own and the published ones."""
    from rich.table import Table

    order = ", given atoms shuffled" if made["shuffle"] else ""
    sources = "; ".join(sorted({row.source for row in benchmark.published}))
    table = Table(title=f"{model}, {name}: {benchmark.removed} removed{order}", caption=sources)
    table.add_column("")
    for split in results:
        table.add_column(split, justify="right")
        table.add_column("95 %", justify="right")
    for measure in next(iter(results.values())).measures:
        cells = [(result[measure.name].value_text, result[measure.name].interval_text) for result in results.values()]
        table.add_row(measure.label, *(cell for pair in cells for cell in pair))
    table.add_section()
    intact = [(f"{100 * result.intact:.2f} %", "") for result in results.values()]
    table.add_row("the molecules themselves: valid", *(cell for pair in intact for cell in pair))
    for row in benchmark.published:
        published = [(f"{100 * row.values[f'valid/{split}']:.1f} %", "") for split in results]
        system = f"{row.system}, {row.conditions}" if row.conditions else row.system
        table.add_row(f"{system}: valid", *(cell for pair in published for cell in pair))
    return table
