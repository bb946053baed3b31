"""Growing and scoring: killed, interrupted, a day of it."""

from __future__ import annotations

import importlib
import random
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from atomweave.io import read, write
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.models.weights import Card, save_weights
from atomweave.molecule import Molecule
from reference.busyness import slowness
from reference.molecules import qm9_molecules

from .counts import Count, check
from .days_work import work
from .forked import Command, Ended, Moment, in_fresh_process, moment_of
from .tiny_models import TINY

LARGE = 10
"""From so many cases on, the weights that ship grow 10,000 molecules; below, a tiny model grows some hundred."""

PATIENCE = 5.0
"""Seconds in which a command must end after Ctrl-C, on a machine that does nothing else."""

LATEST = 4.0
"""Seconds after its beginning in which a command is interrupted."""

IMPORTED_LATE = (
    "atomweave.cli.main", "atomweave.cli.sample", "atomweave.cli.score", "atomweave.cli.asked",
    "atomweave.cli.verdicts", "atomweave.growth.grower", "atomweave.evaluation.headline",
    "atomweave.evaluation.reading", "atomweave.properties.scoring", "atomweave.io.sdf",
)  # fmt: skip


@check(unit="kills", small=3, large=10)
def killed_sampling(size: int, seed: int, folder: Path) -> Count:
    """`atomweave sample` killed (SIGKILL) at random moments and run again, with one, two and three workers, writes the
    file that it writes at once with one, byte for byte; a kill leaves no part of a file under its name, and no process.
    """
    return in_fresh_process(_killed_sampling, size, seed, folder)


@check(unit="interrupts", small=4, large=40)
def interrupted_commands(size: int, seed: int, folder: Path) -> Count:
    """Ctrl-C at random moments ends `atomweave sample` and `atomweave score` within 5 s, with status 5 and one
    sentence; tables and molecules are whole or not there, results are whole, and no process is left.
    """
    return in_fresh_process(_interrupted_commands, size, seed, folder)


@check(unit="molecules grown", small=1_000, large=100_000)
def a_days_work(size: int, seed: int, folder: Path) -> Count:
    """A process that grows molecules, some thousand at a time, and scores every tenth with GFN2-xTB needs no more than
    20 MB of resident memory more, workers included, at its end than after a fifth of it; no process and no segment of
    shared memory is left.
    """
    return in_fresh_process(work, size, seed, folder)


def _killed_sampling(size: int, seed: int, folder: Path) -> Count:
    _prepare()
    large = size >= LARGE
    weights, number = ("weaver-qm9", 10_000) if large else (_tiny_weights(folder), 1100)
    command = partial(_sample, weights, number, folder, 20 if large else 4)
    whole = command("whole", 1).run()
    assert whole.status == 0, whole.said
    content = (folder / "whole" / "out.xyz").read_bytes()
    rng, failures, kills, inside = random.Random(seed), [], 0, 0
    here, out = folder / "killed", folder / "killed" / "out.xyz"
    for attempt in range(10 * size):
        if kills == size:
            break
        ended = command("killed", 1 + attempt % 2 if large else 1).run(moment_of(whole.operations, rng))
        kills += ended.status != 0
        half_written = [path for path in here.iterdir() if path != out]
        inside += bool(half_written)
        failures += [f"kill {kills}: {text}" for text in _faults(ended, -signal.SIGKILL) if ended.status != 0]
        if out.exists():
            if out.read_bytes() != content:
                failures.append(f"kill {kills}: it left another file")
            out.unlink()
        for path in half_written:
            path.unlink()
    for workers in (1, 2, 3) if large else (3,):  # tests/cli/test_sample.py takes two
        ended = command("killed", workers).run()
        if ended.status != 0 or out.read_bytes() != content:
            failures.append(f"with {workers} workers, status {ended.status}, the file differs: {ended.said}")
    return Count(kills, failures, {"molecules": number, "kills inside the writing": inside})


def _interrupted_commands(size: int, seed: int, folder: Path) -> Count:
    _prepare()
    large = size >= LARGE
    weights = "weaver-qm9" if large else _tiny_weights(folder)
    write(folder / "molecules.xyz", _slightly_different(300))
    # Both have work for minutes.
    makers: list[Callable[[str], Command]] = [
        lambda name: _sample(weights, 100_000, folder, 20, name, 2 if large else 1),
        lambda name: _score(folder, name),
    ]
    rng, failures, lasted = random.Random(seed), [], []
    for interrupt in range(size):
        name = f"interrupted{interrupt}"
        ended = makers[interrupt % 2](name).run(Moment(0, rng.uniform(0, LATEST)), signal.SIGINT)
        lasted.append(ended.seconds_after_signal / slowness())
        faults = _faults(ended, 5) + _not_whole(folder / name)
        if lasted[-1] > PATIENCE:
            faults.append(f"it went on for {lasted[-1]:.1f} s")
        failures += [f"{name}: {text}" for text in faults]
    return Count(size, failures, {"longest, s": round(max(lasted), 2)})


def _slightly_different(copies: int) -> list[Molecule]:
    """Return small molecules of QM9, so many times each, no two alike: what is alike is calculated once."""
    rng = np.random.default_rng(0)
    small = [molecule for molecule in qm9_molecules().values() if len(molecule) < 10]
    return [
        replace(molecule, positions=molecule.positions + rng.normal(scale=0.01, size=molecule.positions.shape))
        for _ in range(copies)
        for molecule in small
    ]


def _prepare() -> None:
    for name in IMPORTED_LATE:
        importlib.import_module(name)


def _tiny_weights(folder: Path) -> str:
    # Nothing can be asked of a model that was never taught.
    path, config = (
        folder / "tiny.safetensors",
        WeaverConfig.model_validate(TINY["weaver"] | {"conditions": {"names": []}}),
    )
    save_weights(path, Weaver(config), config, Card(name="tiny"))
    return str(path)


def _sample(weights: str, number: int, folder: Path, most: int, name: str, workers: int) -> Command:
    (folder / name).mkdir(exist_ok=True)
    out = folder / name / "out.xyz"
    told = ("-n", str(number), "--max-atoms", str(most), "--workers", str(workers), "--seed", "7", "--force")
    return Command(["sample", weights, *told, "-o", str(out)], folder / name, folder / "said.txt")


def _score(folder: Path, name: str) -> Command:
    (folder / name).mkdir()
    told = ("--property", "gap", "--method", "gfn2-xtb", "--workers", "1", "-o", str(folder / name / "out.csv"))
    return Command(["score", str(folder / "molecules.xyz"), *told], folder / name, folder / "said.txt")


def _faults(ended: Ended, status: int) -> list[str]:
    """Say what is wrong with the end of a command that got a signal."""
    faults = ["a process was left"] if ended.left else []
    if ended.status != status:
        faults.append(f"it ended with status {ended.status}: {ended.said}")
    errors = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    if "Traceback" in ended.said or (status > 0 and len(errors) != 1):
        faults.append(f"it said {ended.said!r}")
    return faults


def _not_whole(folder: Path) -> list[str]:
    """Say which files of a folder are not whole, or were never moved to their place."""
    faults = [f"{path.name} was left" for path in folder.glob(".*")]
    for path in folder.glob("*.sqlite"):
        database = sqlite3.connect(path)
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        database.close()
        if verdict != "ok":
            faults.append(f"{path.name}: {verdict}")
    return faults + [f"{path.name} is empty" for path in folder.glob("*.xyz") if not read(path)]
