"""Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file.

A checkpoint at step s holds the state after s updates and says whether step s has been measured (validation loss,
samples) yet; if not, it is measured when the run is resumed. The file is written beside its target
and moved, so that a run killed at any moment leaves the checkpoint before it; two are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from ..errors import RefusedFileError, UsageError
from ..tensorfile import read_tensors, write_tensors

FORMAT = "atomweave-checkpoint"
VERSION = 1
_NAME = re.compile(r"step-(\d{9})\.safetensors")


NotNegative = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Best:
    """The best weights so far."""

    step: int
    measure: str  # by what they were chosen
    value: float


@dataclass
class RunState:
    """What a run knows beside its tensors."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run_sha256: str  # hash of the configuration, see `RunConfig.sha256`
    identity: dict[str, Any]  # the configuration itself, to say what differs
    store_sha256: str
    init_from: str | None = None  # sha256 of the weights the run started from
    step: NotNegative = 0  # updates done
    measured: NotNegative = 0  # last step whose averaged weights were measured
    fragments: NotNegative = 0  # decisions seen
    log_bytes: NotNegative = 0  # length of log.jsonl; what was written later is written again
    sums: dict[str, float] = field(default_factory=dict)  # loss terms added up since the last record
    best: Best | None = None  # what best.safetensors holds


_STATE = TypeAdapter(RunState)
Fits = Callable[[Path, Mapping[str, tuple[str, tuple[int, ...]]]], None]


def state_of(text: str) -> RunState:
    """Return the state that was written as JSON.

    Raises:
        ValidationError: if it is none.
    """
    return _STATE.validate_json(text, strict=True)


def save_checkpoint(folder: Path, state: RunState, tensors: dict[str, Tensor], keep: int = 2) -> Path:
    """Write a checkpoint and remove all but the newest `keep`."""
    path = folder / f"step-{state.step:09d}.safetensors"
    write_tensors(path, tensors, {"format": FORMAT, "version": str(VERSION), "state": json.dumps(asdict(state))})
    for old in checkpoints(folder)[keep:]:
        old.unlink()
    return path


def load_checkpoint(
    path: Path, fits: Fits | None = None, run_sha256: str | None = None
) -> tuple[RunState, dict[str, Tensor]]:
    """Read a checkpoint.

    Args:
        path: the file.
        fits: raises RefusedFileError if tensors of these shapes are not those of the run.
        run_sha256: of this run; a checkpoint of another one need not fit. Every one must, if this is None.

    Raises:
        RefusedFileError: if it is damaged, no checkpoint of this version, or does not fit.
    """

    def check(metadata: Mapping[str, str], layout: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        state = _state_of(path, metadata)
        if fits is not None and run_sha256 in (None, state.run_sha256):
            fits(path, layout)

    metadata, tensors = read_tensors(path, FORMAT, VERSION, check)
    return _state_of(path, metadata), tensors


def _state_of(path: Path, metadata: Mapping[str, str]) -> RunState:
    try:
        return state_of(metadata["state"])
    except (KeyError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "there is none"
        raise RefusedFileError(f"{path}: the state of the run cannot be read ({reason}).") from None


def latest_checkpoint(
    folder: Path,
    on_refused: Callable[[RefusedFileError], None],
    fits: Fits | None = None,
    run_sha256: str | None = None,
) -> tuple[RunState, dict[str, Tensor]] | None:
    """Return the newest checkpoint that is whole, or None if there is none at all.

    Args:
        folder: where they lie.
        on_refused: told about each newer one that is damaged.
        fits: as in `load_checkpoint`.
        run_sha256: as there.

    Raises:
        RefusedFileError: if there are checkpoints, but none is whole: to begin again would overwrite the run.
    """
    refused = None
    for path in checkpoints(folder):
        try:
            return load_checkpoint(path, fits, run_sha256)
        except RefusedFileError as error:
            on_refused(error)
            refused = error
    if refused is not None:
        raise RefusedFileError(f"{folder}: no checkpoint is whole; move the folder away to begin again. {refused}")
    return None


def resumable(
    out: Path, wanted: RunState, say: Callable[[str], None], fits: Fits | None = None
) -> tuple[RunState, dict[str, Tensor]] | None:
    """Return the newest whole checkpoint of a folder, which must belong to the run that is wanted; None at a beginning.

    Args:
        out: folder of the run.
        wanted: the state of the run at its beginning; without `init_from`, whatever the run began with is right.
        say: told about damaged checkpoints, and where the run goes on.
        fits: as in `load_checkpoint`.

    Raises:
        UsageError: if the folder holds another run; the message says what differs.
        RefusedFileError: if there are checkpoints, but none is whole.
    """
    found = latest_checkpoint(out / "checkpoints", lambda error: say(f"warning: {error}"), fits, wanted.run_sha256)
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
