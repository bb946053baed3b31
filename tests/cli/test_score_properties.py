"""`atomweave score --property`: a row for every frame, killed and interrupted runs go on, mistakes are one sentence."""

from __future__ import annotations

import csv
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from atomweave.cli.main import run
from atomweave.io import read, write
from atomweave.molecule import Molecule
from atomweave.properties.results import Results
from reference.dask_cluster import Cluster
from reference.molecules import qm9_molecules
from reference.worked_molecules import methyl

ALL = qm9_molecules()
MOLECULES = [ALL[formula] for formula in ("CH4O", "H2O", "C2H6")]
SCORE = ("score", "a.npz", "--method", "gfn2-xtb", "-o", "scores.csv")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.npz", MOLECULES)


def rows(path: str = "scores.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(path: str = "scores.csv") -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows(path)]


def stored() -> dict[tuple, tuple]:
    """Every answer in the file, with the time that its calculation took, which is never twice the same."""
    with Results("scores.sqlite") as results:
        found = results._database.execute(
            "SELECT result.geometry, property, value, reason, seconds, id FROM result "
            "JOIN calculation ON id = calculation"
        ).fetchall()
        n_calculations = results._database.execute("SELECT count(*) FROM calculation").fetchone()[0]
    assert n_calculations == len({row[-1] for row in found})  # every calculation stands: none was repeated
    return {row[:2]: row[2:] for row in found}


def many(n: int) -> list[Molecule]:
    """Return small molecules, each a little distorted in a way of its own."""
    rng = np.random.default_rng(0)
    kinds = [ALL[formula] for formula in ("CH4", "H3N", "H2O", "C2H2", "CHN", "CH2O", "C2H6", "CH4O")]
    return [
        Molecule(kind.numbers, kind.positions + rng.normal(0, 0.01, kind.positions.shape))
        for kind in (kinds[index % len(kinds)] for index in range(n))
    ]


def start(*further: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "atomweave", *SCORE, "--property", "gap,energy", "--force", *further]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: subprocess.Popen) -> None:
    said = command.communicate()[1]
    assert command.returncode == 0, said
    assert said.endswith("scores.csv\n")


def test_every_frame_has_its_row(capsys):
    Path("odd.xyz").write_text("2\n\nC 0 0 0\nC 0 0 nan\n2\n\nH 0 0 0\nH 0 0 0.2\n")
    charged = Molecule(MOLECULES[1].numbers, MOLECULES[1].positions, {"charge": 1})
    write("b.npz", [methyl(), charged])
    assert run([*SCORE, "odd.xyz", "b.npz", "--property", "gap, energy", "--workers", "1"]) == 0
    found = rows()
    assert list(found[0]) == ["file", "frame", "n_atoms", "gap", "energy", "method", "minimum_of", "seconds", "reason"]
    assert [(row["file"], row["frame"]) for row in found] == [
        *(("a.npz", str(index)) for index in range(3)), ("odd.xyz", "0"), ("odd.xyz", "1"), ("b.npz", "0"),
        ("b.npz", "1"),
    ]  # fmt: skip
    assert all(float(row["gap"]) > 1 and float(row["energy"]) < -100 and not row["reason"] for row in found[:3])
    assert "not finite" in found[3]["reason"]
    assert [row["reason"] for row in found[4:]] == ["coincident atoms", "odd number of electrons", "charged"]
    assert {row["gap"] for row in found[3:]} == {""}
    out = capsys.readouterr().out.splitlines()
    mean = np.mean([float(row["gap"]) for row in found[:3]])
    assert out[0].startswith(f"gap, gfn2-xtb: mean {mean:.4g} eV (95 % ")
    assert "highest " in out[0]
    assert out[0].endswith("over 3 molecules.")
    assert out[1].startswith("energy, gfn2-xtb: mean -")
    assert "1 of 6 molecules (16.7 %, 95 % 3.0 to 56.4 %) without all properties: charged." in out
    assert out[-1] == "1 frame cannot be read."


