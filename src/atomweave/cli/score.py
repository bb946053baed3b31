"""`atomweave score`: figures a molecule: properties by quantum chemistry, how likely it is under a model, or both."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError, printable
from .cluster import Scheduler, Slurm
from .targets import Force, check_targets

if TYPE_CHECKING:
    from ..evaluation.attempts import Attempts
    from ..models.base import Model
    from ..models.likelihood import LogLikelihood
    from ..molecule import Molecule
    from ..properties.scoring import Score
    from .property_scores import PropertyScoring

app = typer.Typer(add_completion=False)

PLACE = ("file", "frame", "n_atoms")
LIKELIHOOD = (
    "log_likelihood", "log_likelihood_per_atom", "standard_error", "effective_orders", "orders", "reason",
)  # fmt: skip
"""Columns of --log-prob; log-likelihoods and their standard error in nats."""
COLUMNS = (*PLACE, *LIKELIHOOD)


@app.command()
def score(
    files: Annotated[
        list[Path], typer.Argument(help="Files (xyz, extxyz, SDF, db, npz, store) or folders of molecule files.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output: .csv, one row a molecule.")],
    property_: Annotated[
        str | None,
        typer.Option("--property", help="Of gap, homo, lumo, energy (eV), dipole (D), polarizability (Bohr^3)."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="FUNCTIONAL/BASIS or gfn2-xtb; by default b3lyp/6-31g(2df,p), QM9's own.")
    ] = None,
    relax: Annotated[bool, typer.Option("--relax", help="At the method's nearest minimum.")] = False,
    relax_by: Annotated[str | None, typer.Option(help="At the nearest minimum of this method, e.g. gfn2-xtb.")] = None,
    relaxed_out: Annotated[
        Path | None, typer.Option(help="Also write the molecules at their minima: .sdf, .xyz, .extxyz, .db or .npz.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="What is known is kept here; by default beside --out, as .sqlite.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what ran out of time or memory.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for one molecule; by default by method.")] = None,
    memory: Annotated[float | None, typer.Option(help="GiB of address space for one process; 8 by default.")] = None,
    scheduler: Scheduler = None,
    slurm: Slurm = None,
    log_prob: Annotated[
        str | None, typer.Option("--log-prob", help="Weights that ship, e.g. weaver-qm9, or a weights file.")
    ] = None,
    orders: Annotated[
        int, typer.Option(min=1, help="Orders of growth drawn for each molecule; more make the bound tighter.")
    ] = 16,
    seed: Annotated[int, typer.Option(help="Draws the orders.")] = 0,
    format_: Annotated[str | None, typer.Option("--format", help="Format of the files, if not by suffix.")] = None,
    number: Annotated[int | None, typer.Option("--number", "-n", min=1, help="Only the first so many of each.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Orders that the model sees at a time.")] = None,
    device: Annotated[str, typer.Option(help="Of --log-prob: cpu, cuda, cuda:1 ...")] = "cpu",
    force: Force = False,
) -> None:
    """Calculate properties of molecules (--property), or say how likely they are under a model (--log-prob), or both.

    What is calculated is stored at once: run an interrupted command again and it goes on. Frames that cannot be read,
    and molecules without a figure, keep their row and say why. Log-likelihoods are lower bounds in nats; they compare
    between models, and between molecules of one size, if they were made with the same number of orders.
    """
    from .property_scores import Asked, PropertyScoring

    asked = Asked(
        property_, method, relax, relax_by, results, retry, workers, timeout, memory, scheduler, slurm, relaxed_out
    )  # fmt: skip
    asked.refuse_idle()
    if log_prob is None and property_ is None:
        raise UsageError(
            "there is nothing to score by: name properties with --property, e.g. --property gap,energy, or weights "
            "with --log-prob, e.g. --log-prob weaver-qm9."
        )
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out: got {printable(str(out))}, wanted a name that ends in .csv.")
    check_targets(out, relaxed_out, force=force)
    calculating = None if property_ is None else PropertyScoring.of(asked, out)
    likely = None if log_prob is None else _model(log_prob, device)

    from ..evaluation.reading import read_attempts

    read = [(path, read_attempts(path, format_, number)) for path in files]
    molecules = [molecule for _, attempts in read for molecule in attempts.molecules if molecule is not None]
    likelihoods = None if likely is None else _likelihoods(likely, molecules, orders, seed, batch)
    scores = None if calculating is None else calculating.run(molecules)
    places = _write(out, read, likelihoods, calculating, scores)
    if likelihoods is not None:
        print(*_summary(likelihoods, str(log_prob)), sep="\n")
    if calculating is not None and scores is not None:
        print(*calculating.summary(scores, places), sep="\n")
        if said := calculating.write_minima(scores, places):
            print(said, file=sys.stderr)
    n_unread = sum(len(attempts) for _, attempts in read) - len(molecules)
    if n_unread:
        print(f"{_counted(n_unread, 'frame')} cannot be read.")
    print(printable(str(out)), file=sys.stderr)


def _model(weights: str, device: str) -> Model:
    from ..memory import keep_freed_memory
    from ..models.weights import load_model
    from .growing import check_device

    check_device(device)
    keep_freed_memory()
    return load_model(weights, device)


def _likelihoods(
    model: Model, molecules: list[Molecule], orders: int, seed: int, batch: int | None
) -> list[LogLikelihood]:
    from ..models.likelihood import BATCH, log_likelihood
    from .progress import progress

    with progress("scoring", "molecules") as show:
        return log_likelihood(model, molecules, orders, seed, batch or BATCH, show)


def _write(
    out: Path,
    read: list[tuple[Path, Attempts]],
    likelihoods: list[LogLikelihood] | None,
    calculating: PropertyScoring | None,
    scores: list[Score] | None,
) -> list[str]:
    """Write one row an attempt; return where each molecule stands, file and frame."""
    from ..evaluation.outputs import csv_cell
    from ..files import write_atomic

    likely, calculated, places = iter(likelihoods or ()), iter(scores or ()), []
    header: list[str] = [*PLACE]
    if likelihoods is not None:
        header += LIKELIHOOD
    if calculating is not None:  # one name for the reasons of each part
        header += calculating.columns("reason" if likelihoods is None else "property_reason")
    with write_atomic(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(header)
        for path, attempts in read:
            for molecule, label, detail in zip(attempts.molecules, attempts.labels, attempts.details, strict=True):
                name, frame = _place(path, label)
                row: list[Any] = [name, frame, None if molecule is None else len(molecule)]
                if likelihoods is not None:
                    row += _likelihood_cells(None if molecule is None else next(likely), detail)
                if calculating is not None:
                    row += calculating.cells(None if molecule is None else next(calculated), detail)
                rows.writerow([csv_cell(value) for value in row])
                if molecule is not None:
                    places.append(printable(f"{name}, frame {frame}"))
    return places


def _likelihood_cells(found: LogLikelihood | None, unread: str) -> tuple[Any, ...]:
    if found is None:
        return (*[None] * (len(LIKELIHOOD) - 1), unread)
    return found.bound, found.per_atom, found.standard_error, found.effective_orders, found.n_orders, found.reason


def _place(path: Path, label: str) -> tuple[str, int]:
    """Return file and frame of an attempt that was read from `path`, a file or a folder of files."""
    name, _, frame = label.rpartition(", frame ")
    if not (name and frame.isdigit()):  # the first frame of a file in a folder goes without, whatever the file's name
        name, frame = label, "0"
    return str(path / name if path.is_dir() else path), int(frame)


def _summary(scores: list[LogLikelihood], model: str) -> list[str]:
    """Return the lines that say how likely the molecules are together, and how many have no density."""
    import numpy as np

    from ..evaluation.bootstrap import percentile_interval

    likely = [found for found in scores if not found.reason]
    lines = []
    if likely:
        per_atom = np.array([found.per_atom for found in likely])
        interval = percentile_interval(per_atom, np.mean)
        between = "" if interval is None else f" (95 % {interval[0]:.3f} to {interval[1]:.3f})"
        each = np.mean([found.bound for found in likely])
        lines.append(
            f"{model}: log-likelihood at least {per_atom.mean():.3f} nats per atom{between}, {each:.2f} nats per "
            f"molecule, means over {_counted(len(likely), 'molecule')}; orders each: {likely[0].n_orders}."
        )
    for reason, count in Counter(found.reason for found in scores if found.reason).most_common():
        lines.append(f"{_counted(count, 'molecule')} without a density, left out of the means: {printable(reason)}.")
    return lines


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
