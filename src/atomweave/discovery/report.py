"""The page, the JSON and the lines at the end of a discovery run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.measure import Measure, number
from ..evaluation.report.page import render, write_page
from ..evaluation.report.records import record
from ..evaluation.report.svg import colour
from ..evaluation.tools import DECIDING, tool_versions
from ..files import write_atomic
from . import figures
from .novelty import Diversity, diversity
from .provenance import HOW, PICKED, RANDOM, Entry
from .sense import has_scorer
from .table2 import SOURCE, caveat, published

if TYPE_CHECKING:
    from .discover import Discovery
    from .measured import Measured
    from .minima import Strain
    from .tally import Interval, Tally

HERE = Path(__file__).parent
TEMPLATE = "discovery.html.j2"
ON_THE_WALL = 120
IN_SUMMARY = 25
"""Best molecules on the page and in summary.json; molecules.csv holds all."""


def write_results(found: Discovery) -> None:
    """Write summary.json and report.html into the folder of the run."""
    told = summary(found)
    with write_atomic(found.folder / "summary.json") as temporary:
        temporary.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    records = wall(found)
    n_attempts = sum(len(one.entries) for one in found.sets)
    title = f"{found.plan.objective.good_words}: {Path(found.plan.model).stem}"
    chosen = "those with the best values, each molecule once"
    page = render(
        TEMPLATE, title, records, n_attempts, folder=HERE, chosen=chosen, found=found, told=told, rows=_rows(found),
        source=SOURCE, colour=colour, value_text=value_text, share_text=share_text, span=span,
        standings=figures.standings(found, _measures(found)), histograms=figures.histograms(found),
        progress=figures.progress(found), strains=_strains(found), strain_text=strain_text,
        set_names=[one.name for one in found.sets], varied=_varied(found),
        provenance=_provenance(found), failures=_failures(found),
    )  # fmt: skip
    write_page(found.folder / "report.html", page)


def summary(found: Discovery) -> dict[str, Any]:
    """Return everything the page says in numbers, as JSON holds it."""
    return {
        "objective": found.plan.objective.good_words,
        "plan": found.plan.model_dump(mode="json"),
        "data": [_plain(asdict(row)) for row in found.data],
        "published": [_plain(asdict(row)) | {"source": SOURCE} for row in published(found.plan)],
        "caveat": caveat(found.plan),
        "models": {one.name: one.tally.as_dict() for one in found.models},
        "strain": {name: _plain(asdict(one)) for name, one in _strains(found)},
        "rounds": [
            {
                "round": one.number,
                "by_lot": one.measured.tally.as_dict(),
                "picked": _of_picks(one.measured.tally_of(PICKED)),
                "calibrated_on": one.calibration.n if one.calibration is not None else 0,
                "calibration_error": _finite(one.calibration.error) if one.calibration is not None else None,
                "taught": one.taught[0],
                "taught_found_by_the_run": one.taught[1],
                "taught_unconfirmed": one.taught[2],
            }
            for one in found.rounds
        ],
        "diversity": {f"{name}, {how}": _plain(asdict(one)) for name, how, one in _varied(found)},
        "best": [
            {"value": entry.value, "smiles": entry.smiles, "set": entry.set, "index": entry.index,
             "novel": entry.novel, "drawn": entry.drawn}
            for _, entry in best(found, IN_SUMMARY)
        ],
        "synthetic_accessibility": "RDKit Contrib" if has_scorer() else "not checked: this RDKit came without Contrib",
        "tools": tool_versions((*DECIDING, "pyscf")),
    }  # fmt: skip


def lines(found: Discovery) -> list[str]:
    """Return what a terminal shows at the end."""
    objective = found.plan.objective
    shown = [f"{objective.good_words}   mean, best ({objective.unit}), good of the valid, good of all attempts"]
    shown += [
        f"  {row.system}, {row.note}: {row.mean:.3f}, {row.best:.3f}, {100 * row.good:.2f} %"
        for row in (*published(found.plan), *found.data)
    ]
    shown += [f"  {one.name}: {_line(one.tally)}" for one in found.models]
    picks = [(one.measured.name, one.measured.tally_of(PICKED)) for one in found.rounds]
    shown += [
        f"  {name}, picked: mean {tally.mean:.3f}, best {tally.best:.3f}, {tally.good:,} of {tally.drawn:,} good"
        for name, tally in picks
    ]
    shown += [f"  {name}, relaxed: {strain_text(one, found)}" for name, one in _strains(found)]
    return [*shown, *filter(None, [caveat(found.plan)])]


def best(found: Discovery, n: int) -> list[tuple[Measured, Entry]]:
    """Return the best molecules of all sets, each once, with the set they are of."""
    objective = found.plan.objective
    scored = [(one, entry) for one in found.sets for entry in one.scored()]
    order = objective.order(np.array([entry.value for _, entry in scored], float))
    once: dict[str, tuple[Measured, Entry]] = {}
    for place in order.tolist():
        once.setdefault(scored[place][1].smiles, scored[place])
    return list(once.values())[:n]


def wall(found: Discovery) -> list[dict[str, Any]]:
    """Return the best molecules as the page's wall knows them."""
    records = []
    for one, entry in best(found, ON_THE_WALL):
        facts = record(entry.index, one.drawn.verdicts[entry.index])
        facts["set"], facts["set_index"] = one.name, found.sets.index(one)
        facts["name"] = f"{value_text(entry.value, found)}  {_skeleton(entry.smiles)}"
        told = {
            found.plan.target: value_text(entry.value, found),
            "drawn": entry.drawn,
            "novel": entry.novel,
            f"screened ({found.plan.screen})": _rounded(entry.screened),
            "predicted by the screen": _rounded(entry.predicted),
            "synthetic accessibility": _rounded(entry.synthetic_accessibility),
        }
        facts["columns"] = {name: value for name, value in told.items() if value is not None}
        records.append(facts)
    return records