def test_a_second_command_calculates_what_is_new_only(capsys):
    assert run([*SCORE, "--property", "gap", "-n", "2", "--workers", "1"]) == 0
    before = stored()
    capsys.readouterr()
    assert run([*SCORE, "--property", "gap", "--workers", "1", "--force"]) == 0
    assert "2 of 3 molecules were known from scores.sqlite." in capsys.readouterr().out
    after = stored()
    assert len(after) == 3
    assert before.items() <= after.items()
    assert run([*SCORE, "--property", "gap", "--relax", "--workers", "1", "--force", "--results", "elsewhere.db"]) == 0
    assert Path("elsewhere.db").exists()
    assert {row["minimum_of"] for row in rows()} == {"gfn2-xtb"}


def test_minima_are_written_where_that_is_asked(capsys):
    write("a.npz", [*MOLECULES, methyl()])
    asked = [*SCORE, "--property", "gap", "--relax", "--workers", "1"]
    assert run([*asked, "--relaxed-out", "minima.sdf"]) == 0
    assert "minima.sdf: 3 of 4 molecules at their minimum." in capsys.readouterr().err
    minima = read("minima.sdf")
    assert [molecule.properties["source"] for molecule in minima] == [f"a.npz, frame {index}" for index in range(3)]
    for molecule, given, row in zip(minima, MOLECULES, rows(), strict=False):
        assert molecule.numbers.tolist() == given.numbers.tolist()
        assert 1e-4 < abs(molecule.positions - given.positions).max() < 0.5
        assert molecule.properties["gap"] == pytest.approx(float(row["gap"]))
        assert molecule.properties["minimum_of"] == "gfn2-xtb"
    assert next(Chem.SDMolSupplier("minima.sdf", removeHs=False)).GetNumBonds() == 5  # of methanol
    # What is known already is written, too; and where there is no minimum no file is.
    assert run([*asked, "--relaxed-out", "again.xyz", "--force"]) == 0
    assert len(read("again.xyz")) == 3
    write("a.npz", [methyl()])
    assert run([*asked, "--relaxed-out", "none.sdf", "--force"]) == 0
    assert "none.sdf: not written, since no molecule has a minimum." in capsys.readouterr().err
    assert not Path("none.sdf").exists()


def test_a_time_out_is_tried_again_when_there_is_more_time(capsys):
    assert run([*SCORE, "--property", "gap", "--workers", "1", "--timeout", "1e-9"]) == 0
    assert [row["reason"] for row in rows()] == ["time-out (no answer within 1e-09 s)"] * 3
    assert run([*SCORE, "--property", "gap", "--workers", "1", "--force"]) == 0
    assert [row["reason"] for row in rows()] == [""] * 3


def wait_for_log(size: int, command: subprocess.Popen) -> None:
    """Return when so many bytes wait in the log of the results, or the command has ended."""
    log, began = Path("scores.sqlite-wal"), time.monotonic()
    while command.poll() is None and time.monotonic() - began < 120:
        if log.exists() and log.stat().st_size > size:
            return
        time.sleep(0.01)


def kill_again_and_again(n_kills: int, n_molecules: int) -> None:
    """Kill the command at random moments, each time check that nothing was lost, and compare the end."""
    write("a.npz", many(n_molecules))
    began = time.monotonic()
    finish(start("--results", "whole.sqlite"))
    whole, seconds = timeless(), time.monotonic() - began
    Path("scores.csv").unlink()
    rng, known = random.Random(0), {}
    for kill in range(n_kills):
        command = start()
        if kill % 2:
            time.sleep(rng.uniform(0, seconds))
        else:  # while it stores answers
            wait_for_log(20_000, command)
            time.sleep(rng.uniform(0, 0.1))
        command.send_signal(signal.SIGKILL)
        command.communicate()
        now = stored()
        assert known.items() <= now.items()
        known = now
    finish(start())
    assert timeless() == whole
    assert len(stored()) == 2 * n_molecules
    assert known.items() <= stored().items()
    assert all(value is not None for value, *_ in stored().values())


