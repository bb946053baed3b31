"""Files of molecules, whatever is in them."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path

import numpy as np

from . import broken_binary, broken_text
from .counts import Count, check
from .fuzzing import READERS, fuzz
from .oracle import complaints


@check(unit="files", small=400, large=20_000)
def malformed_files(size: int, seed: int, folder: Path) -> Count:
    """A malformed file of any format (xyz, extended xyz, SDF, SMILES, npz, ASE database, store) gives, in less than
    2 s, sentences that name file, frame and field; no traceback, no warning, and no atom that is not finite, coincident
    with another or unknown.

    Cases are drawn by class of damage, see `broken_text` and `broken_binary`.
    """
    rng = np.random.default_rng(seed)
    text, binary = broken_text.cases(folder, rng), broken_binary.cases(folder, rng)
    failures, classes, longest = [], Counter[str](), 0.0
    for damage, name, content in itertools.islice(itertools.chain.from_iterable(zip(text, binary, strict=True)), size):
        path = folder / name
        path.write_bytes(content)
        start = time.process_time()
        failures += [f"{damage} of {name}: {complaint}" for complaint in complaints(path)]
        longest = max(longest, time.process_time() - start)
        classes[f"{damage} {name}"] += 1
    return Count(size, failures, {"kinds of damage": len(classes), "longest, s": round(longest, 2)})


@check(unit="executions", small=40_000, large=1_000_000)
def fuzzed_readers(size: int, seed: int, folder: Path) -> Count:
    """A fuzzer that is led by the branches it reaches (atheris) finds no such file for any reader."""
    each = -(-size // len(READERS))
    executions, failures, notes = 0, [], {}
    for reader in READERS:
        ran = fuzz(reader, each, seed, folder / reader)
        executions += ran.executions
        failures += ran.failures
        notes[f"{reader}, features"] = ran.features
    return Count(executions, failures, notes)
