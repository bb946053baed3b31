"""Targeted discovery: what runs of `atomweave discover` found, beside the published figures and the data.

A record of the benchmark "discovery" is the summary of one run: `model`, `target`, and what `summary.json` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atomweave.discovery.objective import Objective
from atomweave.errors import RefusedFileError

from .records import RESULTS, Record, of_benchmark, save_records
from .tables import percent, table

SUMMARY = "summary.json"

KEPT = ("objective", "plan", "data", "published", "caveat", "models", "strain", "rounds", "diversity", "tools")
"""What a record has of a summary; the best molecules stay in the run's report."""

WORDS = """\
`atomweave discover` by the paper's recipe and after rounds ([how](discovery.md)): {number:,} molecules grown with each
model, some of the valid drawn by lot and calculated with {method} at the geometry as grown. Means and best are of those
that are neutral closed shells; whatever else was drawn counts as not good. Intervals are 95 %. The published systems
scored radicals and charged species as well, which makes their best values and part of their means. A strained molecule
has a smaller gap; [here](discovery.md#what-it-found) stands what was done about that."""


def keep_discovery(run: Path, out: Path | None = None) -> None:
    """Keep the summary of a finished run as a record, by default docs/results/discovery-MODEL-TARGET.json.

    Raises:
        RefusedFileError: if the folder holds no summary of a discovery run.
    """
    path = run / SUMMARY
    try:
        told = json.loads(path.read_text("utf-8"))
        plan = told["plan"]
        record = {"benchmark": "discovery", "model": Path(plan["model"]).stem, "target": plan["target"]}
        record |= {name: told[name] for name in KEPT}
    except (OSError, ValueError, KeyError, TypeError):
        raise RefusedFileError(
            f"{path}: is no summary of a discovery run; `atomweave discover -o {run}` writes it at its end."
        ) from None
    save_records(out or RESULTS / f"discovery-{record['model']}-{record['target']}.json", [record])


def discovery(records: Sequence[Record]) -> str:
    """Return the section, or nothing if nothing was looked for."""
    runs = of_benchmark(records, "discovery")
    if not runs:
        return ""
    plan = runs[0]["plan"]
    parts = ["## Targeted discovery", WORDS.format(number=plan["number"], method=_method(plan))]
    for objective in dict.fromkeys(run["objective"] for run in runs):
        parts += _of_objective(objective, [run for run in runs if run["objective"] == objective])
    return "\n\n".join(parts)


def _of_objective(objective: str, runs: Sequence[Record]) -> list[str]:
    plan = runs[0]["plan"]
    unit = Objective(plan["target"], plan["direction"], plan["threshold"]).unit
    rows = [
        [f"{row['system']}, {row['note']}", "", f"{row['mean']:.2f}", f"{row['best']:.2f}", percent(row["good"], 1), ""]
        for row in (*runs[0]["published"], *runs[0]["data"])
    ]
    for run in runs:
        rows += [
            [
                f"**Atomweave** `{run['model']}`, {name}",
                f"{one['drawn']:,} of {one['valid']:,}",
                f"{_number(one['mean'])}{_span(one['mean_interval'], 1, 2)}",
                _number(one["best"]),
                f"{percent(one['good_of_valid'], 1)}{_span(one['good_of_valid_interval'], 100, 1)}",
                f"{percent(one['good_of_attempts'], 1)}{_span(one['good_of_attempts_interval'], 100, 1)}",
            ]
            for name, one in run["models"].items()
        ]
    headings = [
        "system", "drawn of the valid", f"mean, {unit}", f"best, {unit}", "good, % of valid", "good, % of attempts",
    ]  # fmt: skip
    parts = [f"### {objective[0].upper()}{objective[1:]}", table(headings, rows)]
    parts += _strain(runs, unit)
    return [*parts, *(_rounds(run, unit) for run in runs if run["rounds"])]


def _strain(runs: Sequence[Record], unit: str) -> list[str]:
    """Say what the molecules of each model owe to their geometry; nothing where no run has looked."""
    rows = [
        [f"`{run['model']}`, {name}", f"{one['same']:,} of {one['n']:,}", _number(one["change"], "+")]
        for run in runs
        for name, one in run["strain"].items()
    ]
    method = next((one["method"] for run in runs for one in run["strain"].values()), "")
    headings = ["system", "the same molecule", f"change of the {runs[0]['plan']['target']}, {unit}"]
    said = f"At the minimum of {method}, and how far that method's own value changes on the way there (median):"
    return [said, table(headings, rows)] if rows else []


def _rounds(run: Record, unit: str) -> str:
    """Say what the rounds of a run did, one line each."""
    plan = run["plan"]
    where = "as grown" if plan["relax_by"] is None else f"at their minimum by {plan['relax_by']}"
    numbers = f"{plan['grow']:,} molecules grown, {plan['budget']:,} calculated in each"
    lines = [f"Rounds of `{run['model']}`: {numbers}, {where}.", ""]
    for one in run["rounds"]:
        lot, picked = one["by_lot"], one["picked"]
        lines.append(
            f"- Round {one['round']}: drawn by lot, mean {_number(lot['mean'])} {unit}, {lot['good']:,} of "
            f"{lot['drawn']:,} good; picked by the screen, mean {_number(picked['mean'])}, best "
            f"{_number(picked['best'])}, {picked['good']:,} of {picked['drawn']:,} good. The best {one['taught']:,} "
            f"taught the next model, {one['taught_found_by_the_run']:,} of them the run's own"
            f"{_unconfirmed(one['taught_unconfirmed'])}."
        )
    return "\n".join(lines)


def _unconfirmed(n: int) -> str:
    return f" ({n:,} seen by the screen alone)" if n else ""


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{value:{sign}.2f}"


def _method(plan: Mapping[str, Any]) -> str:
    return str(plan["method"]).upper().replace("2DF,P", "2df,p")


def _span(interval: Sequence[float] | None, factor: float, digits: int) -> str:
    return "" if interval is None else f" ({' – '.join(f'{factor * end:.{digits}f}' for end in interval)})"
