"""`atomweave evaluate`: judge anybody's molecules, beside the data and the published figures."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evaluation.evaluation import Evaluation
    from ..evaluation.reading import Attempts
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
    seed: Annotated[int, typer.Option(help="Draws these molecules.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the bonds of one molecule.")] = 10.0,
    shown: Annotated[int, typer.Option("--shown", min=0, help="Molecules on the page's wall.")] = 500,
    chemiscope: Annotated[bool, typer.Option("--chemiscope", help="Also write a file for chemiscope.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    list_suites: Annotated[  # noqa: ARG001 - its callback has answered already
        bool, typer.Option("--list", is_eager=True, callback=_list, help="List the suites.")
    ] = False,
) -> None:
    """Judge molecules: validity, stability, uniqueness, novelty, geometry and more, with intervals.

    Every attempt counts, also one that cannot be read. Published figures and those of the reference data stand beside.
    """
    from .targets import check_targets

    targets = _targets(out, chemiscope)
    check_targets(*targets, force=force)

    from ..evaluation.building import Work
    from ..evaluation.evaluate import score
    from ..evaluation.suites import DEFAULT, Settings, suite_named

    settings = Settings(_count("--energies", energies), _count("--relaxed", relaxed), seed, workers)
    with contextlib.ExitStack() as bars:
        work = Work(workers, timeout, _Bars(bars).show)
        suites = [suite_named(name, settings) for name in suite or [DEFAULT]]
        sets = _read(samples, names, format_, number)
        evaluation = score(sets, reference, suites, work, _temperatures(temperatures, sets))
    try:
        if out is not None:
            _write(evaluation, out, shown, chemiscope)
    finally:  # also where a file could not be written: what took minutes to measure is not lost with it
        _print(evaluation)


def _targets(out: Path | None, chemiscope: bool) -> list[Path]:
    if out is None:
        if chemiscope:
            raise UsageError("--chemiscope: it is written into the folder of --out, which was not given.")
        return []
    names = ["report.html", "metrics.json", "molecules.csv", *(["chemiscope.json.gz"] if chemiscope else [])]
    return [out / name for name in names]


def _read(
    samples: Sequence[Path], names: str | None, format_: str | None, number: int | None
) -> dict[str, list[Attempts]]:
    from ..evaluation.reading import read_attempts

    called = [name.strip() for name in names.split(",")] if names else [_stem(path) for path in samples]
    if len(called) != len(samples) or not all(called):
        raise UsageError(f"--names: got {len(called)} for {len(samples)} files, wanted one for each, by commas.")
    if not names and len(set(called)) < len(called):
        called = [str(path) for path in samples]
    sets: dict[str, list[Attempts]] = {}
    for name, path in zip(called, samples, strict=True):
        attempts = read_attempts(path, format_, number)
        for note in attempts.notes:
            print(f"{path}: {note}.", file=sys.stderr)
        sets.setdefault(name, []).append(attempts)
    return sets


def _stem(path: Path) -> str:
    return path.stem or path.resolve().name


def _temperatures(text: str | None, sets: dict[str, list[Attempts]]) -> dict[str, float]:
    if text is None:
        return {}
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        raise UsageError(f"--temperatures: got {text!r}, wanted numbers by commas, e.g. 1,0.5.") from None
    if len(values) != len(sets) or not all(value > 0 for value in values):
        raise UsageError(f"--temperatures: got {text!r}, wanted one positive number for each of {len(sets)} sets.")
    return dict(zip(sets, values, strict=True))


def _count(option: str, text: str) -> int | None:
    if text == EVERY:
        return None
    if not text.isdigit():
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
        print(path, file=sys.stderr)


def _print(evaluation: Evaluation) -> None:
    from ..evaluation.outputs import print_tables

    print_tables(evaluation)
