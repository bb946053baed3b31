"""Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file.

A checkpoint at step s holds the state after s updates and says whether step s has been measured (validation loss,
samples) yet; if not, it is measured when the run is resumed. The file is written beside its target
and moved, so that a run killed at any moment leaves the checkpoint before it; two are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import RefusedFileError, UsageError
from ..tensorfile import read_tensors, write_tensors

FORMAT = "atomweave-checkpoint"
VERSION = 1
_NAME = re.compile(r"step-(\d{9})\.safetensors")


@dataclass(frozen=True)
class Best:
    """The best weights so far."""

    step: int
    measure: str  # by what they were chosen
    value: float


@dataclass
class RunState:
    """What a run knows beside its tensors."""

    run_sha256: str  # hash of the configuration, see `RunConfig.sha256`
    identity: dict[str, Any]  # the configuration itself, to say what differs
    store_sha256: str
    init_from: str | None = None  # sha256 of the weights the run started from
    step: int = 0  # updates done
    measured: int = 0  # last step whose averaged weights were measured
    fragments: int = 0  # decisions seen
    log_bytes: int = 0  # length of log.jsonl; what was written later is written again
    sums: dict[str, float] = field(default_factory=dict)  # loss terms added up since the last record
    best: Best | None = None  # what best.safetensors holds


def state_of(values: dict[str, Any]) -> RunState:
    """Return the state that `asdict` made `values` of."""
    return RunState(**{**values, "best": None if values["best"] is None else Best(**values["best"])})


def save_checkpoint(folder: Path, state: RunState, tensors: dict[str, Tensor], keep: int = 2) -> Path:
    """Write a checkpoint and remove all but the newest `keep`."""
    path = folder / f"step-{state.step:09d}.safetensors"
    write_tensors(path, tensors, {"format": FORMAT, "version": str(VERSION), "state": json.dumps(asdict(state))})
    for old in checkpoints(folder)[keep:]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> tuple[RunState, dict[str, Tensor]]:
    """Read a checkpoint.

    Raises:
        RefusedFileError: if it is damaged or no checkpoint of this version.
    """
    metadata, tensors = read_tensors(path, FORMAT, VERSION)
    try:
        return state_of(json.loads(metadata["state"])), tensors
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedFileError(f"{path}: the state of the run cannot be read ({error}).") from None


def latest_checkpoint(
    folder: Path, on_refused: Callable[[RefusedFileError], None]
) -> tuple[RunState, dict[str, Tensor]] | None:
    """Return the newest checkpoint that is whole, or None if there is none at all.

    Args:
        folder: where they lie.
        on_refused: told about each newer one that is damaged.

    Raises:
        RefusedFileError: if there are checkpoints, but none is whole: to begin again would overwrite the run.
    """
    refused = None
    for path in checkpoints(folder):
        try:
            return load_checkpoint(path)
        except RefusedFileError as error:
            on_refused(error)
            refused = error
    if refused is not None:
        raise RefusedFileError(f"{folder}: no checkpoint is whole; move the folder away to begin again. {refused}")
    return None


def resumable(out: Path, wanted: RunState, say: Callable[[str], None]) -> tuple[RunState, dict[str, Tensor]] | None:
    """Return the newest whole checkpoint of a folder, which must belong to the run that is wanted; None at a beginning.

    Args:
        out: folder of the run.
        wanted: the state of the run at its beginning; without `init_from`, whatever the run began with is right.
        say: told about damaged checkpoints, and where the run goes on.

    Raises:
        UsageError: if the folder holds another run; the message says what differs.
        RefusedFileError: if there are checkpoints, but none is whole.
    """
    found = latest_checkpoint(out / "checkpoints", lambda error: say(f"warning: {error}"))
    if found is None:
        return None
    state = found[0]
    if state.run_sha256 != wanted.run_sha256:
        changed = "; ".join(_differences(state.identity, wanted.identity))
        raise UsageError(f"{out}: holds a run of another configuration ({changed}); take another --out.")
    if state.store_sha256 != wanted.store_sha256:
        raise UsageError(f"{out}: holds a run on another store; take another --out.")
    if wanted.init_from is not None and state.init_from != wanted.init_from:
        raise UsageError(f"{out}: holds a run that did not begin with these weights; take another --out.")
    say(f"resuming {out} at step {state.step}")
    return found


def checkpoints(folder: Path) -> list[Path]:
    """Return the paths of all checkpoints, newest first."""
    found = {path: _NAME.fullmatch(path.name) for path in folder.glob("step-*.safetensors")}
    return sorted((path for path, match in found.items() if match), key=lambda path: path.name, reverse=True)


def _differences(before: dict[str, Any], now: dict[str, Any], path: str = "") -> list[str]:
    """Return one clause for every field that differs."""
    found = []
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{path}{name}.")
        elif old != new:
            found.append(f"{path}{name}: {old!r} there, {new!r} here")
    return found
