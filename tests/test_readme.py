"""What README.md shows is what there is: its Python runs, its command lines parse, its tree exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from atomweave.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("atomweave ")]


def test_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - running the examples is the test
    assert list(tmp_path.iterdir())


def parse(command: Any, name: str, arguments: list[str], parent: Any = None) -> None:
    """Parse a command line down to the last subcommand, and run nothing."""
    context = command.make_context(name, list(arguments), parent=parent)
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest and command.invoke_without_command:
            return
        name, inner, rest = command.resolve_command(context, rest)
        parse(inner, name, rest, context)


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_parse(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, *arguments = shlex.split(line)
    for argument in arguments:
        if Path(argument).suffix:
            Path(argument).parent.mkdir(parents=True, exist_ok=True)
            Path(argument).touch()  # input files must exist
    parse(typer.main.get_command(app), "atomweave", arguments)


def tree() -> list[Path]:
    """Return the paths that the tree names; two spaces of indentation are one folder."""
    (text,) = blocks("text")
    folders: list[Path] = []
    paths = []
    for line in text.splitlines():
        entries = line.strip().partition("  ")[0]
        depth = (len(line) - len(line.lstrip())) // 2
        paths += [Path(*folders[:depth], entry.strip(",")) for entry in entries.split()]
        folders[depth:] = [Path(entries.split()[0])]
    return paths


def test_tree_exists():
    missing = [str(path) for path in tree() if not list(ROOT.glob(str(path)))]
    assert not missing


def test_tree_names_every_part():
    parts = {
        folder.relative_to(ROOT)
        for folder in (ROOT / "src" / "atomweave").iterdir()
        if (folder / "__init__.py").exists()
    }
    assert parts <= set(tree())
