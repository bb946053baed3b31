"""`atomweave sample`: grow molecules with a trained model, judge them, write them with what became of each."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..evaluation.headline import Headline
    from ..models.base import Temperatures
    from ..molecule import Molecule

app = typer.Typer(add_completion=False)


@app.command()
def sample(
    model: Annotated[str, typer.Argument(help="Weights that ship, e.g. symphony-qm9, or a weights file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output: .sdf, .xyz, .extxyz, .db or .npz.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many molecules to begin.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes on the same machine.")] = 0,
    start: Annotated[
        str, typer.Option(help="First atom: data (as where the model learnt), an element; or the file of a fragment.")
    ] = "data",
    focus_temperature: Annotated[float, typer.Option(help="Of focus, element and STOP; 1 is the model's own.")] = 1.0,
    position_temperature: Annotated[float, typer.Option(help="Of the position; 1 is the model's own.")] = 1.0,
    tempering: Annotated[
        str, typer.Option(help="Of the position: exact, or coefficients as in the published figures.")
    ] = "exact",
    max_atoms: Annotated[
        int | None,
        typer.Option(
            min=1, help="A molecule with so many that goes on is unfinished; default: 1.2 x the largest taught."
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Fragments that the model sees at a time.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, by default one a CPU; they change no byte.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Write valid molecules only.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write one offline page: molecules to turn, table.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the table as JSON.")] = None,
    no_table: Annotated[bool, typer.Option("--no-table", help="Print no table.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Grow molecules with a trained model.

    Every attempt is counted, and kept in the file with what became of it. The table at the end says how many finished,
    are valid and are distinct.
    """
    from .targets import check_targets
    from .verdicts import assess_attempts, check_needs, flagged, headline_of, write_molecules

    # What can be wrong is found before the work begins.
    judged = check_needs(out, report, drop_invalid)
    check_targets(out, report, json_file, force=force)
    temperatures = _temperatures(focus_temperature, position_temperature, tempering)
    fragment = read_start(start)
    check_device(device)

    from ..growth.grower import BLOCK, grow, size_limit
    from ..isolation import available_cpus
    from ..memory import keep_freed_memory
    from ..models.weights import read_card
    from .progress import progress

    keep_freed_memory()
    max_atoms = max_atoms or size_limit(read_card(model)[0].largest)
    n_processes = min(workers or (available_cpus() if device == "cpu" else 1), -(-number // BLOCK))
    began = time.perf_counter()
    with progress("growing", "molecules") as show:
        grown = grow(
            model, number, seed, temperatures=temperatures, start=fragment, max_atoms=max_atoms, slots=batch,
            device=device, workers=n_processes, threads=threads, progress=show,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    made = {
        "weights": model, "seed": seed, "start": start, **temperatures.model_dump(), "max_atoms": max_atoms,
        "seconds": round(seconds, 2), "molecules_per_second": round(number / seconds, 2), "device": device,
        "processes": n_processes, "threads": threads,
    }  # fmt: skip
    verdicts = assess_attempts(grown) if judged else None
    headline = headline_of(grown, verdicts)
    try:
        n_written = write_molecules(out, flagged(grown, verdicts), verdicts, drop_invalid)
        print(f"{out}: {n_written} molecules.", file=sys.stderr)
        if report is not None and verdicts is not None:
            from ..evaluation.report import write_report

            write_report(report, verdicts, headline, f"{number} molecules of {model}", made)
        if json_file is not None:
            _write_json(json_file, headline, made)
    finally:
        # Also where a file could not be written: the figures of long growing shall not be lost with it.
        if not no_table:
            _print_table(headline, made, judged)


def _write_json(path: Path, headline: Headline, made: dict[str, Any]) -> None:
    from ..files import write_atomic

    with write_atomic(path) as temporary:
        temporary.write_text(json.dumps(headline.as_dict() | {"made": made}, indent=2) + "\n", encoding="utf-8")


def _print_table(headline: Headline, made: dict[str, Any], judged: bool) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(headline.as_table())
    console.print(
        f"{made['molecules_per_second']:.2f} molecules/s ({made['seconds']:.1f} s with loading; {made['device']}, "
        f"processes {made['processes']}, threads each {made['threads']})",
        highlight=False,
    )
    if not judged:
        console.print(
            "Whether they are valid and unique needs RDKit: pip install 'atomweave\\[eval]'.", highlight=False
        )


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


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises:
        UsageError: with torch's own reason.
    """
    import torch

    from ..errors import UsageError

    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UsageError(f"--device: {name!r} cannot be used here ({reason}); cpu always can.") from None


def _temperatures(focus: float, position: float, tempering: str) -> Temperatures:
    from ..models.base import Temperatures
    from ..models.presets import check

    return check({"focus": focus, "position": position, "tempering": tempering}, Temperatures, "temperature")
