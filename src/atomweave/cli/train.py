"""`atomweave train`: teach a model from a store; run the same command again to resume."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.base import Model

INCOMPLETE = 5

app = typer.Typer(add_completion=False)


@app.command()
def train(
    preset: Annotated[str, typer.Argument(help="A preset, such as symphony or weaver-small, or your own YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.path=value ...", metavar="[KEY.PATH=VALUE]...")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Store made by `atomweave data`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; where it holds one, that is resumed.")] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long, with exit status 5.")] = None,
    init_from: Annotated[str | None, typer.Option(help="Begin with these weights: a shipped name or a file.")] = None,
    transfer_from: Annotated[
        str | None,
        typer.Option(help="Begin with what fits of these weights: other elements, another part. Says what does not."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the configuration as YAML and stop.")
    ] = False,
) -> None:
    """Teach a model. Ctrl-C and SIGTERM write a checkpoint first; exit status 5 says that steps are left."""
    from ..errors import UsageError
    from ..memory import keep_freed_memory

    keep_freed_memory()  # before torch allocates anything
    from ..models.presets import to_yaml
    from ..training.config import load_config

    config = load_config(preset, overrides or [])
    if print_config:
        typer.echo(to_yaml(config), nl=False)
        return
    if data is None or out is None:
        missing = "--data" if data is None else "--out"
        raise UsageError(f"{missing} is missing: atomweave train {preset} --data qm9.safetensors --out runs/a.")

    if init_from is not None and transfer_from is not None:
        raise UsageError("--init-from and --transfer-from: a run begins with the weights of one of them.")

    from ..data.store import MoleculeStore
    from ..growth.grower import size_limit
    from ..training.distributed import joined
    from ..training.loop import train as run
    from ..training.validation import split_indices

    with joined(config.training.device) as processes:
        store = MoleculeStore.open(data)
        taught = split_indices(store, config.training.train_split, "train_split")
        sampler = functools.partial(judge_samples, max_atoms=size_limit(int(store.sizes[taught].max(initial=0))))
        outcome = run(
            config,
            store,
            out,
            sampler=sampler if config.training.samples_every is not None else None,
            max_minutes=max_minutes,
            init_from=init_from if transfer_from is None else transfer_from,
            transferred=transfer_from is not None,
            data_name=data.name,
            processes=processes,
        )
    if not processes.leads:
        return
    best = (
        ""
        if outcome.best is None
        else f" The best weights, of step {outcome.best.step}, are in {out}/best.safetensors."
    )
    typer.echo(f"Step {outcome.step} of {config.training.n_steps}: {outcome.reason}.{best}", err=True)
    if not outcome.finished:
        typer.echo("Run the same command again to go on.", err=True)
        raise typer.Exit(INCOMPLETE)


def judge_samples(model: Model, n_molecules: int, seed: int, max_atoms: int | None = None) -> dict[str, float]:
    """Grow molecules and return their headline figures as shares of all attempts.

    Where RDKit is not installed, what is left is look-up stability.
    """
    from ..evaluation.headline import judge
    from ..evaluation.stability import stability
    from ..growth.grower import grow
    from ..isolation import available_cpus

    n_workers = available_cpus() if model.device.type == "cpu" else 1
    attempts = grow(model, n_molecules, seed=seed, max_atoms=max_atoms, workers=n_workers).attempts
    if find_spec("rdkit") is None:
        finished = [attempt.molecule for attempt in attempts if attempt.finished]
        n_stable = int(stability(finished).molecule_stable.sum()) if finished else 0
        return {"finished": len(finished) / n_molecules, "molecule_stable": n_stable / n_molecules}
    headline = judge([attempt.molecule for attempt in attempts], [attempt.finished for attempt in attempts])
    shares = {measure.name: measure.value for measure in headline.measures if measure.kind == "share"}
    low, high = headline["valid"].interval or (0.0, 1.0)
    return shares | {"valid_low": low, "valid_high": high}
