"""`atomweave sample`: grow molecules with a trained model, judge them, write them with what became of each."""

from __future__ import annotations

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
    from ..molecule import Molecule

app = typer.Typer(add_completion=False)


@app.command()
def sample(
    model: Weights,
    out: Annotated[Path, typer.Option("--out", "-o", help="Output: .sdf, .xyz, .extxyz, .db or .npz.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many molecules to begin.")] = 100,
    seed: Seed = 0,
    start: Annotated[
        str, typer.Option(help="First atom: data (as where the model learnt), an element; or the file of a fragment.")
    ] = "data",
    gap: Annotated[float | None, typer.Option(help="Ask for a HOMO-LUMO gap, eV, of a model that knows it.")] = None,
    polarizability: Annotated[float | None, typer.Option(help="Ask for a polarizability, Bohr^3.")] = None,
    n_atoms: Annotated[int | None, typer.Option("--n-atoms", help="Ask for so many atoms.")] = None,
    formula: Annotated[str | None, typer.Option(help="Ask for a composition, e.g. C7H10O2.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Ask for any other property that the model knows.")
    ] = None,
    temperatures: TemperatureSet = "own",
    focus_temperature: FocusTemperature = 1.0,
    position_temperature: PositionTemperature = 1.0,
    tempering: Tempering = "exact",
    max_atoms: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A molecule that has so many and goes on is unfinished; by default 1.2 times the "
            "largest the model learnt from.",
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
) -> None:
    """Grow molecules with a trained model.

    Every attempt is counted, and kept in the file with what became of it. The table at the end says how many finished,
    are valid and are distinct.
    """
    from .asked import range_warnings_as_lines, read_conditions
    from .verdicts import check_needs

    # What can be wrong is found before the work begins.
    judged = check_needs(out, report, drop_invalid)
    check_targets(out, report, json_file, force=force)
    at = temperatures_of(temperatures, focus_temperature, position_temperature, tempering)
    fragment = read_start(start)
    cluster = cluster_of(scheduler, slurm, workers=workers, device=None if device == "cpu" else device)
    check_device(device)
    asked = read_conditions(
        {"gap": gap, "polarizability": polarizability, "n_atoms": n_atoms, "composition": formula}, condition or ()
    )

    from ..growth.grower import grow, largest_given, size_limit
    from ..isolation import answered_by
    from ..models.weights import read_card

    max_atoms = max_atoms or size_limit(read_card(model)[0].largest, largest_given(fragment))
    with answered_by(cluster) as there:
        growing = Growing(model, seed, at, max_atoms, batch, workers, threads, device, there, scheduler or "Slurm")
        with range_warnings_as_lines():
            grown, made = growing.run(partial(grow, n_molecules=number, start=fragment, conditions=asked), number)
        made |= {"start": start, **{f"asked_{name}": value for name, value in asked.items()}}
        hand_over(
            grown, out, f"{number} molecules of {model}", made, judged=judged,
            drop_invalid=drop_invalid, report=report, json_file=json_file, no_table=no_table,
        )  # fmt: skip


def read_start(start: str) -> str | Molecule | None:
    """Return the start that an option names: None for "data", an element's symbol, or the molecule of a file.

    Raises:
        UsageError: if it is none of these, or the file holds several molecules.
    """
    from ..errors import UsageError
    from ..io import read
    from ..species import NUMBERS

    if start == "data":
        return None
    if start in NUMBERS:
        return start
    if not Path(start).exists():
        raise UsageError(f"--start: got {start!r}, wanted data, an element such as H or C, or a file that exists.")
    molecules = read(start)
    if len(molecules) != 1:
        raise UsageError(f"--start: {start} holds {len(molecules)} molecules, wanted a file with one.")
    return molecules[0]
