"""What all verbs that grow molecules share: their options, and what they hand over in the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import printable

if TYPE_CHECKING:
    from ..evaluation.headline import Headline
    from ..growth.grower import Grown
    from ..isolation import Executor
    from ..models.base import Temperatures

Weights = Annotated[str, typer.Argument(help="Weights that ship, e.g. symphony-qm9, or a weights file.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same bytes on the same machine.")]
FocusTemperature = Annotated[float, typer.Option(help="Of focus, element and STOP; 1 is the model's own.")]
PositionTemperature = Annotated[float, typer.Option(help="Of the position; 1 is the model's own.")]
Tempering = Annotated[str, typer.Option(help="Of the position: exact, or coefficients as in the published figures.")]
TemperatureSet = Annotated[
    str, typer.Option(help="own: the model's own distribution; published: what G-SphereNet's figures were made at.")
]
Batch = Annotated[int | None, typer.Option(min=1, help="Fragments that the model sees at a time.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU; they change no byte.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each process.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")]
DropInvalid = Annotated[bool, typer.Option("--drop-invalid", help="Write valid molecules only.")]
Report = Annotated[Path | None, typer.Option(help="Also write one offline page: molecules to turn, table.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the table as JSON.")]
NoTable = Annotated[bool, typer.Option("--no-table", help="Print no table.")]


@dataclass(frozen=True)
class Growing:
    """How a command grows molecules: what its options say."""

    model: str
    seed: int
    temperatures: Temperatures
    max_atoms: int | None
    batch: int | None
    workers: int | None
    threads: int
    device: str
    executor: Executor | None = None
    place: str = ""  # what the executor works on, for tables and reports

    def run(self, grow: Callable[..., Grown], number: int) -> tuple[Grown, dict[str, Any]]:
        """Grow `number` molecules and show how far it is.

        Args:
            grow: called with the model and the options of `growth.grower.grow`.
            number: how many attempts that makes.

        Returns:
            What was grown, and how it was made, for tables, reports and JSON.
        """
        from ..growth.grower import BLOCK
        from ..isolation import available_cpus
        from ..memory import keep_freed_memory
        from .progress import progress

        keep_freed_memory()
        processes = min(self.workers or (available_cpus() if self.device == "cpu" else 1), -(-number // BLOCK))
        where: dict[str, Any] = {"workers": processes} if self.executor is None else {"executor": self.executor}
        began = time.perf_counter()
        with progress("growing", "molecules") as show:
            grown = grow(
                self.model, seed=self.seed, temperatures=self.temperatures, max_atoms=self.max_atoms,
                slots=self.batch, device=self.device, threads=self.threads, progress=show, **where,
            )  # fmt: skip
        seconds = time.perf_counter() - began
        return grown, {
            "weights": self.model, "seed": self.seed, **self.temperatures.model_dump(exclude_none=True),
            "max_atoms": self.max_atoms, "seconds": round(seconds, 2),
            "molecules_per_second": round(number / seconds, 2), "device": self.device,
            **({"processes": processes} if self.executor is None else {"cluster": self.place}),
            "threads": self.threads,
        }  # fmt: skip


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


def temperatures_of(named: str, focus: float, position: float, tempering: str) -> Temperatures:
    """Return the temperatures that the options name; those of a set stay where no option speaks of them.

    Raises:
        UsageError: if there is no such set, one is not positive, or there is no such tempering.
    """
    from ..errors import UsageError, did_you_mean
    from ..models.base import TEMPERATURES, Temperatures
    from ..models.presets import check

    if named not in TEMPERATURES:
        raise UsageError(f"--temperatures: there are none called {named!r}; {did_you_mean(named, TEMPERATURES)}")
    options = {"focus": focus, "position": position, "tempering": tempering}
    return check(TEMPERATURES[named].model_dump() | options, Temperatures, "temperature")


def hand_over(
    grown: Grown,
    out: Path,
    title: str,
    made: Mapping[str, Any],
    *,
    judged: bool,
    drop_invalid: bool = False,
    report: Path | None = None,
    json_file: Path | None = None,
    no_table: bool = False,
) -> None:
    """Judge grown molecules, write them with their verdicts, and print the table.

    Args:
        grown: every attempt.
        out: file of the molecules.
        title: of the report.
        made: how they were made, for report and JSON; "seconds", "molecules_per_second", "device", "processes" or
            "cluster", and "threads" stand under the table.
        judged: whether RDKit is there.
        drop_invalid: write valid molecules only.
        report: file of the page, if any.
        json_file: file of the table, if any.
        no_table: print none.
    """
    from .verdicts import assess_attempts, flagged, headline_of, write_molecules

    verdicts = assess_attempts(grown) if judged else None
    headline = headline_of(grown, verdicts)
    try:
        n_written = write_molecules(out, flagged(grown, verdicts), verdicts, drop_invalid)
        print(f"{out}: {n_written} molecules.", file=sys.stderr)
        if report is not None and verdicts is not None:
            from ..evaluation.report import write_report

            write_report(report, verdicts, headline, title, dict(made))
        if json_file is not None:
            write_json(json_file, headline.as_dict() | {"made": dict(made)})
    finally:
        # Also where a file could not be written: the figures of long growing shall not be lost with it.
        if not no_table:
            _print_table(headline, made, judged)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write figures as JSON, the whole file or nothing."""
    from ..files import write_atomic

    with write_atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def speed_line(made: Mapping[str, Any]) -> str:
    """Return how fast it went, and on what."""
    where = f"processes {made['processes']}" if "processes" in made else printable(made["cluster"])
    return (
        f"{made['molecules_per_second']:.2f} molecules/s ({made['seconds']:.1f} s with loading; {made['device']}, "
        f"{where}, threads each {made['threads']})"
    )


def _print_table(headline: Headline, made: Mapping[str, Any], judged: bool) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(headline.as_table())
    console.print(speed_line(made), highlight=False)
    if not judged:
        console.print(
            "Whether they are valid and unique needs RDKit: pip install 'atomweave\\[eval]'.", highlight=False
        )
