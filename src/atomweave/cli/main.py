"""The `atomweave` command: names its verbs, imports only the one that is called, turns errors into one sentence.

torch and RDKit take the better part of a second each to import. So the verbs are listed here with their help, and the
file `cli/<verb>.py` is imported when its verb is called; `atomweave --help` stays under 0.3 s.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import AtomweaveError, UsageError, did_you_mean
from ..extensions import load_extensions

INTERRUPTED = 5
BAD_INPUT = 3
TYPERS_INTERRUPT = 130
"""Typer itself turns Ctrl-C inside a command into this status."""

VERBS = {
    "data": "Build, fetch and inspect stores of molecules.",
    "train": "Teach a model from a store; run again to resume.",
    "sample": "Grow molecules with a trained model.",
    "complete": "Grow what is missing of given fragments.",
    "evaluate": "Judge molecules, anybody's, beside data and published figures.",
    "score": "Calculate properties of molecules, or how likely they are.",
    "discover": "Find molecules with a property: fine-tune, grow, score, repeat.",
    "models": "List presets and the weights that ship.",
}
"""Every verb with its line of help. Each lives in `cli/<verb>.py`, which holds a Typer `app`."""


class LazyGroup(TyperGroup):
    """A command group whose commands are known by name and imported when called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order in which a user meets them."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in that carries the line of help, for listings and shell completion."""
        if cmd_name not in VERBS:
            return None
        return TyperCommand(name=cmd_name, help=VERBS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the verb that is really called."""
        verb, *rest = args
        if verb not in VERBS:
            raise UsageError(f"there is no verb {verb!r}: {did_you_mean(verb, VERBS)}")
        load_extensions()
        app: typer.Typer = importlib.import_module(f"{__package__}.{verb}").app
        return verb, typer.main.get_command(app), rest


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback, which people can search for
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"atomweave {version('atomweave')}")
        raise typer.Exit


@app.callback()
def _atomweave(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    """Grow 3D molecules atom by atom.

    Exit status: 0 done, 2 usage, 3 bad input, 4 refused file, 5 interrupted or incomplete.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; errors that a user can meet become one sentence on stderr.

    Args:
        arguments: what follows `atomweave`; the process's own arguments by default.
    """
    # OpenMP's idle threads spin by default: beside another busy process that made training up to ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    try:
        status = command.main(arguments, prog_name="atomweave", standalone_mode=False)
    except AtomweaveError as error:
        return _fail(str(error), error.exit_status)
    except typer.TyperException as error:  # a wrong option, a missing argument ...
        return _fail(error.format_message(), error.exit_code)
    except OSError as error:
        from ..files import NO_ROOM

        if error.errno in NO_ROOM:
            return _fail(f"{error.filename or 'writing'}: {error.strerror}; make room and run it again.", INTERRUPTED)
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror or error}.", BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted.", INTERRUPTED)
    if status == TYPERS_INTERRUPT:
        return _fail("interrupted.", INTERRUPTED)
    return status or 0


def _fail(sentence: str, status: int) -> int:
    if sentence:  # empty where a group of verbs without a verb has shown its help
        print(f"error: {sentence}", file=sys.stderr)
    return status


def main() -> None:
    """Entry point of the `atomweave` command."""
    sys.exit(run())
