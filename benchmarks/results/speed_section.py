"""How fast: goals beside what was measured, and molecules a second by size and number with the peers beside."""

from __future__ import annotations

from collections.abc import Sequence

from .published import GOALS, ORIGINAL_NOTE, PACES, PACES_NOTE, Goal
from .quality_section import SHIPPED
from .records import Record, of_benchmark
from .tables import NOT_MEASURED, moment, number, percent, table

PRESET = "symphony"
"""The published size, for which the goals are set."""

CONDITIONS = f"""\
Preset `{PRESET}`, the published size, unless a row names another; two CPU cores unless it says otherwise. GFLOP/s is
the rate of matrix products right after the figure."""

PROTOCOL = """\
As the authors' script does: whole runs with at most 5, 10, 20 and 30 atoms, for 25 to 10,000 molecules. Wall clock of
growing, warm, without files and verdicts; molecules cut off at the greatest size count. One process for each 512
molecules up to the number of CPUs, its start inside the time. The thesis itself prints no molecules a second, only
"approximately 3× faster than EDM"."""

RATIOS = {
    "naive_training": "training, fast over naive",
    "naive_growing": "growing, fast over naive",
    "naive_stability": "look-up stability, fast over naive",
}


def speed(records: Sequence[Record]) -> str:
    """Return the section on speed and memory."""
    rows = [row for goal in GOALS for row in _goal_rows(goal, records)]
    for benchmark, what in RATIOS.items():
        rows += [
            [what + _sample_of(record), "ratio", "", "", "", f"**{number(record['ratio'])}**", "", moment(record)]
            for record in of_benchmark(records, benchmark)
        ] or [[what, "ratio", "", "", "", NOT_MEASURED, "", ""]]
    headings = ["", "unit", "original", "required", "aim", "measured", "better than the original", "where and when"]
    return "\n\n".join(
        [
            "## Speed and memory",
            CONDITIONS,
            table(headings, rows),
            ORIGINAL_NOTE,
        ]
    )


def throughput(records: Sequence[Record]) -> str:
    """Return the section on molecules a second by greatest size and number, with the peers beside."""
    ours = of_benchmark(records, "throughput")
    parts = [
        "## Molecules a second by size and number",
        PROTOCOL,
    ]
    names = list(dict.fromkeys(record["weights"] for record in ours))
    parts += [f"`{name}`: {NOT_MEASURED}." for name in SHIPPED if name not in names]
    for name in names:
        parts += _throughput_of(name, [record for record in ours if record["weights"] == name])
    peers = [[pace.system, pace.device, pace.pace, pace.source] for pace in PACES]
    parts += [
        "Peers:",
        table(["system", "device", "pace", "source"], peers),
        PACES_NOTE,
    ]
    return "\n\n".join(parts)


def _goal_rows(goal: Goal, records: Sequence[Record]) -> list[list[str]]:
    """Return a row for each record that has the figure, and one if there is none.

    Presets without a goal of their own stand below that of the published size.
    """
    others = {other.preset for other in GOALS if other.benchmark == goal.benchmark} - {goal.preset}
    found = [
        record
        for record in of_benchmark(records, goal.benchmark)
        if goal.field in record
        and goal.what_key in {None, record.get("what")}
        and record.get("preset", PRESET) not in others
        and (goal.preset == PRESET or record.get("preset") == goal.preset)
    ]
    found.sort(key=lambda record: record.get("preset", PRESET) != PRESET)
    goals = [number(value) if value is not None else "" for value in (goal.original, goal.required, goal.aim)]
    rows = []
    if not found or found[0].get("preset", PRESET) != goal.preset:
        rows.append([goal.what, goal.unit, *goals, NOT_MEASURED, "", ""])
    for record in found:
        value, preset = record[goal.field], record.get("preset", PRESET)
        shown = f"**{number(value)}**"
        what = goal.what + (_batch_of(record) if goal.benchmark == "training" else _sample_of(record))
        if preset != goal.preset:
            rows.append([f"{what}, `{preset}`", goal.unit, "", "", "", shown, "", moment(record)])
            continue
        better = ""
        if goal.original is not None:
            ratio = goal.original / value if goal.less_is_better else value / goal.original
            better = f"{number(ratio)} ×"
        rows.append([what, goal.unit, *goals, shown, better, moment(record)])
    return rows


def _batch_of(record: Record) -> str:
    """Return what a training step holds, where the record says so."""
    if "molecules_per_step" not in record:
        return ""
    kept = record.get("decisions_per_molecule")
    return (
        f" ({record['molecules_per_step']} molecules a step, {'all decisions' if kept is None else f'{kept} of each'})"
    )


def _sample_of(record: Record) -> str:
    """Return what was judged, where the record says so: ", 10,000 of QM9 (1,000 measured)"."""
    if "sample" not in record:
        return ""
    part = f" ({record['measured_on']:,} measured)" if "measured_on" in record else ""
    return f", {record['molecules']:,} of {record['sample']}{part}"


def _throughput_of(name: str, records: Sequence[Record]) -> list[str]:
    cells = {(record["max_atoms"], record["molecules"]): record for record in records}
    numbers = sorted({record["molecules"] for record in records})
    rows = []
    for max_atoms in sorted({record["max_atoms"] for record in records}):
        row = [cells.get((max_atoms, n)) for n in numbers]
        grown = [record for record in row if record is not None and "mean_atoms" in record]
        largest = grown[-1] if grown else None
        rows.append(
            [
                f"{max_atoms}",
                *(_cell(record) for record in row),
                f"{largest['mean_atoms']:.1f}" if largest else "",
                f"{percent(largest['finished'], 1)} %" if largest else "",
            ]
        )
    rates, last = [record["matrix_gflops"] for record in records], records[-1]
    note = (
        f"Mean atoms and finished are of the largest run of the row. {last['machine']}; matrix products "
        f"{min(rates):g} to {max(rates):g} GFLOP/s during the runs; commit {last['commit']}, {last['date']}."
    )
    return [
        f"`{name}`, seed {last['seed']}, temperatures 1, molecules/s:",
        table(["atoms at most", *(f"{n:,} molecules" for n in numbers), "mean atoms", "finished"], rows),
        note,
    ]


def _cell(record: Record | None) -> str:
    if record is None:
        return NOT_MEASURED
    if "molecules_per_second" in record:
        return number(record["molecules_per_second"])
    return f"left out: about {number(record['expected_seconds'])} s, limit {number(record['limit_seconds'])} s"
