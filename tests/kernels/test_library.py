"""Compiling the kernels: once a machine, and never in anybody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from atomweave.kernels.library import in_parallel, library

ASK = "from atomweave.kernels.library import library; print(library() is not None)"


def _ask(cache: Path, **environment: str) -> str:
    settings = {**os.environ, "ATOMWEAVE_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=settings, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_library_is_compiled_once(tmp_path: Path) -> None:
    there = str(library() is not None)
    assert _ask(tmp_path) == there
    built = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.so")}
    assert len(built) == (library() is not None)
    assert _ask(tmp_path) == there
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.so")} == built


@pytest.mark.parametrize("environment", [{"CC": "/bin/false"}, {"CC": "no-such-compiler"}, {"ATOMWEAVE_KERNELS": "0"}])
def test_without_a_compiler_there_is_no_library_and_no_error(tmp_path: Path, environment: dict[str, str]) -> None:
    assert _ask(tmp_path, **environment) == "False"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler here")
@pytest.mark.parametrize("cache", ["folder", "file"])  # one that can be written to, and one that cannot
def test_no_folder_is_left_among_the_temporary_ones(tmp_path: Path, cache: str) -> None:
    quick = tmp_path / "cc"  # makes a library of nothing at all, and soon
    quick.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncc -x c -shared -fPIC -o "$2" /dev/null\n')
    quick.chmod(0o755)
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    places = {"ATOMWEAVE_CACHE": "", "XDG_CACHE_HOME": str(tmp_path / cache), "TMPDIR": str(tmp_path / "temporary")}
    assert _ask(tmp_path, CC=str(quick), **places) == "True"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert (tmp_path / "folder").exists() == (cache == "folder")


def test_tasks_cover_all_items_and_report_failure() -> None:
    seen: list[int] = []

    def task(first: int, last: int) -> int:
        seen.extend(range(first, last))
        return int(last > 100)

    in_parallel(task, 37)
    assert sorted(seen) == list(range(37))
    with pytest.raises(MemoryError, match="scratch"):
        in_parallel(task, 101)
