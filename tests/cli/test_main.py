from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from atomweave.cli import main as cli
from atomweave.errors import InputError, RefusedFileError, UsageError


@pytest.fixture
def verb(monkeypatch):
    """Add a verb `probe` whose command raises what it is told to."""

    def add(failure: BaseException) -> None:
        module = ModuleType("atomweave.cli.probe")
        module.app = typer.Typer()

        @module.app.command()
        def probe(size: int = 1) -> None:
            raise failure

        monkeypatch.setitem(cli.VERBS, "probe", "Raise.")
        monkeypatch.setitem(sys.modules, "atomweave.cli.probe", module)

    return add


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_verb(arguments, capsys):
    assert cli.run(arguments) == 0
    shown = capsys.readouterr().out
    for name, line in cli.VERBS.items():
        assert name in shown
        assert line in shown


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_verb_has_its_file_and_its_help(name, capsys):
    assert cli.run([name, "--help"]) == 0
    assert f"atomweave {name}" in capsys.readouterr().out


def test_installed_command_prints_its_version():
    command = Path(sys.executable).with_name("atomweave")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("atomweave 0.")


def test_unknown_verb_suggests_the_nearest(capsys):
    assert cli.run(["smaple"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no verb 'smaple': did you mean 'sample'?")


@pytest.mark.parametrize(
    ("arguments", "nearest"), [(["--vesion"], "options: --version"), (["probe", "--sze", "3"], "options: --size")]
)
def test_unknown_option_suggests_the_nearest(arguments, nearest, verb, capsys):
    verb(RuntimeError("not reached"))
    assert cli.run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: No such option")
    assert nearest in error


def test_group_without_its_verb_shows_its_help(capsys):
    assert cli.run(["data"]) == 2
    shown = capsys.readouterr()
    assert "build" in shown.out
    assert shown.err == ""


def test_option_of_another_type_is_a_usage_error(verb, capsys):
    verb(RuntimeError("not reached"))
    assert cli.run(["probe", "--size", "many"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: Invalid value for '--size'")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "status", "sentence"),
    [
        (UsageError("no such preset."), 2, "error: no such preset."),
        (InputError("a.xyz, frame 3: no atoms."), 3, "error: a.xyz, frame 3: no atoms."),
        (RefusedFileError("w.safetensors: the hash differs."), 4, "error: w.safetensors: the hash differs."),
        (FileNotFoundError(2, "No such file or directory", "a.xyz"), 3, "error: a.xyz: No such file or directory."),
        (KeyboardInterrupt(), 5, "error: interrupted."),
        (typer.Exit(5), 5, ""),
    ],
)
def test_errors_become_one_sentence_and_an_exit_status(failure, status, sentence, verb, capsys):
    verb(failure)
    assert cli.run(["probe"]) == status
    assert capsys.readouterr().err.strip() == sentence


@pytest.mark.parametrize("bug", [ZeroDivisionError("1 / 0"), OSError("no file named")])
def test_a_bug_keeps_its_traceback(bug, verb):
    verb(bug)
    with pytest.raises(type(bug)):
        cli.run(["probe"])
