"""Where we stand: our molecules beside the data and the published ones, suite by suite, and how ours were made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from atomweave.evaluation.evaluation import Evaluation, Scored, Suite
from atomweave.evaluation.report.standing import DECISIVE, brief, comparable, published, stand, uncertainty_text
from atomweave.evaluation.suites import SUITES, Settings

from .published import QM9_SIZES
from .records import Record, of_benchmark
from .suite_tables import OURS, evaluation_of, figure, name_of, suite_table, unlike_one
from .tables import NOT_MEASURED, moment, number, percent

SHIPPED = ("weaver-qm9", "symphony-qm9", "gspherenet-qm9", "gspherenet-plus-qm9")
"""Weights that ship, the first to be shown first: they are named whether they were measured or not."""

TABLES = ("symphony-table-5.1", "symphony-table-5.2", "symphony-table-5.3", "gspherenet-table-1", "edm")
"""Suites that others published."""

FURTHER = Suite(
    "further",
    "what nobody published in this form: geometry, packaged PoseBusters, energy, memorisation",
    (),
    (
        "strict", "bond_w1/mean", "angle_w1/mean", "torsion_w1/mean", "jsd/rings", "jsd/sizes",
        "posebusters_packaged/all_pass", "posebusters_packaged_all/all_pass", "xtb/", "novel", "novel_valid_unique",
        "most_frequent", "rediscovered", "memorised/",
    ),
    note="`atomweave evaluate --suite full` gives every kind of bond, angle, torsion, ring, group and test.",
)  # fmt: skip

OTHER = replace(FURTHER, rows=("finished", "valid", "unique", "valid_unique", *FURTHER.rows))
"""Of molecules that are not compared with QM9; published systems had other data."""

INTRODUCTION = """\
Above, valid × unique of the thesis's systems is the product of their two published shares.

