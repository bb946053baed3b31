"""Results outlive whoever writes them, stand where they should, and a file that is something else is refused."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from atomweave.errors import InputError, RefusedFileError
from atomweave.isolation import CRASH, ERROR, MEMORY, TIME_OUT, Limits
from atomweave.properties.calculate import Calculation
from atomweave.properties.methods import QM9_LEVEL, XTB, parse_method
from atomweave.properties.reasons import NOT_CONVERGED
from atomweave.properties.results import Entry, Results, geometry_hash

NUMBERS = np.array([8, 1, 1], np.uint8)
POSITIONS = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
WATER = geometry_hash(NUMBERS, POSITIONS)
LIMITS = Limits(10.0, 1 << 30)
METHOD = parse_method(XTB)


def test_the_hash_sees_the_last_bit_and_the_elements_but_not_the_sign_of_zero():
    moved = POSITIONS.copy()
    moved[1, 0] = np.nextafter(moved[1, 0], 1)
    hashes = {WATER, geometry_hash(NUMBERS, moved), geometry_hash(NUMBERS[[1, 0, 2]], POSITIONS)}
    hashes |= {geometry_hash(NUMBERS[:2], POSITIONS[:2])}
    assert len(hashes) == 4
    assert (
        geometry_hash(NUMBERS, POSITIONS * [1, -1, 1] * [1, -1, 1])
        == WATER
        == geometry_hash(NUMBERS, POSITIONS * [1, 1, -1])
    )


def test_what_is_stored_is_found_again_to_the_last_bit(tmp_path):
    path = tmp_path / "r.sqlite"
    found = Calculation({"gap": 0.1 + 0.2, "energy": -137.123456789012345}, positions=POSITIONS / 3, seconds=0.25)
    with Results(path) as results:
        level = results.level(METHOD, METHOD)
        results.store(WATER, level, ("gap", "energy"), found, LIMITS, versions={"tblite": "0.4"})
    with Results(path) as results:
        assert results.level(METHOD, METHOD) == level
        entries = results.find(WATER, level)
        assert {name: entry.value for name, entry in entries.items()} == found.values
        assert entries["gap"].calculation == entries["energy"].calculation
        assert entries["gap"].seconds == 0.25
        assert np.array_equal(results.minimum(WATER, level), POSITIONS / 3)
        for other in (results.level(METHOD, None), results.level(parse_method(QM9_LEVEL), METHOD)):
            assert results.find(WATER, other) == {}
            assert results.minimum(WATER, other) is None


def test_a_failure_never_takes_the_place_of_a_number_but_a_number_that_of_a_failure():
    with Results(None) as results:
        level = results.level(METHOD, None)
        results.store(WATER, level, ("gap",), Calculation(reason=TIME_OUT), LIMITS, detail="no answer within 10 s")
        assert results.find(WATER, level)["gap"].detail == "no answer within 10 s"
        results.store(WATER, level, ("gap",), Calculation({"gap": 1.5}), LIMITS)
        results.store(WATER, level, ("gap",), Calculation(reason=CRASH), LIMITS)
        entry = results.find(WATER, level)["gap"]
        assert (entry.value, entry.reason) == (1.5, "")


@pytest.mark.parametrize(
    ("reason", "timeout", "memory", "retry", "stands"),
    [
        (TIME_OUT, 10, 1 << 30, False, True),
        (TIME_OUT, 10, 2 << 30, False, True),  # more memory makes nothing faster
        (TIME_OUT, 11, 1 << 30, False, False),
        (MEMORY, 11, 1 << 30, False, True),
        (MEMORY, 9, 2 << 30, False, False),
        (CRASH, 10, 1 << 30, False, True),
        (CRASH, 11, 1 << 30, False, False),
        (CRASH, 10, 2 << 30, False, False),
        (ERROR, 99, 9 << 30, False, True),
        (ERROR, 10, 1 << 30, True, False),
        (TIME_OUT, 9, 1 << 20, True, False),
        (NOT_CONVERGED, 99, 9 << 30, True, True),
    ],
)
def test_a_failure_is_tried_again_where_it_might_pass(reason, timeout, memory, retry, stands):
    entry = Entry(None, reason, "", frozenset({"gap"}), LIMITS, 1, 0.0)
    assert entry.stands(frozenset({"gap"}), Limits(timeout, memory), retry=retry) == stands


def test_a_failure_of_several_properties_together_says_nothing_of_fewer():
    entry = Entry(None, NOT_CONVERGED, "", frozenset({"gap", "polarizability"}), LIMITS, 1, 0.0)
    assert entry.stands(frozenset({"gap", "polarizability", "dipole"}), LIMITS, retry=False)
    assert not entry.stands(frozenset({"gap"}), LIMITS, retry=False)


def test_two_processes_do_not_write_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr("atomweave.properties.results.PATIENCE", 0.1)
    path = tmp_path / "r.sqlite"
    with Results(path), pytest.raises(InputError, match=r"r\.sqlite: another process is using it; wait"):
        Results(path)
    Results(path).close()


def foreign(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()


def newer(path):
    Results(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def filled(path):
    with Results(path) as results:
        level = results.level(METHOD, None)
        for index in range(300):
            results.store(bytes([index % 256, index // 256] * 16), level, ("gap",), Calculation({"gap": 1.0}), LIMITS)


def overwritten(path):
    filled(path)
    content = bytearray(path.read_bytes())
    content[4096:-4096:7] = bytes(len(content[4096:-4096:7]))
    path.write_bytes(content)


def cut_short(path):
    filled(path)
    path.write_bytes(path.read_bytes()[:-8192])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (foreign, "holds something else"),
        (newer, "results of version 99, wanted 1"),
        (overwritten, "damaged"),
        (cut_short, "damaged"),
        (lambda path: path.write_text("gap,energy\n1,2\n" * 99), "no sqlite file"),
    ],
)
def test_other_files_are_refused_and_left_alone(tmp_path, make, words):
    path = tmp_path / "r.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(RefusedFileError, match=words):
        Results(path)
    assert path.read_bytes() == before


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        Results(tmp_path)
    empty = tmp_path / "new" / "r.sqlite"
    empty.parent.mkdir()
    empty.touch()  # as a process leaves it that was killed before its first transaction
    with Results(empty) as results:
        assert results.level(METHOD, None) == 1


def test_a_writer_killed_at_any_moment_loses_nothing_it_has_stored(tmp_path):
    path = tmp_path / "r.sqlite"
    script = """
import itertools, sys
from atomweave.isolation import Limits
from atomweave.properties.calculate import Calculation
from atomweave.properties.methods import parse_method
from atomweave.properties.results import Results
with Results(sys.argv[1]) as results:
    level = results.level(parse_method("gfn2-xtb"), None)
    first = results._database.execute("SELECT count(*) FROM result").fetchone()[0]
    for index in itertools.count(first):
        results.store(index.to_bytes(32, "little"), level, ("gap",), Calculation({"gap": float(index)}), Limits(1))
        print(index, flush=True)
"""
    rng, told = random.Random(0), -1
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        told = int(writer.stdout.readline())
        time.sleep(rng.uniform(0, 0.2))
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0].splitlines(keepends=True)
        told = max([told, *(int(line) for line in rest if line.endswith("\n"))])
        with Results(path) as results:
            level = results.level(METHOD, None)
            stored = results._database.execute("SELECT count(*) FROM result").fetchone()[0]
            assert told < stored <= told + 2
            for index in range(stored):
                assert results.find(index.to_bytes(32, "little"), level)["gap"].value == index
