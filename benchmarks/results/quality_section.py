"""Where we stand: our molecules and the published ones side by side, and how ours were made."""

from __future__ import annotations

from collections.abc import Sequence

from atomweave.evaluation.headline import QM9

from .published import HERE, QM9_SIZES, QM9_UNIQUE, QUALITY, SOURCES, Quality
from .records import Record, of_benchmark
from .tables import NOT_MEASURED, mean_and_spread, measure_text, moment, number, percent, table

SHIPPED = "symphony-qm9"
"""Weights that ship: their row is there whether they were measured or not."""

XYZ2MOL = ("system", "xyz2mol-valid", "unique", "valid × unique", "connected and neutral", "conditions", "source")
LOOK_UP = (
    "system", "atoms stable", "molecules stable", "look-up valid", "look-up unique", "look-up valid × unique",
    "Open Babel valid", "conditions", "source",
)  # fmt: skip

INTRODUCTION = """\
Percentages; the denominator is all attempts, except that "unique" is of the valid ones and "atoms stable" of all atoms.
In brackets: 95 % intervals (Wilson). Empty: not published, not found, or not measured here. † is the product of the two
published columns before it."""

ALL_OF_QM9 = "all 130,831 molecules"

OURS = "**Atomweave** `{}`"


def where_we_stand(records: Sequence[Record]) -> str:
    """Return the section: the two tables of validity, then what became of our attempts."""
    ours = of_benchmark(records, "quality")
    missing = [] if any(record["weights"] == SHIPPED for record in ours) else [SHIPPED]
    published = [row for row in QUALITY if row.valid or row.valid_unique]
    xyz2mol = [
        *([OURS.format(name), NOT_MEASURED, *[""] * 5] for name in missing),
        *(_our_xyz2mol(record) for record in ours),
        _qm9_xyz2mol(),
        *(_published_xyz2mol(row) for row in published),
    ]
    look_up = [
        *([OURS.format(name), NOT_MEASURED, *[""] * 7] for name in missing),
        *(_our_look_up(record) for record in ours),
        _qm9_look_up(),
        *(_published_look_up(row) for row in QUALITY),
    ]
    parts = [
        "## Where we stand",
        INTRODUCTION,
        "### Bonds by xyz2mol",
        table(XYZ2MOL, xyz2mol),
        "### Bonds by EDM's table, and by Open Babel",
        table(LOOK_UP, look_up),
        SOURCES,
        *(["### How ours were made"] if ours else []),
        *(_provenance(record) for record in ours),
    ]
    return "\n\n".join(parts)


def _our_xyz2mol(record: Record) -> list[str]:
    measures = record["headline"]["measures"]
    shares = [measure_text(measures, name) for name in ("valid", "unique", "valid_unique", "strict")]
    return [OURS.format(record["weights"]), *shares, _conditions(record), HERE]


def _our_look_up(record: Record) -> list[str]:
    measures = record["headline"]["measures"]
    shares = [measure_text(measures, name) for name in ("atom_stable", "molecule_stable")]
    return [OURS.format(record["weights"]), *shares, *[""] * 4, _conditions(record), HERE]


def _qm9_xyz2mol() -> list[str]:
    shares = [QM9["valid"], QM9_UNIQUE, QM9["valid"] * QM9_UNIQUE, QM9["strict"]]
    return ["QM9 itself, by this library", *(percent(share) for share in shares), ALL_OF_QM9, HERE]


def _qm9_look_up() -> list[str]:
    shares = [QM9["atom_stable"], QM9["molecule_stable"]]
    return ["QM9 itself, by this library", *(percent(share) for share in shares), *[""] * 4, ALL_OF_QM9, HERE]


def _published_xyz2mol(row: Quality) -> list[str]:
    product = row.valid_unique
    if not product and row.valid and row.unique:
        product = f"{float(row.valid) * float(row.unique) / 100:.2f}†"
    return [row.system, row.valid, row.unique, product, "", row.conditions, row.source]


def _published_look_up(row: Quality) -> list[str]:
    product = row.lookup_valid_unique
    if not product and row.lookup_valid and row.lookup_unique:
        product = f"{float(row.lookup_valid) * float(row.lookup_unique) / 100:.2f}†"
    shares = [row.atom_stable, row.molecule_stable, row.lookup_valid, row.lookup_unique, product, row.open_babel]
    return [row.system, *shares, row.conditions, row.source]


def _conditions(record: Record) -> str:
    """Return number of molecules, temperatures, start rule and seed in a few words."""
    focus, position = record["temperatures"]["focus"], record["temperatures"]["position"]
    temperatures = "temperatures 1"
    if not focus == position == 1:
        temperatures = f"temperatures {focus:g} (focus), {position:g} (position)"
    if position != 1:
        temperatures += f", {record['temperatures']['tempering']} tempering"
    start = "any atom" if record["start"] == "data" else record["start"]
    return f"{_attempts(record):,}; {temperatures}; from {start}; seed {record['seed']}"


def _attempts(record: Record) -> int:
    return record["headline"]["measures"]["attempted"]["count"]


def _provenance(record: Record) -> str:
    """Return how one of our rows was made, its sizes, and why attempts were invalid."""
    finished = measure_text(record["headline"]["measures"], "finished")
    tools = ", ".join(f"{name} {version}" for name, version in record["headline"]["tools"].items())
    points = [
        f"Grown: {_conditions(record)}; at most {record['max_atoms']} atoms. Finished: {finished} %.",
        *_spread(record),
        _sizes(record),
        f"Invalid attempts: {_reasons(record)}.",
        f"Learnt: {_learnt(record)}.",
        f"Pace: {_pace(record)}.",
        f"Tools: {tools}.",
    ]
    return "\n".join([f"**`{record['weights']}`**", "", *(f"- {point}" for point in points)])


def _spread(record: Record) -> list[str]:
    """Return the spread of the shares without interval over disjoint parts, if the sample has any."""
    parts = record["parts"]
    many = len(parts["unique"])
    if not many:
        return []
    unique, valid_unique = mean_and_spread(parts["unique"]), mean_and_spread(parts["valid_unique"])
    where = f"In {many} disjoint thousands, mean ± standard deviation" if many > 1 else "In one thousand of them"
    return [f"{where}: unique {unique} %, valid × unique {valid_unique} %."]


def _sizes(record: Record) -> str:
    sizes, data = record["sizes"], QM9_SIZES
    return (
        f"Sizes of all attempts: {sizes['mean']:.2f} atoms on average, {sizes['p5']:g} to {sizes['p95']:g} from 5 to "
        f"95 % (QM9: {data['mean']}, {data['p5']} to {data['p95']})."
    )


def _reasons(record: Record) -> str:
    shares = {reason: count / _attempts(record) for reason, count in record["headline"]["invalid"].items()}
    return ", ".join(f"{reason} {percent(share)} %" for reason, share in shares.items()) or "none"


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
    """Return molecules a second with the machine, its matrix-product rate, the commit and the day."""
    processes = "1 process" if record["processes"] == 1 else f"{record['processes']} processes"
    return (
        f"{number(record['molecules_per_second'])} molecules/s, {number(record['seconds'])} s in all, warm, on "
        f"{record['device']} with {processes} ({moment(record)})"
    )