def value_text(value: float | None, found: Discovery) -> str:
    """Return a value of the property with its unit; a dash where there is none."""
    known = value is not None and math.isfinite(value)
    return f"{value:.3f} {found.plan.objective.unit}" if known else "–"


def strain_text(one: Strain, found: Discovery) -> str:
    """Return in words what molecules owe to their geometry."""
    stay = f"{one.same:,} of {one.n:,} are the same molecule at the minimum of {one.method}"
    if not math.isfinite(one.change):
        return stay
    change = f"{one.change:+.3f} {found.plan.objective.unit} (median)"
    return f"{stay}, where their {found.plan.target} by {one.screen} differs by {change}"


def share_text(value: float | None) -> str:
    """Return a share in percent; a dash where there is none."""
    return f"{100 * value:.2f} %" if value is not None and math.isfinite(value) else "–"


def span(bounds: Interval, percent: bool = False) -> str:
    """Return an interval; empty where there is none."""
    if bounds is None:
        return ""
    low, high = (100 * bound if percent else bound for bound in bounds)
    return f"{low:.2f} – {high:.2f}"


def _rows(found: Discovery) -> list[tuple[str, str, Tally]]:
    """Return heading, note and figures of each of our rows in the table."""
    rows = [(one.name, f"{one.tally.drawn:,} of the valid, by lot", one.tally) for one in found.models]
    for one in found.rounds:
        for how in (RANDOM, PICKED):
            tally = one.measured.tally_of(how)
            words = "by lot" if how == RANDOM else "picked: no draw of the model"
            rows.append((f"{one.measured.name}, {HOW[how]}", f"{tally.drawn:,} of the valid, {words}", tally))
    return rows


def _measures(found: Discovery) -> list[tuple[str, list[Measure]]]:
    """Return mean and share of each model as measures that a drawing can set beside published ones."""
    unit, better = found.plan.objective.unit, "low" if found.plan.direction == "minimize" else "high"
    means, shares = [], []
    for one in found.models:
        tally = one.tally
        means.append(
            number("mean", f"mean {found.plan.target}", tally.mean, tally.scored, "scored", unit,
                   better=better, interval=tally.mean_interval)
        )  # fmt: skip
        shares.append(
            Measure("good", f"{found.plan.objective.good_words}, of the valid", tally.good_of_valid, tally.good,
                    tally.drawn, "valid", tally.good_of_valid_interval, better="high")
        )  # fmt: skip
    return [("mean", means), ("good", shares)]


