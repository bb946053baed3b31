"""Speed of the naive Symphony of the tests beside the fast one, in one run: a ratio outlives the moment of the machine.

    python benchmarks/naive.py --fragments 4 --molecules 1

The naive model is the published computation: one fragment at a time, every edge, every atom, densities on all 64 shells
of 180 x 359 directions. Both take the same fragments of the same molecules, with the same weights.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from harness import ROOT, report, timed

from atomweave.growth.grower import grow
from atomweave.growth.policies import build_policy
from atomweave.growth.trajectories import Trajectories
from atomweave.models.symphony import Symphony, SymphonyConfig

sys.path.insert(0, str(ROOT / "tests"))  # the naive model belongs to the tests

from reference.molecules import qm9_molecules
from reference.symphony import NaiveSymphony, lessons, naive_copy


def main() -> None:
    """Print one JSON line for training and one for growing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fragments", type=int, default=4, help="fragments that the naive model is taught")
    parser.add_argument("--molecules", type=int, default=1, help="molecules that the naive model grows; 0 for none")
    parser.add_argument("--max-atoms", type=int, default=10, help="atoms at which growing ends")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    fast = Symphony(SymphonyConfig())
    naive = naive_copy(fast)
    compare_training(fast, naive, arguments.fragments)
    if arguments.molecules:
        compare_growing(fast, naive, arguments.molecules, arguments.max_atoms)


def compare_training(fast: Symphony, naive: NaiveSymphony, n_fragments: int) -> None:
    """Time forward, backward and Adam of both: the naive model on evenly chosen fragments, the fast one on all."""
    batch = training_batch(fast)
    chosen = list(lessons(batch, len(fast.species)))
    chosen = [chosen[i * len(chosen) // n_fragments] for i in range(n_fragments)]
    naive_optimizer = torch.optim.Adam(naive.parameters(), lr=5e-4)
    fast_optimizer = torch.optim.Adam(fast.parameters(), lr=5e-4)
    rng = torch.Generator().manual_seed(0)

    def naive_step() -> None:
        naive_optimizer.zero_grad()
        for lesson in chosen:  # one at a time, or the grids of all fragments would have to fit into memory
            (sum(naive.losses(lesson)) / n_fragments).backward()
        naive_optimizer.step()

    def fast_step() -> None:
        fast_optimizer.zero_grad()
        fast.loss(batch, rng)["loss"].backward()
        fast_optimizer.step()

    naive_seconds, fast_seconds = timed(naive_step, repeat=1).median, timed(fast_step).median
    naive_rate, fast_rate = n_fragments / naive_seconds, int(batch.n_decisions) / fast_seconds
    report(
        "naive_training",
        naive_fragments_per_second=round(naive_rate, 2),
        fast_fragments_per_second=round(fast_rate, 1),
        ratio=round(fast_rate / naive_rate, 1),
        naive_fragments=n_fragments,
        fast_fragments=int(batch.n_decisions),
    )


def compare_growing(fast: Symphony, naive: NaiveSymphony, n_molecules: int, max_atoms: int) -> None:
    """Time both until molecules of untrained models stop or are full, and compare atoms a second."""
    start = fast.species.symbols.index("C")
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        began = time.perf_counter()
        naive_atoms = sum(len(naive.grow(start, rng, max_atoms)[0]) for _ in range(n_molecules))
        naive_rate = naive_atoms / (time.perf_counter() - began)
        began = time.perf_counter()
        grown = grow(fast, 64, start="C", max_atoms=max_atoms)
        fast_rate = sum(len(attempt.molecule) for attempt in grown.attempts) / (time.perf_counter() - began)
    report(
        "naive_growing",
        naive_atoms_per_second=round(naive_rate, 3),
        fast_atoms_per_second=round(fast_rate, 2),
        ratio=round(fast_rate / naive_rate, 1),
        max_atoms=max_atoms,
    )


def training_batch(model: Symphony) -> Trajectories:
    """Return a trajectory of each of three molecules of QM9 with 14, 16 and 29 atoms, all 59 fragments."""
    known = qm9_molecules()
    molecules = [known[formula] for formula in ("C6H6FN", "C4H8F3N", "C9H20")]
    grown, _ = build_policy(model.policy, model.species).grow_molecules(molecules)
    return grown


if __name__ == "__main__":
    main()
