"""How good the molecules of trained weights are: what the evaluator says of them and how they were made, one record."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import conditions

from atomweave.cli.growing import temperatures_of
from atomweave.cli.progress import progress
from atomweave.cli.sample import check_device
from atomweave.errors import UsageError
from atomweave.evaluation.attempts import Attempts, attempts_of
from atomweave.evaluation.building import Work
from atomweave.evaluation.evaluate import score
from atomweave.evaluation.outputs import metrics_content
from atomweave.evaluation.reading import read_attempts
from atomweave.evaluation.suites import Settings, suite_named
from atomweave.growth.grower import BLOCK, grow
from atomweave.isolation import available_cpus
from atomweave.memory import keep_freed_memory
from atomweave.models.weights import load_model, n_parameters, weights_path
from atomweave.tensorfile import content_hash

from .records import RESULTS, Record, of_benchmark, parse, save_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomweave.models.base import Model, Temperatures

WARM_UP = 32
"""Molecules that are grown before the clock starts: the C kernels are compiled and the tables of the sphere made."""


def measure_quality(options: argparse.Namespace) -> None:
    """Grow molecules, or read those grown before, judge them, and save the record."""
    keep_freed_memory()
    check_device(options.device)
    path = weights_path(options.model)
    model = load_model(path, options.device)
    temperatures = temperatures_of(
        options.temperatures, options.focus_temperature, options.position_temperature, options.tempering
    )
    settings = {
        "weights": path.stem,
        # Of the tensors alone: the card, which quotes this record, lies in the same file.
        "weights_sha256": content_hash(model.cpu().state_dict(), {}),
        "trained": _trained(model),
        "seed": options.seed,
        "start": options.start,
        "temperatures": temperatures.model_dump(exclude_none=True),
        "max_atoms": options.max_atoms,
    }
    cooled = "" if options.temperatures == "own" else f"-{options.temperatures}"
    out = options.out or RESULTS / f"quality-{path.stem}{cooled}.json"
    if options.samples is None:
        attempts, growing = _grown(options, path, model, temperatures)
    else:
        attempts = read_samples(options.samples, options.molecules, options.seed)
        growing = earlier_growing(out, settings, len(attempts))
    record = {
        "benchmark": "quality",
        **settings,
        "growing": growing,
        "evaluation": _judged(path.stem, attempts, options),
        "sizes": _sizes([len(molecule) for molecule in attempts.molecules if molecule is not None]),
        **conditions(),
    }
    save_records(out, [record])
    valid = record["evaluation"]["sets"][0]["measures"]["valid"]["value"]
    print(f"{out}: {len(attempts)} attempts, valid {valid:.4f}", file=sys.stderr)


def _grown(
    options: argparse.Namespace, path: Path, model: Model, temperatures: Temperatures
) -> tuple[Attempts, dict[str, Any]]:
    """Return attempts, and how fast they grew on what."""
    processes = 1
    if options.device == "cpu":
        processes = min(options.workers or available_cpus(), -(-options.molecules // BLOCK))
    start = None if options.start == "data" else options.start
    further: dict[str, Any] = {"temperatures": temperatures, "start": start, "max_atoms": options.max_atoms}
    grow(model, WARM_UP, options.seed + 1, **further)
    began = time.perf_counter()
    grown = grow(path if processes > 1 else model, options.molecules, options.seed, workers=processes, **further)
    seconds = time.perf_counter() - began
    growing = {
        "seconds": round(seconds, 2),
        "molecules_per_second": round(options.molecules / seconds, 2),
        "device": options.device,
        "processes": processes,
        **conditions(),
    }
    return attempts_of(grown, path.stem), growing


def read_samples(path: Path, n: int, seed: int) -> Attempts:
    """Return attempts that `atomweave sample` wrote.

    Raises:
        UsageError: if they are fewer than wanted, or say that they were grown from another seed.
    """
    attempts = read_attempts(path, n=n)
    if len(attempts) < n:
        raise UsageError(f"--samples: {path} has {len(attempts)} attempts, wanted {n} as --molecules says.")
    seeds = {str(molecule.properties.get("seed", seed)) for molecule in attempts.molecules if molecule is not None}
    if not seeds <= {str(seed)}:
        raise UsageError(f"--samples: {path} was grown from seed {', '.join(sorted(seeds))}, wanted --seed {seed}.")
    return replace(attempts, source=path.name)  # the folder is of no interest, and differs from machine to machine


def earlier_growing(out: Path, settings: Record, n: int) -> dict[str, Any] | None:
    """Return how fast the same molecules grew when the record that is there now was made; None if it is of others."""
    if not out.exists():
        return None
    for record in of_benchmark(parse(out.read_text("utf-8"), out), "quality"):
        told = {**record, "temperatures": {k: v for k, v in record["temperatures"].items() if v is not None}}
        same = all(told.get(name) == value for name, value in settings.items() if name != "trained")
        if same and record["evaluation"]["sets"][0]["attempts"] == n:
            return record["growing"]
    return None


def _judged(name: str, attempts: Attempts, options: argparse.Namespace) -> dict[str, Any]:
    """Return what metrics.json would hold, without the suites' tables: the page takes them from the library."""
    with contextlib.ExitStack() as bars:

        def show(title: str) -> Callable[[int, int], None]:
            bars.pop_all().close()
            return bars.enter_context(progress(title, "molecules"))

        suites = [suite_named(options.suite, Settings(workers=options.workers))]
        evaluation = score({name: [attempts]}, options.reference, suites, Work(options.workers, progress=show))
    content = metrics_content(evaluation)
    del content["suites"]
    return content


def _trained(model: Model) -> dict[str, Any]:
    """Return what the card says of the weights' origin."""
    card = model.card
    return {
        "parameters": card.parameters or n_parameters(model),
        "data": card.data,
        "start": getattr(model.policy, "start", ""),
        "fragments": card.fragments,
        "budget": card.budget,
    }


def _sizes(n_atoms: Sequence[int]) -> dict[str, float]:
    """Return mean and quantiles of the number of atoms of all attempts."""
    low, middle, high = np.percentile(n_atoms, [5, 50, 95])
    return {"mean": round(float(np.mean(n_atoms)), 3), "p5": float(low), "p50": float(middle), "p95": float(high)}
