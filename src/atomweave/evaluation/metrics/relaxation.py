"""How far a molecule lies from a minimum: relax it with GFN2-xTB, see whether its bonds survive and what it gains.

A generated molecule may have the right bonds and still be strained. Relaxation answers in energy and in ångströms. It
takes a tenth of a second to a few seconds a molecule, so a stated random part of the valid molecules is relaxed. What
cannot be relaxed (no self-consistent field, no minimum in the energies allowed, a time-out) counts as not kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...chemistry.atoms_frame import pack_atoms
from ...chemistry.xtb import Relaxation, require_tblite
from ...errors import UsageError
from ...isolation import Failure, run_isolated
from ...isolation.crew import MEMORY_LIMIT
from ..bootstrap import percentile_interval
from ..graphs import Graphs
from ..measure import Measure, number, share
from ..metric import Result, Statistics
from .distortion import mean_changes
from .relaxation_task import unpack_relaxation
from .superposition import best_fit_rmsd

if TYPE_CHECKING:
    from ..reference import Reference
    from ..sample import Sample
    from ..validity import Verdict

KCAL_PER_MOL = 23.060547830619
"""1 eV in kcal/mol."""

Figure = Callable[[np.ndarray], float]
"""Values of molecules, one row each -> one number."""


@dataclass(frozen=True)
class Xtb:
    """Share of molecules that keep their bonds when relaxed, and how far they move and fall.

    Attributes:
        n: how many valid molecules, drawn at random, are relaxed; None for all.
        threshold: largest force (eV/Å) on any atom of a minimum.
        max_energies: energies after which a molecule counts as not relaxed.
        seed: of the draw.
        workers: processes; by default one for each CPU, fewer if there is little to do.
        timeout: seconds of wall-clock time for one molecule.
        memory: bytes of address space for one worker.
    """

    n: int | None = 200
    threshold: float = 0.01
    max_energies: int = 300
    seed: int = 0
    workers: int | None = None
    timeout: float = 90.0
    memory: int = MEMORY_LIMIT
    name: str = "xtb"

    def __post_init__(self) -> None:
        if self.n is not None and self.n < 0:
            raise UsageError(f"xtb: got n={self.n} molecules to relax, wanted 0 or more, or None for all.")
        if self.threshold <= 0 or self.max_energies < 1:
            got = f"threshold={self.threshold:g}, max_energies={self.max_energies}"
            raise UsageError(f"xtb: got {got}, wanted a threshold above 0 eV/Å and at least one energy.")

    def measure(self, sample: Sample, reference: Reference) -> Result:
        """Return the figures of a random part of the valid molecules; `reference` is not needed.

        Raises:
            MissingDependencyError: if tblite is not installed.
        """
        require_tblite()
        drawn = sample.valid
        if self.n is not None and self.n < len(drawn):
            drawn = np.sort(np.random.default_rng(self.seed).choice(drawn, self.n, replace=False))
        verdicts = [sample.verdicts[index] for index in drawn]
        found = self._relax(verdicts, sample)
        subset = f"a random {len(drawn):,} of the valid (seed {self.seed})" if len(drawn) < len(sample.valid) else ""
        reasons = [relaxation.reason for relaxation, _ in found]
        kept = [kept for _, kept in found]
        minima = [index for index, reason in enumerate(reasons) if not reason]
        graphs = Graphs.of([verdicts[index] for index in minima])
        ends = [found[index][0] for index in minima]
        rmsds = [
            best_fit_rmsd(graphs.positions[start:stop], end.positions)
            for start, stop, end in zip(graphs.atom_offsets, graphs.atom_offsets[1:], ends, strict=False)
        ]
        drops = [end.energy_drop for end in ends]
        failures = Counter(filter(None, reasons))
        why = "; ".join(f"{reason}: {n}" for reason, n in failures.most_common())
        measures = (
            share("xtb/graph_kept", "bonds kept by GFN2-xTB", sum(kept), len(found), "relaxations", better="high",
                  note=subset),
            share("xtb/converged", "relaxation converges", len(minima), len(found), "relaxations", better="high",
                  note="; ".join(filter(None, [subset, why]))),
            *_lengths(np.array(rmsds), subset),
            *_energies(np.array(drops), subset),
            *_distortions(graphs, ends, subset),
        )  # fmt: skip
        columns = {
            "xtb_graph_kept": sample.over_valid(kept, drawn),
            "xtb_reason": sample.over_valid(reasons, drawn),
            "xtb_rmsd": sample.over_valid(rmsds, drawn[minima]),
            "xtb_energy_drop": sample.over_valid(drops, drawn[minima]),
        }
        return Result(measures, columns)

    def describe(self, sample: Sample) -> Statistics:
        """Return nothing: the reference's own values are all that is compared with."""
        return Statistics()

    def _relax(self, verdicts: Sequence[Verdict], sample: Sample) -> list[tuple[Relaxation, bool]]:
        molecules = [verdict.molecule for verdict in verdicts if verdict.molecule is not None]
        answers = run_isolated(
            "xtb",
            [pack_atoms(molecule.numbers, molecule.positions) for molecule in molecules],
            options={"threshold": self.threshold, "max_energies": self.max_energies},
            workers=self.workers,
            timeout=self.timeout,
            memory=self.memory,
            chunk=2,  # molecules take up to seconds each: small turns, so that all workers end together
            min_per_worker=8,
            progress=sample.showing("GFN2-xTB") if molecules else None,
        )
        return [
            (Relaxation(answer.reason), False) if isinstance(answer, Failure) else unpack_relaxation(answer)
            for answer in answers
        ]


