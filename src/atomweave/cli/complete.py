"""`atomweave complete`: grow what is missing of given fragments, or measure how well a model does that."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cluster import Scheduler, Slurm, cluster_of
from .growing import (
    Batch,
    Device,
    DropInvalid,
    FocusTemperature,
    Growing,
    JsonFile,
    NoTable,
    PositionTemperature,
    Report,
    Seed,
    TemperatureSet,
    Tempering,
    Threads,
    Weights,
    Workers,
    check_device,
    hand_over,
    temperatures_of,
)
from .targets import Force, check_targets

if TYPE_CHECKING:
    from ..growth.grower import Grown
    from ..molecule import Molecule

app = typer.Typer(add_completion=False)

N_EACH = 100
BENCHMARK_MOLECULES = 1000


@app.command()
def complete(
    model: Weights,
    fragments: Annotated[
        list[Path] | None, typer.Argument(help="Files of fragments, of any format that is read; every frame is one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Output: .sdf, .xyz, .extxyz, .db or .npz.")] = None,
    number: Annotated[
        int | None, typer.Option("--number", "-n", min=1, help="Attempts on each fragment; 100 by default.")
    ] = None,
    site: Annotated[
        list[int] | None,
        typer.Option(help="An atom that may get new neighbours, counted from 0; repeat it for more; by default any."),
    ] = None,
    sites_smarts: Annotated[
        str | None, typer.Option(help="The same by a SMARTS pattern: all atoms that match, or those with map numbers.")
    ] = None,
    remove_hydrogens: Annotated[
        bool, typer.Option("--remove-hydrogens", help="Make room: remove the hydrogens bonded to the sites first.")
    ] = False,
    seed: Seed = 0,
    temperatures: TemperatureSet = "own",
    focus_temperature: FocusTemperature = 1.0,
    position_temperature: PositionTemperature = 1.0,
    tempering: Tempering = "exact",
    max_atoms: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A molecule that has so many and goes on is unfinished; by default 1.2 times the largest the model "
            "learnt from, or 20 more than the largest fragment has.",
        ),
    ] = None,
    batch: Batch = None,
    workers: Workers = None,
    threads: Threads = 1,
    device: Device = "cpu",
    scheduler: Scheduler = None,
    slurm: Slurm = None,
    drop_invalid: DropInvalid = False,
    report: Report = None,
    json_file: JsonFile = None,
    no_table: NoTable = False,
    force: Force = False,
    benchmark: Annotated[
        str | None,
        typer.Option(help="Instead of fragments: symphony-table-5.4 (every hydrogen in turn), methyl, ring, scaffold."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Of the benchmark: the store whose splits it takes.")] = None,
    molecules: Annotated[
        int | None, typer.Option(min=1, help="Of the benchmark: molecules of each split; 1,000 by default.")
    ] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Of the benchmark: give the atoms in a random order.")
    ] = False,
) -> None:
    """Grow what is missing of given fragments.

    The given atoms come first in every molecule, in the order and at the positions given. Which order they are given
    in does not matter. Every attempt is counted and kept in the file, as `atomweave sample` does it.
    """
    from ..errors import UsageError
    from ..isolation import answered_by
    from .verdicts import check_needs

    # What can be wrong is found before the work begins.
    at = temperatures_of(temperatures, focus_temperature, position_temperature, tempering)
    cluster = cluster_of(scheduler, slurm, workers=workers, device=None if device == "cpu" else device)
    growing = Growing(model, seed, at, max_atoms, batch, workers, threads, device, place=scheduler or "Slurm")
    of_benchmark = {"--data": data is not None, "--molecules": molecules is not None, "--shuffle": shuffle}
    of_fragments = {
        "FRAGMENTS": bool(fragments), "--out": out is not None, "--number": number is not None, "--site": bool(site),
        "--sites-smarts": sites_smarts is not None, "--remove-hydrogens": remove_hydrogens,
        "--report": report is not None, "--drop-invalid": drop_invalid,
    }  # fmt: skip
    strangers = [name for name, told in (of_fragments if benchmark else of_benchmark).items() if told]
    if strangers:
        belongs = "not with --benchmark" if benchmark else "only with --benchmark"
        raise UsageError(f"{', '.join(strangers)}: {belongs}.")
    check_targets(out, report, json_file, force=force)
    if benchmark is not None:
        from .completion_benchmark import run_benchmark

        with answered_by(cluster) as there:
            growing = replace(growing, executor=there)
            run_benchmark(growing, benchmark, data, molecules or BENCHMARK_MOLECULES, shuffle, json_file, no_table)
        return
    if not fragments or out is None:
        missing = "FRAGMENTS: got none, wanted one file or more" if not fragments else "--out: wanted a file to write"
        raise UsageError(f"{missing}; or name a --benchmark.")
    judged = check_needs(out, report, drop_invalid)
    given, sources = _read(fragments)
    sites = _sites(given, sources, site, sites_smarts)
    check_device(device)

    from ..growth.completion import complete as complete_fragments

    n_each = number or N_EACH
    begin = partial(complete_fragments, fragments=given, n=n_each, sites=sites, remove_hydrogens=remove_hydrogens)
    with answered_by(cluster) as there:
        grown, made = replace(growing, executor=there).run(begin, n_each * len(given))
        made |= {
            "fragments": sources, "attempts_each": n_each, "sites": sites_smarts or site,
            "remove_hydrogens": remove_hydrogens,
        }  # fmt: skip
        hand_over(
            _with_sources(grown, sources), out, f"Completions by {model}", made, judged=judged,
            drop_invalid=drop_invalid, report=report, json_file=json_file, no_table=no_table,
        )  # fmt: skip


def _read(paths: list[Path]) -> tuple[list[Molecule], list[str]]:
    """Return all frames of all files, and for each the name of its file and its place there, from 0."""
    from ..io import read

    fragments, sources = [], []
    for path in paths:
        frames = read(path)
        fragments += frames
        sources += [f"{path.name} {frame}" if len(frames) > 1 else path.name for frame in range(len(frames))]
    return fragments, sources


def _sites(
    fragments: list[Molecule], sources: list[str], site: list[int] | None, smarts: str | None
) -> list[int] | list[tuple[int, ...]] | None:
    """Return the sites that the options name: for all fragments alike, or for each by a pattern.

    Raises:
        UsageError: if both options are given, the pattern is none, or nothing matches it.
        InputError: if a fragment's bond orders cannot be found.
    """
    from ..chemistry.smarts import matching_atoms
    from ..errors import InputError, UsageError

    if smarts is None:
        return site or None
    if site:
        raise UsageError("--site and --sites-smarts: got both, wanted one of them.")
    found = []
    for fragment, source in zip(fragments, sources, strict=True):
        try:
            atoms = matching_atoms(fragment, smarts)
        except (InputError, UsageError) as error:
            raise type(error)(f"--sites-smarts, {source}: {error}") from None
        if not atoms:
            raise UsageError(f"--sites-smarts, {source}: no atom of {fragment.formula} matches {smarts!r}.")
        found.append(atoms)
    return found


def _with_sources(grown: Grown, sources: list[str]) -> Grown:
    """Return the same attempts, their molecules with the name of the fragment that they grew from."""
    from ..growth.grower import Grown

    attempts = []
    for attempt in grown.attempts:
        told = attempt.molecule.properties
        molecule = replace(attempt.molecule, properties={**told, "source": sources[told["fragment"]]})
        attempts.append(replace(attempt, molecule=molecule))
    return Grown(attempts)
