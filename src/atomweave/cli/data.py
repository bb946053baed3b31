"""`atomweave data`: build, fetch and inspect stores of molecules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .targets import Force, check_targets

app = typer.Typer(help="Build, fetch and inspect stores of molecules.", add_completion=False, no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="The store to write, e.g. molecules.safetensors.")]


@app.command()
def qm9(output: Output, force: Force = False) -> None:
    """Store QM9 (130,831 molecules, properties, the EDM split) from the installed package qm9pack."""
    from ..data.qm9 import build_qm9

    check_targets(output, force=force)
    typer.echo("reading qm9pack ...", err=True)
    store = build_qm9()
    store.write(output)
    splits = ", ".join(f"{name} {len(indices):,}" for name, indices in store.splits.items())
    typer.echo(f"{output}: {len(store):,} molecules; {splits}")
    typer.echo(f"please cite: {store.citation}")


@app.command()
def build(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="xyz, extxyz, sdf, db (ASE) or npz (EDM).")],
    output: Output,
    input_format: Annotated[
        str | None, typer.Option("--format", help="Format of all files; by default each suffix decides.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="CSV of what was refused: file, frame (from 0), reason.")] = None,
    max_neighbour_distance: Annotated[
        float | None,
        typer.Option(help="Refuse molecules that fall apart if only atoms nearer than this (Å) hold together."),
    ] = None,
    elements: Annotated[str | None, typer.Option(help="Refuse molecules that hold any other, e.g. H,C,N,O,F.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Random splits by share, e.g. train=0.8,valid=0.1,test=0.1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the random splits.")] = 0,
    force: Force = False,
) -> None:
    """Store your own molecules; what cannot be used is refused, counted and, with --report, listed."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ..data.build import build as build_store

    check_targets(output, report, force=force)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=len(files))

        def progress(index: int, share: float) -> None:
            bar.update(task, completed=index + share, description=files[index].name)

        built = build_store(
            files,
            format=input_format,
            max_neighbour_distance=max_neighbour_distance,
            elements=None if elements is None else [symbol.strip() for symbol in elements.split(",")],
            splits=_shares(split),
            seed=seed,
            progress=progress,
            report=report,
        )
    built.store.write(output)
    typer.echo(f"{output}: kept {len(built.store):,}, refused {len(built.refusals):,}")
    for reason, count in built.reasons.items():
        typer.echo(f"{count:8,}  {reason}")
    if built.refusals and report is not None:
        typer.echo(f"each refusal is listed in {report}")
    for name, indices in built.store.splits.items():
        typer.echo(f"split {name}: {len(indices):,}")


@app.command()
def conformers(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A SMILES file: one a line, a name may follow.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output: .sdf, .xyz, .extxyz, .db or .npz.")],
    number: Annotated[int, typer.Option("--conformers", "-n", min=1, help="Embed so many, keep the lowest.")] = 1,
    report: Annotated[Path | None, typer.Option(help="CSV of what failed: file, frame (from 0), reason.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what is embedded.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for one molecule.")] = 30.0,
    force: Force = False,
) -> None:
    """Make one conformer of low energy (ETKDGv3, MMFF94s) of every SMILES; `data build` stores them."""
    from collections import Counter

    from ..chemistry.conformers import conformers_of
    from ..data.build import write_report
    from ..errors import InputError
    from ..io import Refusal, format_of, write
    from ..io.smiles import read_smiles
    from .progress import progress

    format_of(output)  # a suffix that belongs to no format is found before the work
    check_targets(output, report, force=force)
    lines = read_smiles(file)
    smiles = [line.smiles for line in lines]
    with progress("embedding", "molecules") as show:
        found = conformers_of(smiles, n_conformers=number, seed=seed, workers=workers, timeout=timeout, progress=show)
    failed = [Refusal(str(file), index, made.reason) for index, made in enumerate(found) if made.reason]
    if report is not None:
        write_report(report, failed)
    if len(failed) == len(found):
        raise InputError(f"{file}: none of {len(found)} SMILES gave a conformer; the first: {failed[0].reason}.")
    made = zip(lines, found, strict=True)
    write(output, (each.molecule(line.smiles, line.name) for line, each in made if not each.reason))
    typer.echo(f"{output}: {len(found) - len(failed):,} conformers, {len(failed):,} failed")
    for reason, count in Counter(refusal.kind for refusal in failed).most_common():
        typer.echo(f"{count:8,}  {reason}")


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE", help="A store.")]) -> None:
    """Check a store's hash and show what it holds: counts, elements, sizes, splits, properties, citation."""
    from ..data.store import MoleculeStore
    from ..data.summary import describe

    store = MoleculeStore.open(file)
    for line in describe(store):
        typer.echo(line)
    typer.echo("the contents match their hash")


def _shares(text: str | None) -> dict[str, float]:
    """Read "train=0.8,valid=0.1" into names and shares."""
    shares: dict[str, float] = {}
    for entry in text.split(",") if text else []:
        name, equals, share = entry.partition("=")
        name = name.strip()
        try:
            if not equals or not name or name in shares:
                raise ValueError
            shares[name] = float(share)
        except ValueError:
            raise UsageError(
                f"--split {text!r}: {entry!r} is not NAME=SHARE with each name once, e.g. train=0.8."
            ) from None
    return shares
