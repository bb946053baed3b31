"""The notebooks are committed as executed: valid, small, without errors or anything of the machine that ran them."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import run_notebooks  # noqa: E402 - a script, from the folder that was named just now

NAMES = ["complete_and_score", "evaluate_your_own_files", "grow_and_look"]
LARGEST = 400_000  # bytes
MACHINE = re.compile(
    r"(?<![\w/.<])/(?:home|root|tmp|work|usr|opt|var|Users|private)/|site-packages|ipykernel_\d|[A-Z]:\\\\Users"
)


def path_of(name: str) -> Path:
    return run_notebooks.NOTEBOOKS / f"{name}.ipynb"


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in run_notebooks.NOTEBOOKS.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_valid_executed_in_order_and_without_errors(name):
    notebook = nbformat.read(path_of(name), as_version=4)
    nbformat.validate(notebook)
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        ast.parse(cell.source)
        assert not [output for output in cell.outputs if output.output_type == "error"]
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert any("<iframe" in data.get("text/html", "") for data in shown)
    assert all("text/plain" in data for data in shown if data)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_small_and_knows_no_machine(name):
    text = path_of(name).read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert not MACHINE.search(text), MACHINE.search(text)
    assert nbformat.read(path_of(name), as_version=4).metadata == run_notebooks.METADATA


@pytest.mark.parametrize("top", ["home", "tmp", "opt", "Users"])
def test_a_path_of_a_machine_is_seen(top):
    assert MACHINE.search(f'File "/{top}/a/x.py"')
    assert not MACHINE.search(f"docs/{top}/x.md")


def kinds_of(notebook: nbformat.NotebookNode) -> list[list[tuple[str, list[str]]]]:
    """Return what each code cell shows: types of its outputs, and in which forms."""
    return [
        [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs] for cell in code_of(notebook)
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_shows_what_it_showed(name):
    assert kinds_of(run_notebooks.execute(path_of(name))) == kinds_of(nbformat.read(path_of(name), as_version=4))


@pytest.mark.long
def test_a_failing_cell_is_seen(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "failing.ipynb")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run_notebooks.execute(tmp_path / "failing.ipynb")