def _lengths(rmsds: np.ndarray, subset: str) -> tuple[Measure, ...]:
    return (
        _typical("xtb/rmsd", "RMSD to the minimum, median", rmsds, np.median, "Å", subset),
        _typical("xtb/rmsd_mean", "RMSD to the minimum, mean", rmsds, np.mean, "Å", subset),
    )


def _energies(drops: np.ndarray, subset: str) -> tuple[Measure, ...]:
    measures = []
    for name, label, figure in (("", "median", np.median), ("_mean", "mean", np.mean)):
        kcal = f"{KCAL_PER_MOL * float(figure(drops)):.2f} kcal/mol" if len(drops) else ""
        note = "; ".join(filter(None, [subset, kcal]))
        measures.append(
            _typical(f"xtb/energy_drop{name}", f"energy above the minimum, {label}", drops, figure, "eV", note)
        )
    return tuple(measures)


def _distortions(graphs: Graphs, ends: Sequence[Relaxation], subset: str) -> tuple[Measure, ...]:
    after = np.concatenate([end.positions for end in ends]) if ends else np.zeros((0, 3))
    labels = {"bond": ("Å", "mean change of a bond length"), "angle": ("°", "mean change of a bond angle"),
              "torsion": ("°", "mean change of a torsion")}  # fmt: skip
    changes = mean_changes(graphs, after)
    return tuple(
        # Molecules without a torsion have none to draw.
        _typical(f"xtb/{name}_change", label, changes[name][changes[name][:, 1] > 0], _pooled_mean, unit, subset)
        for name, (unit, label) in labels.items()
    )


def _typical(name: str, label: str, values: np.ndarray, figure: Figure, unit: str, note: str) -> Measure:
    """Return a figure over molecules, one row of `values` each, with its bootstrap interval."""
    value = float(figure(values)) if len(values) else math.nan
    bounds = percentile_interval(values, figure)
    return number(
        name, label, value, len(values), "relaxed to a minimum", unit, interval=bounds, note=note, better="low"
    )


def _pooled_mean(sums_and_numbers: np.ndarray) -> float:
    total, count = sums_and_numbers.sum(0)
    return float(total / count)
