"""Every shell block of the tutorials runs, and prints the tables and names the files that the page shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import run_page  # noqa: E402 - a script, from the folder that was named just now

PAGES = ["tutorial", "own-data"]


def check(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, long: bool) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    blocks = run_page.blocks_of((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        if block.long and not long:
            continue
        printed = run_page.run(block, folder)
        shown = run_page.landmarks(block.output or "")
        assert shown <= run_page.landmarks(printed), block.commands
        assert bool(block.output) == bool(printed), block.commands


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_shows(page, tmp_path, monkeypatch):
    check(page, tmp_path, monkeypatch, long=False)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_page_runs_to_its_end(page, tmp_path, monkeypatch):
    check(page, tmp_path, monkeypatch, long=True)


def test_a_failing_command_and_a_missing_row_are_seen(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        run_page.run(run_page.Block("atomweave sample no-such-weights -n 1 -o x.xyz", None, False), tmp_path)
    printed = "│ valid │ 1\\n│ 12 attempts │"
    page = f"```sh\nprintf '{printed}'\n```\n\n```text\n│ valid  │ 94 % │\n│ 1,340 attempts │\n│ unique │ 99 % │\n```\n"
    (block,) = run_page.blocks_of(page)
    assert run_page.landmarks(block.output) - run_page.landmarks(run_page.run(block, tmp_path)) == {"unique"}
