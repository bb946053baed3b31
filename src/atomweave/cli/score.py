"""`atomweave score`: one figure a molecule; so far how likely it is under a model, a lower bound in nats."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError, printable

if TYPE_CHECKING:
    from ..evaluation.attempts import Attempts
    from ..models.likelihood import LogLikelihood

app = typer.Typer(add_completion=False)

COLUMNS = (
    "file", "frame", "n_atoms", "log_likelihood", "log_likelihood_per_atom", "standard_error", "effective_orders",
    "orders", "reason",
)  # fmt: skip
"""Of scores.csv; log-likelihoods and their standard error in nats."""


@app.command()
def score(
    files: Annotated[
        list[Path], typer.Argument(help="Files (xyz, extxyz, SDF, db, npz, store) or folders of molecule files.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output: .csv, one row a molecule.")],
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
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Say how likely molecules are under a model: a lower bound on the log-density of each, in nats.

    Bounds compare between models, and between molecules of one size, if they were made with the same number of orders.
    Frames that cannot be read, and molecules without a density, keep their row and say why.
    """
    from .targets import check_targets

    if log_prob is None:
        raise UsageError("there is nothing to score by: name weights with --log-prob, e.g. --log-prob weaver-qm9.")
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out: got {printable(str(out))}, wanted a name that ends in .csv.")
    check_targets(out, force=force)

    from ..evaluation.reading import read_attempts
    from ..memory import keep_freed_memory
    from ..models.likelihood import BATCH, log_likelihood
    from ..models.weights import load_model
    from .progress import progress
    from .sample import check_device

    check_device(device)
    keep_freed_memory()
    model = load_model(log_prob, device)
    read = [(path, read_attempts(path, format_, number)) for path in files]
    molecules = [molecule for _, attempts in read for molecule in attempts.molecules if molecule is not None]
    with progress("scoring", "molecules") as show:
        scores = log_likelihood(model, molecules, orders, seed, batch or BATCH, show)
    _write(out, read, scores)
    n_unread = sum(len(attempts) for _, attempts in read) - len(molecules)
    for line in _summary(scores, log_prob, n_unread):
        print(line)
    print(printable(str(out)), file=sys.stderr)


def _write(out: Path, read: list[tuple[Path, Attempts]], scores: list[LogLikelihood]) -> None:
    from ..evaluation.outputs import csv_cell
    from ..files import write_atomic

    following = iter(scores)
    with write_atomic(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for path, attempts in read:
            for molecule, label, detail in zip(attempts.molecules, attempts.labels, attempts.details, strict=True):
                place = _place(path, label)
                row: tuple[object, ...]
                if molecule is None:
                    row = (*place, *[None] * (len(COLUMNS) - 3), detail)
                else:
                    found = next(following)
                    row = (
                        *place, found.n_atoms, found.bound, found.per_atom, found.standard_error,
                        found.effective_orders, found.n_orders, found.reason,
                    )  # fmt: skip
                rows.writerow([csv_cell(value) for value in row])


def _place(path: Path, label: str) -> tuple[str, int]:
    """Return file and frame of an attempt that was read from `path`, a file or a folder of files."""
    name, _, frame = label.rpartition(", frame ")
    if not (name and frame.isdigit()):  # the first frame of a file in a folder goes without, whatever the file's name
        name, frame = label, "0"
    return str(path / name if path.is_dir() else path), int(frame)


def _summary(scores: list[LogLikelihood], model: str, n_unread: int) -> list[str]:
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
    if n_unread:
        lines.append(f"{_counted(n_unread, 'frame')} cannot be read.")
    return lines


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