def _varied(found: Discovery) -> list[tuple[str, str, Diversity]]:
    """Return how varied the scored molecules of each set are, those by lot and the picked apart."""
    return [
        (one.name, HOW[how], diversity([entry.smiles for entry in scored], [entry.novel for entry in scored]))
        for one in found.sets
        for how in (RANDOM, PICKED)
        if (scored := one.scored(how))
    ]


def _strains(found: Discovery) -> list[tuple[str, Strain]]:
    """Return name and strain of each model whose molecules were relaxed."""
    return [(one.name, strain) for one, strain in zip(found.models, found.strains, strict=False)]


def _failures(found: Discovery) -> list[tuple[str, str, str, int]]:
    """Return set, fate, reason and number of attempts that have no value, the most frequent of a set first."""
    counted: dict[tuple[str, str, str], int] = {}
    for one in found.sets:
        for entry in one.entries:
            if entry.value is None:
                key = (one.name, entry.fate, entry.reason)
                counted[key] = counted.get(key, 0) + 1
    places = {one.name: place for place, one in enumerate(found.sets)}
    return [(*key, n) for key, n in sorted(counted.items(), key=lambda item: (places[item[0][0]], -item[1]))]


def _provenance(found: Discovery) -> dict[str, str]:
    plan = found.plan
    told = {
        "weights to begin with": f"{plan.model} ({plan.model_sha256[:12]})",
        "data": f"{plan.data} ({plan.data_sha256[:12]}), split {plan.split}",
        "recipe": f"{plan.recipe}: {plan.epochs} epochs at {plan.learning_rate:g}, batches of {plan.batch}",
        "property": f"{plan.target} by {plan.method}",
        "seed": str(plan.seed),
        "weights that grew the sets": ", ".join(f"{one.name} {one.drawn.weights[:12]}" for one in found.sets),
        "tools": ", ".join(f"{name} {version}" for name, version in tool_versions((*DECIDING, "pyscf")).items()),
    }
    if plan.rounds:
        told["rounds"] = (
            f"{plan.rounds}: {plan.grow:,} grown, {plan.budget:,} calculations, the best {plan.elite:,} taught for "
            f"{plan.round_epochs} epochs; screen {plan.screen}{', trusted' if plan.trust_screen else ''}; "
            f"{'as grown' if plan.relax_by is None else f'at the minima of {plan.relax_by}'}"
        )
        if not has_scorer():
            told["synthetic accessibility"] = "not checked: this RDKit came without its Contrib folder"
    if not found.strains:
        why = "as grown" if plan.relax_by is None else f"{plan.relax_by} or {plan.screen} is not installed"
        told["strain"] = f"not looked at: {why}"
    return told


def _line(tally: Tally) -> str:
    return (
        f"{tally.mean:.3f} (95 % {span(tally.mean_interval)}), {tally.best:.3f}, {share_text(tally.good_of_valid)} "
        f"({span(tally.good_of_valid_interval, True)}), {share_text(tally.good_of_attempts)} "
        f"({span(tally.good_of_attempts_interval, True)}); {tally.scored:,} scored of {tally.drawn:,} drawn from "
        f"{tally.valid:,} valid of {tally.attempts:,}"
    )


def _skeleton(smiles: str) -> str:
    """Return a SMILES without its explicit hydrogens."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return Chem.MolToSmiles(mol) if mol is not None else smiles


def _of_picks(tally: Tally) -> dict[str, Any]:
    """Return the figures of picked molecules; what speaks of all attempts is no figure of theirs."""
    return {name: value for name, value in tally.as_dict().items() if not name.startswith("good_of_attempts")}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _finite(value) if isinstance(value, float) else value for name, value in fields.items()}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
