"""How good the molecules of trained weights are: one record with every figure of the headline and how it was made."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import conditions

from atomweave.cli.sample import available_cpus, check_device
from atomweave.evaluation.headline import summarise
from atomweave.evaluation.validity import Verdict, assess
from atomweave.growth.grower import BLOCK, grow
from atomweave.memory import keep_freed_memory
from atomweave.models.base import Temperatures
from atomweave.models.weights import load_model, n_parameters, weights_path
from atomweave.tensorfile import content_hash

from .records import RESULTS, save_records

if TYPE_CHECKING:
    from atomweave.models.base import Model

PART = 1000
"""Molecules of each disjoint part of the sample, over which the spread of uniqueness is taken."""

WARM_UP = 32
"""Molecules that are grown before the clock starts: the C kernels are compiled and the tables of the sphere made."""


def measure_quality(options: argparse.Namespace) -> None:
    """Grow and judge molecules, and save the record."""
    keep_freed_memory()
    check_device(options.device)
    path = weights_path(options.model)
    model = load_model(path, options.device)
    temperatures = Temperatures(
        focus=options.focus_temperature, position=options.position_temperature, tempering=options.tempering
    )
    start = None if options.start == "data" else options.start
    processes = 1
    if options.device == "cpu":
        processes = min(options.workers or available_cpus(), -(-options.molecules // BLOCK))
    growing = {"temperatures": temperatures, "start": start, "max_atoms": options.max_atoms}
    grow(model, WARM_UP, options.seed + 1, **growing)
    began = time.perf_counter()
    attempts = grow(
        path if processes > 1 else model, options.molecules, options.seed, workers=processes, **growing
    ).attempts
    seconds = time.perf_counter() - began
    measured_on = conditions()
    verdicts = assess(
        [attempt.molecule for attempt in attempts],
        [attempt.finished for attempt in attempts],
        [attempt.reason or "" for attempt in attempts],
        workers=options.workers,
    )
    record = {
        "benchmark": "quality",
        "weights": path.stem,
        # Of the tensors alone: the card, which quotes this record, lies in the same file.
        "weights_sha256": content_hash(model.cpu().state_dict(), {}),
        "trained": _trained(model),
        "seed": options.seed,
        "start": options.start,
        "temperatures": temperatures.model_dump(),
        "max_atoms": options.max_atoms,
        "headline": summarise(verdicts).as_dict(),
        "parts": _parts(verdicts),
        "sizes": _sizes([len(attempt.molecule) for attempt in attempts]),
        "seconds": round(seconds, 2),
        "molecules_per_second": round(len(attempts) / seconds, 2),
        "device": options.device,
        "processes": processes,
        **measured_on,
    }
    out = options.out or RESULTS / f"quality-{path.stem}.json"
    save_records(out, [record])
    print(
        f"{out}: {len(attempts)} attempts, valid {record['headline']['measures']['valid']['value']:.4f}",
        file=sys.stderr,
    )


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


def _parts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the shares that have no interval for each disjoint part of the sample; a rest is left out."""
    parts = [summarise(verdicts[i : i + PART]) for i in range(0, len(verdicts) - PART + 1, PART)]
    return {"size": PART} | {
        name: [round(part[name].value, 5) for part in parts] for name in ("unique", "valid_unique")
    }


def _sizes(n_atoms: Sequence[int]) -> dict[str, float]:
    """Return mean and quantiles of the number of atoms of all attempts."""
    low, middle, high = np.percentile(n_atoms, [5, 50, 95])
    return {"mean": round(float(np.mean(n_atoms)), 3), "p5": float(low), "p50": float(middle), "p95": float(high)}