def test_a_command_killed_at_random_moments_goes_on():
    kill_again_and_again(3, 24)


@pytest.mark.long
def test_a_command_killed_fifty_times_goes_on():
    kill_again_and_again(50, 400)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done(number):
    write("a.npz", many(3000))
    command = start("--workers", "1")
    wait_for_log(200_000, command)
    command.send_signal(number)
    said = command.communicate(timeout=60)[1].splitlines()[-1]
    assert command.returncode == 5
    n_done = len(stored()) // 2
    assert said == (
        f"error: interrupted with {n_done} of 3000 molecules calculated. scores.sqlite keeps what was calculated: run "
        "it again to go on."
    )
    assert 0 < n_done < 3000
    assert not Path("scores.csv").exists()


def test_two_commands_do_not_share_a_file(capsys, monkeypatch):
    monkeypatch.setattr("atomweave.properties.results.PATIENCE", 0.1)
    with Results("scores.sqlite"):
        assert run([*SCORE, "--property", "gap"]) == 3
    assert "scores.sqlite: another process is using it; wait until that has ended" in capsys.readouterr().err
    assert not Path("scores.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["--property", "gapp"], 2, ["unknown property 'gapp'", "did you mean 'gap'?"]),
        (["--property", ","], 2, ["no property is asked for"]),
        (["--property", "gap", "--method", "gfn2-xtbb"], 2, ["'gfn2-xtbb'", "did you mean 'gfn2-xtb'?"]),
        ([], 2, ["--method is about calculating", "add --property"]),
        (["--property", "gap", "--timeout", "0"], 2, ["--timeout: got 0"]),
        (["--property", "gap", "--memory", "-1"], 2, ["--memory: got -1"]),
        (["--property", "gap", "--workers", "2", "--scheduler", "tcp://a:1"], 2, ["--workers and --scheduler exclude"]),
        (["--property", "gap", "--scheduler", "localhost"], 2, ["'localhost'", "tcp://"]),
        (["--property", "gap", "--slurm", "jobs=2,core=3"], 2, ["no 'core'", "did you mean 'cores'?"]),
        (["--property", "gap", "--relaxed-out", "m.sdf"], 2, ["--relaxed-out: no minimum is asked for", "--relax-by"]),
        (["--property", "gap", "--relax", "--relaxed-out", "m.pdb"], 2, ["m.pdb"]),
        (["--property", "gap", "--relax", "--relaxed-out", "m.db", "--results", "m.db"], 2, ["name another file"]),
        (["--property", "gap", "--results", "scores.csv"], 2, ["--results", "name another file"]),
        (["--property", "gap", "--results", "a.npz"], 4, ["a.npz: this is no sqlite file"]),
        (["--property", "gap", "--results", "foreign.db"], 4, ["foreign.db", "holds something else"]),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(arguments, status, parts, capsys):
    with sqlite3.connect("foreign.db") as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    assert run([*SCORE, *arguments]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    for part in parts:
        assert part in shown.err
    assert not Path("scores.csv").exists()


@pytest.mark.long
def test_on_a_scheduler_a_killed_worker_and_a_killed_command_cost_nothing(tmp_path):
    write("a.npz", many(400))
    finish(start("--results", "whole.sqlite"))
    whole = timeless()
    with Cluster(tmp_path, 3) as dask:
        dask.wait_for_workers(3)
        first = start("--scheduler", dask.address)
        wait_for_log(100_000, first)
        first.kill()
        first.communicate()
        known = stored()
        assert 0 < len(known) < 800
        second = start("--scheduler", dask.address)
        wait_for_log(100_000, second)
        dask.workers[0].kill()
        finish(second)
    assert timeless() == whole
    assert len(stored()) == 800
    assert known.items() <= stored().items()
