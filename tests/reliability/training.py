"""Training: killed, and on a full disk."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

from atomweave.errors import RefusedFileError
from atomweave.training.checkpoint import checkpoints, load_checkpoint

from .counts import Count, check
from .forked import OPENED, Ended, Moment, in_fresh_process, moment_of
from .full_disk import FullDisk
from .tiny_models import TINY
from .training_runs import Training, end_state, half_written

MOST_KILLS = 3
"""Of one run; the next kill hits another."""


@check(unit="kills", small=10, large=200)
def killed_training(size: int, seed: int, folder: Path) -> Count:
    """Training killed (SIGKILL) at random moments and run again ends with the weights, averaged weights, moments of the
    optimizer and log of the uninterrupted run, bit for bit, and leaves no half-written file.

    Every other kill falls into the writing of a checkpoint or of exported weights, shortly after its file was opened.
    """
    return in_fresh_process(_killed_training, size, seed, folder)


@check(unit="full disks", small=20, large=500)
def training_on_a_full_disk(size: int, seed: int, folder: Path) -> Count:
    """Wherever the disk becomes full, with TMPDIR on another file system: training ends with status 5 and one sentence,
    every checkpoint is whole and there is one if there was, and with room again the run ends as if nothing had been.
    """
    return in_fresh_process(_training_on_a_full_disk, size, seed, folder)


def _killed_training(size: int, seed: int, folder: Path) -> Count:
    runs = {kind: _Whole(kind, folder) for kind in list(TINY)[: max(1, size // 20)]}
    failures: list[str] = []
    kills = inside = trial = 0
    while kills < size:
        rng = random.Random(f"{seed} {trial}")
        whole = list(runs.values())[trial % len(runs)]
        out, said = folder / f"trial{trial}" / "run", folder / "said.txt"
        out.parent.mkdir()
        for _ in range(min(rng.randint(1, MOST_KILLS), size - kills)):
            before = half_written(out)
            ended = whole.training.command(out, said).run(moment_of(whole.operations, rng))
            if ended.status == 0:  # a resumed run has fewer operations left, and may be done before its time
                break
            kills += 1
            inside += bool(half_written(out) - before)
        failures += [f"trial {trial}, {whole.kind}: {text}" for text in whole.differences(out, said)]
        shutil.rmtree(out.parent)
        trial += 1
    return Count(kills, failures, {"runs": trial, "kills inside a save": inside, "models": ", ".join(runs)})


def _training_on_a_full_disk(size: int, seed: int, folder: Path) -> Count:
    whole = _Whole("weaver", folder)
    needed = sum(path.stat().st_size for path in whole.out.rglob("*") if path.is_file())
    parts = [whole.part(random.Random(f"{seed} part {part}"), folder / f"part{part}") for part in range(2 + size // 10)]
    disk = FullDisk(folder / "disk", 4 * needed)
    temporary, out, said = disk.elsewhere(), disk.folder / "run", folder / "said.txt"
    failures: list[str] = []
    full = trial = 0
    while full < size:
        rng = random.Random(f"{seed} {trial}")
        if trial % 4:  # the others begin without a checkpoint
            shutil.copytree(parts[trial % len(parts)], out)
        n_before = len(_whole_checkpoints(out))
        run = partial(whole.training.command(out, said).run, temporary=temporary)
        ended = disk.filled(rng, needed, lambda limit: run(largest_file=limit))  # noqa: B023 - called at once
        if ended.status != 0:
            full += 1
            failures += [f"trial {trial}: {text}" for text in _faults(ended, out, n_before)]
        failures += [f"trial {trial}: {text}" for text in whole.differences(out, said)]
        shutil.rmtree(out)
        trial += 1
    if temporary is not None:
        failures += [f"{path.name} was left in TMPDIR" for path in temporary.iterdir()]
        shutil.rmtree(temporary)
    where = "another file system" if temporary is not None else "the same file system: there is no other"
    return Count(full, failures, {"by": disk.how, "TMPDIR on": where})


class _Whole:
    """An uninterrupted run, and how far another one may differ from it: not at all."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.training = kind, Training.prepare(kind, folder)
        self.out = folder / f"whole-{kind}" / "run"
        self.out.parent.mkdir()
        ended = self.training.command(self.out, folder / "said.txt").run()
        assert ended.status == 0, ended.said
        self.operations = ended.operations
        self.state = end_state(self.out)

    def part(self, rng: random.Random, folder: Path) -> Path:
        """Return a new run that has a checkpoint and was killed."""
        folder.mkdir()
        second = [i for i, operation in enumerate(self.operations) if operation.event == OPENED][1]
        moment = Moment(rng.randrange(second, len(self.operations)), 0.0)
        self.training.command(folder / "run", folder / "said.txt").run(moment)
        return folder / "run"

    def differences(self, out: Path, said: Path) -> list[str]:
        """Run it to its end, and say what is not as it should be."""
        ended = self.training.command(out, said).run()
        if ended.status != 0:
            return [f"run again, it ended with status {ended.status}: {ended.said}"]
        found = end_state(out)
        names = [name for name in self.state.keys() | found.keys() if self.state.get(name) != found.get(name)]
        left = [path.name for path in half_written(out)]
        return [f"{name} differs" for name in sorted(names)] + [f"{name} was left behind" for name in left]


def _faults(ended: Ended, out: Path, n_before: int) -> list[str]:
    """Say what is wrong with a run that found no room: with its end, or with what it left."""
    faults = []
    if ended.status != 5 or "Traceback" in ended.said:
        faults.append(f"it ended with status {ended.status}: {ended.said[-500:]}")
    sentences = [line for line in ended.said.splitlines() if line.startswith("error:")]
    if len(sentences) != 1:
        faults.append(f"it said {sentences}")
    n_after = len(_whole_checkpoints(out))
    if n_before and not n_after:
        faults.append(f"of {n_before} whole checkpoints none is left")
    if n_after < len(checkpoints(out / "checkpoints")):
        faults.append("a checkpoint is not whole")
    return faults


def _whole_checkpoints(out: Path) -> list[Path]:
    whole = []
    for path in checkpoints(out / "checkpoints"):
        try:
            load_checkpoint(path)
        except RefusedFileError:
            continue
        whole.append(path)
    return whole
