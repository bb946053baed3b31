"""What the studies share that teach models: options, splits, and one run."""

from __future__ import annotations

import argparse
from pathlib import Path

from figure_style import command_line

from atomweave.data.store import MoleculeStore
from atomweave.training.config import RunConfig
from atomweave.training.loop import Outcome, train

ROOT = Path(__file__).resolve().parent.parent


def study_options(description: str | None, name: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every study; `description` is the script's docstring, `name` its own."""
    parser = command_line(description)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "qm9.safetensors", help="store (make qm9)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / name, help="folder of the runs")
    return parser


def splits_of(store: MoleculeStore) -> list[str]:
    """Return settings of a run: EDM's splits where a store has them, else all that there is."""
    return [
        f"training.{use}_split={f'edm/{use}' if f'edm/{use}' in store.splits else 'all'}" for use in ("train", "valid")
    ]


def taught(config: RunConfig, store: MoleculeStore, run: Path, data: Path) -> Outcome:
    """Train, or go on where a run was stopped; return how it ended.

    Raises:
        SystemExit: if it was stopped again.
    """
    outcome = train(config, store, run, data_name=data.name)
    if not outcome.finished:
        raise SystemExit(f"stopped: {outcome.reason}; run the same command again to go on.")
    return outcome
