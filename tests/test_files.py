from __future__ import annotations

import contextlib
import errno
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from atomweave.arrayfile import write_arrays
from atomweave.errors import IncompleteError
from atomweave.files import remove_half_written, write_atomic
from atomweave.tensorfile import write_tensors


@pytest.fixture
def little_room():
    """Let files grow to 1000 bytes: what is written beyond them finds no room, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_text(path):
    with write_atomic(path) as temporary:
        temporary.write_text("x" * 5000)


WRITERS = {
    "text": write_text,
    "tensors": lambda path: write_tensors(path, {"a": torch.zeros(5000)}, {"format": "f", "version": "1"}),
    "arrays": lambda path: write_arrays(path, {"a": np.zeros(5000)}, {"format": "f", "version": "1"}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(writer, tmp_path, little_room):
    path = tmp_path / "out.safetensors"
    path.write_text("before")
    with pytest.raises(IncompleteError, match=r"out\.safetensors: cannot be written \(File too large\); make room"):
        WRITERS[writer](path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_noticed_when_the_system_tells_it_late(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(IncompleteError, match="No space left on device"):
        write_text(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_room_is_told_likewise(tmp_path):
    def fill(path):
        with contextlib.closing(sqlite3.connect(path)) as database, write_atomic(path):
            database.execute("PRAGMA max_page_count = 1")
            database.execute("CREATE TABLE molecules (x)")

    with pytest.raises(IncompleteError, match=r"a\.db: cannot be written"):
        fill(tmp_path / "a.db")


def test_errors_of_other_kinds_pass(tmp_path):
    with pytest.raises(FileNotFoundError), write_atomic(tmp_path / "a.txt"):
        Path(tmp_path / "absent").read_text()


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    code = "import os, sys; from atomweave.files import write_atomic\nwith write_atomic(sys.argv[1]): os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "step-1.txt")], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".tmpA1b2C3").write_text("")  # as safetensors calls its own
    others = [tmp_path / name for name in ("step-1.txt", "step.txt", ".last.txt")]
    for path in others:
        path.write_text("")
    remove_half_written(tmp_path / "step-*.txt")
    assert sorted(tmp_path.iterdir()) == sorted(others)
