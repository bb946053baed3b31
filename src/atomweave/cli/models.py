"""`atomweave models`: what ships trained, each with its card; the presets; and writing weights to ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.weights import Card, Figure

app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def models(context: typer.Context) -> None:
    """List the presets and the weights that ship, with what they reach."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from ..models.presets import preset_names
    from ..models.weights import read_card, shipped_names

    table = Table("weights", "parameters", "data", "budget", "reaches", title="Trained weights")
    for name in shipped_names():
        card, _ = read_card(name)
        figures = "\n".join(f"{measure} {_text(figure)}" for measure, figure in card.figures.items())
        table.add_row(name, f"{card.parameters:,}", card.data, card.budget, figures)
    console = Console()
    console.print(table if table.rows else "No weights ship with this version.")
    console.print(f"Presets to train: {', '.join(preset_names())}.", highlight=False)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Weights that ship, or a weights file.")]) -> None:
    """Show the card and the configuration of weights."""
    from ..models.presets import to_yaml
    from ..models.weights import read_card

    card, config = read_card(name)
    for line in _lines(card):
        typer.echo(line)
    typer.echo(f"\nmodel:\n{_indented(to_yaml(config))}")


@app.command()
def ship(
    source: Annotated[Path, typer.Argument(help="Weights of a run, e.g. runs/a/best.safetensors.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to, e.g. src/atomweave/weights/symphony-qm9.safetensors.")
    ],
    card: Annotated[
        Path | None, typer.Option(help="YAML with fields of the card: summary, budget, figures ...")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float16, bfloat16 or float32.")] = "float16",
) -> None:
    """Write weights in half precision with a completed card."""
    import torch

    from ..errors import UsageError, did_you_mean
    from ..models.presets import read_tree
    from ..models.weights import ship_weights

    types = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
    if dtype not in types:
        raise UsageError(f"--dtype: got {dtype!r}; {did_you_mean(dtype, types)}")
    fields = {} if card is None else read_tree(card)
    shipped = ship_weights(source, out, {"name": out.stem, **fields}, types[dtype])
    typer.echo(f"{out}: {out.stat().st_size / 2**20:.1f} MiB, {shipped.parameters:,} parameters in {dtype}.")


def _lines(card: Card) -> list[str]:
    lines = [f"{name}: {value}" for name, value in card.model_dump(exclude={"figures"}).items() if value not in ("", 0)]
    return lines + [f"{measure}: {_text(figure)}" for measure, figure in card.figures.items()]


def _text(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.4g} to {figure.high:.4g})"
    counted = "" if figure.n is None else f", n = {figure.n:,}"
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.value:.4g}{unit}{interval}{counted}"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
