"""`atomweave models`: what ships trained, each with its card; the presets; and writing weights to ship."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .targets import Force, check_targets

if TYPE_CHECKING:
    from ..models.weights import Card, Figure


class Models(TyperGroup):
    """The commands of `atomweave models`, which tell who asks for weights by their name alone how to see them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a command, or refuse with what was probably meant."""
        from ..errors import UsageError, did_you_mean
        from ..models.weights import shipped_names

        if args[0] in shipped_names():
            raise UsageError(f"there is no command {args[0]!r}; did you mean `atomweave models show {args[0]}`?")
        if args[0] not in self.commands:
            raise UsageError(f"there is no command {args[0]!r}: {did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Models, add_completion=False, invoke_without_command=True)


@app.callback()
def models(context: typer.Context) -> None:
    """List the presets and the weights that ship, with what they reach."""
    if context.invoked_subcommand is not None:
        return
    from ..models.presets import preset_names
    from ..models.weights import read_card, shipped_names

    for name in shipped_names():
        card, _ = read_card(name)
        _say(f"{name}: {card.parameters:,} parameters")
        _say(card.summary, indent="  ")
        _say("; ".join(f"{measure} {_value(figure)}" for measure, figure in card.figures.items()), indent="  ")
        typer.echo()
    _say("Intervals, budgets and how to make them again: atomweave models show NAME.")
    _say(f"Presets to train: {', '.join(preset_names())}.")


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
    force: Force = False,
) -> None:
    """Write weights in half precision with a completed card."""
    import torch

    from ..errors import UsageError, did_you_mean
    from ..models.presets import read_tree
    from ..models.weights import ship_weights

    types = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
    if dtype not in types:
        raise UsageError(f"--dtype: got {dtype!r}; {did_you_mean(dtype, types)}")
    check_targets(out, force=force)
    fields = {} if card is None else read_tree(card)
    shipped = ship_weights(source, out, {"name": out.stem, **fields}, types[dtype])
    typer.echo(f"{out}: {out.stat().st_size / 2**20:.1f} MiB, {shipped.parameters:,} parameters in {dtype}.")


def _say(text: str, indent: str = "") -> None:
    width = min(shutil.get_terminal_size().columns, 120)
    typer.echo(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False))


def _lines(card: Card) -> list[str]:
    lines = [f"{name}: {value}" for name, value in card.model_dump(exclude={"figures"}).items() if value not in ("", 0)]
    return lines + [f"{measure}: {_text(figure)}" for measure, figure in card.figures.items()]


def _text(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.4g} to {figure.high:.4g})"
    counted = "" if figure.n is None else f", n = {figure.n:,}"
    return f"{_value(figure)}{interval}{counted}"


def _value(figure: Figure) -> str:
    return f"{figure.value:.4g}\N{NO-BREAK SPACE}{figure.unit}".rstrip()


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
