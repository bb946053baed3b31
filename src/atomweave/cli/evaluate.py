"""`atomweave evaluate`: judge anybody's molecules, beside the data and the published figures."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError, printable
from .cluster import Scheduler, Slurm, cluster_of
from .targets import Force, check_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evaluation.attempts import Attempts
    from ..evaluation.evaluation import Evaluation
    from ..evaluation.sample import Progress

app = typer.Typer(add_completion=False)

EVERY = "all"


def _list(wanted: bool) -> None:
    if wanted:
        from ..evaluation.suites import SUITES, Settings

        for name, make in SUITES.items():
            typer.echo(f"{name:22} {make(Settings()).title}")
        raise typer.Exit


@app.command()
def evaluate(
    samples: Annotated[
        list[Path], typer.Argument(help="Files (xyz, extxyz, SDF, db, npz, store) or folders of them, one a set.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for report.html, metrics.json, molecules.csv; else only tables."),
    ] = None,
    reference: Annotated[str, typer.Option(help="qm9, which ships; a store or file of molecules; or none.")] = "qm9",
    suite: Annotated[
        list[str] | None, typer.Option("--suite", "-s", help="Which tables; give it several times for several.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="Names of the sets, by commas; files of equal name are one model's seeds.")
    ] = None,
    temperatures: Annotated[
        str | None, typer.Option(help="Temperatures of the sets, by commas, for the validity-uniqueness curve.")
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Format of the samples, if not by suffix.")] = None,
    number: Annotated[int | None, typer.Option("--number", "-n", min=1, help="Only the first so many.")] = None,
    energies: Annotated[
        str, typer.Option(help="Valid molecules, drawn at random, that get PoseBusters' energy test; or all.")
    ] = "1000",
    relaxed: Annotated[
        str, typer.Option(help="Valid molecules, drawn at random, that are relaxed with GFN2-xTB; or all.")
    ] = "200",
    seed: Annotated[int, typer.Option(min=0, help="Draws these molecules.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU.")] = None,
    scheduler: Scheduler = None,
    slurm: Slurm = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the bonds of one molecule.")] = 10.0,
    shown: Annotated[int, typer.Option("--shown", min=0, help="Molecules on the page's wall.")] = 500,
    chemiscope: Annotated[bool, typer.Option("--chemiscope", help="Also write a file for chemiscope.")] = False,
    force: Force = False,
    list_suites: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--list", is_eager=True, callback=_list, help="List the suites.")
    ] = False,
) -> None:
    """Judge molecules: validity, stability, uniqueness, novelty, geometry and more, with intervals.

    Every attempt counts, also one that cannot be read. Published figures and those of the reference data stand beside.
    """
    targets = _targets(out, chemiscope)
    check_targets(*targets, force=force)

    from ..evaluation.building import Work, check_source
    from ..evaluation.evaluate import score
    from ..evaluation.suites import DEFAULT, Settings, suite_named
    from ..isolation import answered_by

    settings = Settings(_count("--energies", energies), _count("--relaxed", relaxed), seed, workers)
    suites = [suite_named(name, settings) for name in dict.fromkeys(suite or [DEFAULT])]
    check_source(reference)
    files = _named(samples, names)
    known = _temperatures(temperatures, list(files))
    with answered_by(cluster_of(scheduler, slurm, workers=workers)) as there, contextlib.ExitStack() as bars:
        sets = {name: [_read(path, format_, number) for path in paths] for name, paths in files.items()}
        evaluation = score(sets, reference, suites, Work(workers, timeout, _Bars(bars).show, there), known)
    evaluation = replace(evaluation, made={"command": _command(), "seed": seed, **evaluation.made})
    try:
        if out is not None:
            _write(evaluation, out, shown, chemiscope)
    finally:  # also where a file could not be written: what took minutes to measure is not lost with it
        _print(evaluation)


def _command() -> str:
    """Return the command line as it was given, so that the page says how to make it again."""
    return printable(shlex.join(["atomweave", *sys.argv[1:]]))


def _targets(out: Path | None, chemiscope: bool) -> list[Path]:
    if out is None:
        if chemiscope:
            raise UsageError("--chemiscope: it is written into the folder of --out, which was not given.")
        return []
    names = ["report.html", "metrics.json", "molecules.csv", *(["chemiscope.json.gz"] if chemiscope else [])]
    return [out / name for name in names]


def _named(samples: Sequence[Path], names: str | None) -> dict[str, list[Path]]:
    """Return the files of each set: by the names given, else each its own set, named after its file."""
    if len({path.resolve() for path in samples}) < len(samples):
        twice = next(path for path in samples if [other.resolve() for other in samples].count(path.resolve()) > 1)
        raise UsageError(f"{printable(str(twice))}: is given twice, wanted every file once.")
    if names is None:
        stems = [path.stem or path.resolve().name for path in samples]
        called = stems if len(set(stems)) == len(stems) else [str(path) for path in samples]
    else:
        called = [name.strip() for name in names.split(",")]
        if len(called) != len(samples) or not all(called):
            got = f"{sum(map(bool, called))} for {len(samples)} files"
            raise UsageError(f"--names: got {got}, wanted one for each, by commas; files of equal name are seeds.")
    files: dict[str, list[Path]] = {}
    for name, path in zip(called, samples, strict=True):
        files.setdefault(name, []).append(path)
    return files


def _read(path: Path, format_: str | None, number: int | None) -> Attempts:
    from ..evaluation.reading import read_attempts

    attempts = read_attempts(path, format_, number)
    for note in attempts.notes:
        print(f"{printable(str(path))}: {printable(note)}.", file=sys.stderr)
    return attempts


def _temperatures(text: str | None, names: Sequence[str]) -> dict[str, float]:
    if text is None:
        return {}
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        raise UsageError(f"--temperatures: got {text!r}, wanted numbers by commas, e.g. 1,0.5.") from None
    if len(values) != len(names) or not all(0 < value < math.inf for value in values):
        raise UsageError(f"--temperatures: got {text!r}, wanted one positive number for each of {len(names)} sets.")
    return dict(zip(names, values, strict=True))


def _count(option: str, text: str) -> int | None:
    if text == EVERY:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{option}: got {text!r}, wanted a number of molecules, or {EVERY}.")
    return int(text)


class _Bars:
    """One bar of progress after another: a new title ends the bar before."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack

    def show(self, title: str) -> Progress:
        from .progress import progress

        self.stack.pop_all().close()
        return self.stack.enter_context(progress(title, "molecules"))


def _write(evaluation: Evaluation, out: Path, shown: int, chemiscope: bool) -> None:
    from ..evaluation.outputs import write_metrics, write_molecules
    from ..evaluation.report import write_evaluation_report

    write_metrics(out / "metrics.json", evaluation)
    write_molecules(out / "molecules.csv", evaluation)
    write_evaluation_report(out / "report.html", evaluation, shown)
    if chemiscope:
        from ..evaluation.chemiscope import write_chemiscope

        write_chemiscope(out / "chemiscope.json.gz", evaluation)
    for path in _targets(out, chemiscope):
        print(printable(str(path)), file=sys.stderr)


def _print(evaluation: Evaluation) -> None:
    from ..evaluation.outputs import print_tables

    print_tables(evaluation)