Every table is a suite of `atomweave evaluate --suite NAME`; [metrics.md](metrics.md) defines its measures. The arrow
says which way is better. In brackets: the 95 % interval (Wilson), or, where resampling would bias it, ± the standard
deviation over disjoint blocks or draws. "{reference}, here" is the data's own value by this library, "(of ...)" if only
so many of the data went into it; "floor" is what the estimator gives between two samples of the data of these sizes:
nobody gets below it but by chance. Empty: not published, or a distance of the data to themselves."""


def where_we_stand(records: Sequence[Record]) -> str:
    """Return the section: the decisive figures in words, a table a suite, then what became of our attempts."""
    ours = sorted((record for record in of_benchmark(records, "quality") if not _is_other(record)), key=_rank)
    parts = ["## Where we stand"]
    measured = {record["weights"] for record in ours}
    parts += [f"{OURS.format(name)}: {NOT_MEASURED}." for name in SHIPPED if name not in measured]
    if not ours:
        return "\n\n".join(parts)
    evaluation = evaluation_of(ours)
    suites = [SUITES[name](Settings()) for name in TABLES]
    for index, record in enumerate(ours):
        parts.append(f"{OURS.format(name_of(record))}, {_conditions(record)}:")
        parts.append(_decisive(evaluation, suites, index, record))
    parts.append(INTRODUCTION.format(reference=evaluation.reference.name))
    for suite in (*suites, FURTHER):
        parts += [f"### {suite.name}: {suite.title}", suite_table(evaluation, suite)]
    return "\n\n".join([*parts, "### How ours were made", *(_provenance(record) for record in ours)])


def other_data(records: Sequence[Record]) -> str:
    """Return a section for each data set but QM9 that our molecules were compared with; nothing if there is none."""
    others: dict[str, list[Record]] = {}
    for record in sorted(of_benchmark(records, "quality"), key=_rank):
        if _is_other(record):
            others.setdefault(record["evaluation"]["reference"]["name"], []).append(record)
    return "\n\n".join(
        f"## Other data: {name}\n\n{suite_table(evaluation_of(ours), OTHER)}\n\n"
        + "\n\n".join(_provenance(record) for record in ours)
        for name, ours in others.items()
    )


def _is_other(record: Record) -> bool:
    return record["evaluation"]["reference"]["name"] not in {"QM9", ""}


def _rank(record: Record) -> tuple[int, str, str]:
    name = record["weights"]
    return (SHIPPED.index(name) if name in SHIPPED else len(SHIPPED)), name, name_of(record)


def _decisive(evaluation: Evaluation, suites: Sequence[Suite], index: int, record: Record) -> str:
    """Return a line for each decisive figure: value, interval, and where it stands among the published ones."""
    measures, reference = evaluation.sets[index].measures, evaluation.reference
    beside = Evaluation(evaluation.sets, reference, tuple(suites))
    lines = []
    for name, heading in DECISIVE.items():
        measure = measures.get(name)
        if measure is None or not measure.total or not math.isfinite(measure.value):
            continue
        marks = published(beside, name) if comparable(name, [_attempts(record)]) else []
        standing = stand(index, name_of(record), heading or measure.label, measure, marks)
        own = reference.values.get(name)
        clauses = [standing.words, f"{reference.name} itself {brief(measure, own)}" if own is not None else ""]
        if measure.floor is not None:
            clauses.append(f"floor {brief(measure, measure.floor)}")
        counted = "; ".join(filter(None, [uncertainty_text(measure), f"of {measure.total:,} {measure.of}"]))
        said = "; ".join(filter(None, [f"**{brief(measure, measure.value)}** ({counted})", *clauses]))
        lines.append(f"- {standing.label}: {said}.")
    return "\n".join(lines)


def _conditions(record: Record) -> str:
    """Return number of molecules, temperatures, start rule and seed in a few words."""
    told = record["temperatures"]
    others = ", ".join(f"{value:g} ({name})" for name, value in unlike_one(record).items())
    temperatures = f"temperatures {others}, else 1" if others else "temperatures 1"
    if told.get("focus_threshold") is not None:
        temperatures += f", foci below {told['focus_threshold']:g}"
    if told["position"] != 1:
        temperatures += f", {told['tempering']} tempering"
    start = "any atom" if record["start"] == "data" else record["start"]
    return f"{_attempts(record):,} molecules; {temperatures}; from {start}; seed {record['seed']}"


def _attempts(record: Record) -> int:
    return record["evaluation"]["sets"][0]["attempts"]


def _provenance(record: Record) -> str:
    """Return how one of our columns was made, its sizes, and why attempts were invalid."""
    (scored,) = evaluation_of([record]).sets
    made, tools = record["evaluation"]["made"], record["evaluation"]["tools"]
    points = [
        f"Grown: {_conditions(record)}; at most {record['max_atoms']} atoms",
        f"Finished: {figure(scored.measures['finished'])} %",
        *_spread(scored),
        _sizes(record),
        f"Invalid attempts: {_reasons(record)}",
        f"Learnt: {_learnt(record)}",
        f"Pace: {_pace(record)}",
        f"Judged: against {_reference(record)}; suite {made['suites']}, {number(made['seconds'])} s ({moment(record)})",
        f"Tools: {', '.join(f'{name} {version}' for name, version in tools.items())}",
    ]
    return "\n".join([f"**`{name_of(record)}`**", "", *(f"- {point}." for point in points)])


def _spread(scored: Scored) -> list[str]:
    """Return the spread of uniqueness over disjoint blocks, which differs from that of the whole; if there is one."""
    said = [
        f"{measure.label} {percent(measure.spread.mean)} ± {percent(measure.spread.deviation)} %"
        f" over {measure.spread.n_parts} {measure.spread.of}"
        for measure in (scored.measures[name] for name in ("unique", "valid_unique"))
        if measure.spread is not None
    ]
    return [f"Mean ± standard deviation: {', '.join(said)}"] if said else []


def _sizes(record: Record) -> str:
    sizes, data = record["sizes"], QM9_SIZES
    beside = "" if _is_other(record) else f" (QM9: {data['mean']}, {data['p5']} to {data['p95']})"
    return (
        f"Sizes of all attempts: {sizes['mean']:.2f} atoms on average, {sizes['p5']:g} to {sizes['p95']:g} from 5 to "
        f"95 %{beside}"
    )


def _reasons(record: Record) -> str:
    invalid = record["evaluation"]["sets"][0]["invalid"]
    return ", ".join(f"{reason} {percent(n / _attempts(record))} %" for reason, n in invalid.items()) or "none"


def _learnt(record: Record) -> str:
    """Return what the card says: size, data, start rule, fragments and budget; and which file it was."""
    trained = record["trained"]
    words = [f"{trained['parameters']:,} parameters", f"from {trained['data'] or 'data that the card does not name'}"]
    if trained["start"]:
        words.append(f"start rule {trained['start']}")
    if trained["fragments"]:
        words.append(f"{trained['fragments']:,} fragments")
    if trained["budget"]:
        words.append(trained["budget"])
    return f"{', '.join(words)}; sha256 of the weights' tensors {record['weights_sha256'][:12]}"


def _pace(record: Record) -> str:
    """Return molecules a second with the machine, its matrix-product rate, the commit and the day of the growing."""
    growing = record["growing"]
    if growing is None:
        return f"{NOT_MEASURED}: the molecules were read from a file"
    processes = "1 process" if growing["processes"] == 1 else f"{growing['processes']} processes"
    return (
        f"{number(growing['molecules_per_second'])} molecules/s, {number(growing['seconds'])} s in all, warm, on "
        f"{growing['device']} with {processes} ({moment(growing)})"
    )


def _reference(record: Record) -> str:
    reference = record["evaluation"]["reference"]
    if not reference["name"]:
        return "no reference"
    return f"{reference['name']} of {reference['n_molecules']:,} molecules (data {reference['data'][:12]})"
