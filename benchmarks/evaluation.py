"""Speed of the evaluator on 10,000 molecules: random ones of QM9, and those of a file if one is named.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py samples.sdf --posebusters 500

Required on two cores: the figures of the core ("core_figures": both verdicts, stability, uniqueness, MMD of bond
lengths, divergences, rings) under 10 s, if possible 5; look-up stability alone 0.5 s, for which the usual script takes
44; bispectra with their MMD 15 s; PoseBusters without energies 180 s, here measured on fewer molecules and scaled up.
Molecules of a trained model cost more than those of QM9: invalid ones are searched for bond orders to the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import STORE, report, timed

from atomweave import Molecule, MoleculeStore
from atomweave.chemistry.tables import LENGTHS, MARGINS, VALENCES
from atomweave.evaluation.attempts import Attempts, attempts_of
from atomweave.evaluation.building import Work
from atomweave.evaluation.evaluate import score
from atomweave.evaluation.evaluation import Suite
from atomweave.evaluation.metrics.bispectra import Bispectra
from atomweave.evaluation.metrics.bond_lengths import BondLengths
from atomweave.evaluation.metrics.composition import Composition
from atomweave.evaluation.metrics.environments import Environments
from atomweave.evaluation.metrics.lookup import LookUp
from atomweave.evaluation.metrics.posebusters import PoseBusters
from atomweave.evaluation.metrics.rings import Rings
from atomweave.evaluation.metrics.shares import Validity
from atomweave.evaluation.reading import read_attempts
from atomweave.evaluation.reference import Reference, shipped_references
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.stability import stability
from atomweave.evaluation.validity import assess
from atomweave.io import write

CORE = Suite(
    "core_figures", "", (Validity(), LookUp(), BondLengths(), Environments(), Composition(), Rings()), ()
)  # fmt: skip
"""What the 10 seconds are for; suite `core` of the command line has more."""

NAIVE_MOLECULES = 200
SEED = 0


def main() -> None:
    """Print one JSON line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", nargs="?", type=Path, help="a file of molecules to be judged as well")
    parser.add_argument("-n", "--molecules", type=int, default=10_000, help="of either (default 10000)")
    parser.add_argument(
        "--reference", default="qm9", help="as `atomweave evaluate` takes it, made before (default qm9)"
    )
    parser.add_argument("--posebusters", type=int, default=1_000, help="attempts for PoseBusters; 0 for none")
    options = parser.parse_args()
    store = MoleculeStore.open(STORE)
    chosen = np.sort(np.random.default_rng(SEED).choice(len(store), min(options.molecules, len(store)), replace=False))
    sets = {"QM9": attempts_of([store[int(index)] for index in chosen], "QM9")}
    if options.samples is not None:
        sets[options.samples.stem] = read_attempts(options.samples, n=options.molecules)
    for name, attempts in sets.items():
        measure(name, attempts, options.reference, options.posebusters)


def measure(name: str, attempts: Attempts, source: str, n_posebusters: int) -> None:
    """Time everything on one set of attempts.

    Args:
        name: of the set, as the lines show it.
        attempts: what is judged.
        source: the reference's name or file.
        n_posebusters: so many of the attempts go through PoseBusters.
    """
    reference = Reference.open(shipped_references().get(source, source))
    molecules = [molecule for molecule in attempts.molecules if molecule is not None]
    told = {"sample": name, "molecules": len(attempts)}

    compare_stability(molecules, told)
    seconds = timed(lambda: score({name: [attempts]}, reference, [CORE], Work()), repeat=3).median
    report("evaluation", what="core_figures", seconds=seconds, **told)

    sample = Sample(name, tuple(assess(attempts.molecules, attempts.finished, attempts.reasons)))
    # A copy of the sample has no graphs yet: their making is inside the time.
    seconds = timed(lambda: Bispectra().measure(replace(sample), reference), repeat=1).median
    report("evaluation", what="bispectra", seconds=seconds, **told)
    if n_posebusters:
        time_posebusters(sample, n_posebusters, told)
    time_files(molecules, source, told)


def compare_stability(molecules: Sequence[Molecule], told: dict) -> None:
    """Print seconds of look-up stability, and how many times faster it is than the usual script in the same run."""
    seconds = timed(lambda: stability(molecules)).median
    report("evaluation", what="stability", seconds=seconds, **told)
    few = molecules[:NAIVE_MOLECULES]
    naive = timed(lambda: [naive_stable(molecule) for molecule in few], repeat=1, warm_up=0).median
    if [naive_stable(molecule) for molecule in few] != stability(few).n_stable.tolist():
        sys.exit("error: the naive loop and `stability` disagree on the number of stable atoms.")
    naive *= len(molecules) / len(few)
    report("naive_stability", ratio=naive / seconds, naive_seconds=naive, measured_on=len(few), **told)


def naive_stable(molecule: Molecule) -> int:
    """Return the number of stable atoms as the usual script counts them: pair by pair, order by order."""
    symbols, sums = molecule.symbols, [0] * len(molecule)
    order_of = list(VALENCES).index
    for a in range(len(molecule)):
        for b in range(a + 1, len(molecule)):
            distance = 100 * np.sqrt(np.sum((molecule.positions[a] - molecule.positions[b]) ** 2))
            pair = "".join(sorted((symbols[a], symbols[b]), key=order_of))
            for lengths, margin in zip(LENGTHS, MARGINS, strict=True):
                if pair not in lengths or distance >= lengths[pair] + margin:
                    break
                sums[a] += 1
                sums[b] += 1
    return sum(total == VALENCES[symbol] for total, symbol in zip(sums, symbols, strict=True))


def time_posebusters(sample: Sample, n: int, told: dict) -> None:
    """Print seconds of PoseBusters' tests without energies, of the first n attempts and scaled to all."""
    part = sample.part(np.arange(min(n, len(sample))))
    metric = PoseBusters("thesis", energies=0)
    seconds = timed(lambda: metric.measure(part, Reference()), repeat=1, warm_up=0).median
    scaled = seconds * len(sample) / len(part)
    report("evaluation", what="posebusters", seconds=scaled, part_seconds=seconds, measured_on=len(part), **told)


def time_files(molecules: Sequence[Molecule], source: str, told: dict) -> None:
    """Print seconds of reading files, and of the command line from a file to the report."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("xyz", "sdf"):
            path = Path(folder) / f"samples.{suffix}"
            write(path, molecules)
            seconds = timed(lambda path=path: read_attempts(path), repeat=3).median
            report("evaluation", what=f"read_{suffix}", seconds=seconds, **told)
        command = [sys.executable, "-m", "atomweave", "evaluate", path, "-o", Path(folder) / "judged"]
        command += ["--suite", "core", "--reference", source, "--force"]
        seconds = timed(lambda: subprocess.run(command, check=True, capture_output=True), repeat=1).median
        report("evaluation", what="command_core", seconds=seconds, **told)


if __name__ == "__main__":
    main()
