"""Run the shell blocks of a page of docs/, in order, and write what they print into the blocks that follow them.

    python scripts/run_page.py docs/tutorial.md docs/own-data.md

A block ```sh is run by bash in an empty folder that all blocks of a page share; a block ```text right after it is
replaced by its output. `atomweave` is that of the Python that runs this. `<!-- long -->` above a block leaves it to the
long tests; tests/test_pages.py runs the others on every change. `<!-- picture: report.html 1000x640 -->` above an image
takes it anew from a page that the blocks have made, with a headless Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^(<!-- long -->\n)?```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^<!-- picture: (\S+) (\d+)x(\d+) -->\n!\[.*?\]\((\S+)\)", re.MULTILINE)
PROGRESS = re.compile(r"^(.*: [\d,]+ of [\d,]+ molecules, .* molecules/s|reading .*|.* ━.* % .*)\n", re.MULTILINE)
"""Lines that say how far something is; whether they appear depends on the time."""

FILE = re.compile(r"\b[\w/.-]+\.(?:sdf|csv|html|json|safetensors|sqlite|extxyz)\b")
ROW = re.compile(r"^│ (\S.*?) +│", re.MULTILINE)
COUNT = re.compile(r"^[\d,]+ (?=\S)")


@dataclass(frozen=True)
class Block:
    """One shell block of a page."""

    commands: str
    output: str | None  # what the page says that it prints; None where it says nothing
    long: bool


def blocks_of(page: str) -> list[Block]:
    """Return the shell blocks of a page, in order."""
    return [Block(found[2], found[3], found[1] is not None) for found in BLOCK.finditer(page)]


def run(block: Block, folder: Path, **environment: str) -> str:
    """Run a block in a folder and return what it prints, without progress.

    Raises:
        subprocess.CalledProcessError: if one of its commands fails.
    """
    tools = folder / ".tools"
    if not tools.exists():
        tools.mkdir()
        for name, arguments in (("atomweave", "-m atomweave"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "100", **environment}
    ended = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block.commands], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, block.commands, ended.stdout)
    lines = (line.rstrip() for line in PROGRESS.sub("", ended.stdout).splitlines())
    return "".join(f"{line}\n" for line in lines)


def landmarks(output: str) -> set[str]:
    """Return what every run prints alike, whatever the machine: labels of tables and names of files.

    What counts into a denominator ("96 valid" under a label) is kept without its number: weights that were taught on
    another processor grow other molecules.
    """
    return {COUNT.sub("", label) for label in ROW.findall(output)} | set(FILE.findall(output))


def photograph(page: Path, size: tuple[int, int], target: Path) -> None:
    """Take a picture of the top of an HTML page."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless=new", "--no-sandbox", "--hide-scrollbars", "--enable-unsafe-swiftshader",
            "--virtual-time-budget=20000", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
        ]  # fmt: skip
        command = [chromium, *options, f"--screenshot={target.absolute()}", page.absolute().as_uri()]
        subprocess.run(command, check=True, capture_output=True)
    from PIL import Image

    # Few colours for a small file; those of rare elements are kept.
    few = Image.open(target).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


def main(pages: list[str]) -> None:
    """Run pages and rewrite their outputs and pictures."""
    for name in pages:
        path = Path(name)
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:

            def anew(found: re.Match[str], folder: str = folder) -> str:
                (block,) = blocks_of(found[0])
                print(block.commands, flush=True)
                output = run(block, Path(folder))
                said = f"\n```text\n{output}```\n" if block.output is not None else ""
                return f"{found[1] or ''}```sh\n{block.commands}```\n{said}"

            path.write_text(BLOCK.sub(anew, page), encoding="utf-8")
            for source, width, height, target in PICTURE.findall(page):
                photograph(Path(folder) / source, (int(width), int(height)), path.parent / target)


if __name__ == "__main__":
    main(sys.argv[1:])
