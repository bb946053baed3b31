"""Molecules at their nearest minimum: a strained molecule has a smaller gap, and what is taught is drawn again.

A generator misses a minimum by a few hundredths of an Å, and whoever picks the smallest gaps of what it grew picks its
misses as well. Taught as grown, they are the next model's geometry, and strain adds up from round to round. So rounds
look at the minimum that a cheap method finds from what was grown, and only where it is the same molecule.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .drawn import Drawn
from .work import Work

if TYPE_CHECKING:
    from ..molecule import Molecule
    from .measured import Measured
    from .plan import Plan

NO_MINIMUM = "no minimum found"
ANOTHER = "another molecule at the minimum"


def at_minima(drawn: Drawn, indices: Sequence[int], method: str, results: Path, work: Work) -> Drawn:
    """Return a set in which some molecules lie at their minimum; those without one of their own are refused there.

    Args:
        drawn: as grown.
        indices: valid attempts that are neutral closed shells.
        method: whose minimum is sought.
        results: file of scores, which keeps the minima.
        work: how to compute.
    """
    from ..evaluation.validity import assess

    found = relaxed([drawn.molecule(index) for index in indices], method, results, work, f"of {drawn.name}")
    there = [(index, molecule) for index, molecule in zip(indices, found, strict=True) if molecule is not None]
    verdicts, lost = list(drawn.verdicts), dict.fromkeys(set(indices), NO_MINIMUM)
    new = assess([molecule for _, molecule in there], workers=work.workers)
    for (index, _), verdict in zip(there, new, strict=True):
        same = verdict.smiles == verdicts[index].smiles
        lost[index] = "" if same else ANOTHER
        if same:
            verdicts[index] = verdict
    return replace(drawn, verdicts=tuple(verdicts), lost={index: why for index, why in lost.items() if why})


def relaxed(molecules: Sequence[Molecule], method: str, results: Path, work: Work, what: str) -> list[Molecule | None]:
    """Return each molecule at its nearest minimum; None where none is found."""
    from ..properties.scoring import score

    if not molecules:
        return []
    work.say(f"relaxing {len(molecules):,} molecules {what} by {method}")
    with work.progress("relaxing", "molecules") as show:
        found = score(
            molecules, ("energy",), method, relax=True, results=results, executor=work.executor, progress=show
        )
    return [one.relaxed for one in found]


@dataclass(frozen=True)
class Strain:
    """What molecules that were drawn by lot and scored owe to their geometry.

    Attributes:
        method: that relaxed them.
        screen: method that compares the property before and after.
        n: molecules.
        same: of them, still the same molecule at a minimum.
        change: median change of the property as these relax; NaN where there are none.
    """

    method: str
    screen: str
    n: int
    same: int
    change: float


def can_tell_strain(plan: Plan) -> bool:
    """Return whether a plan names minima to look at, and the programs for that are installed."""
    from ..properties.methods import parse_method

    return plan.relax_by is not None and all(
        importlib.util.find_spec(parse_method(name).program) for name in (plan.relax_by, plan.screen)
    )


def strain(measured: Measured, plan: Plan, results: Path, work: Work) -> Strain:
    """Relax what was drawn by lot and scored, and see what becomes of the property.

    Args:
        measured: molecules as grown.
        plan: one of which `can_tell_strain`.
        results: file of scores.
        work: how to compute.
    """
    from ..properties.scoring import score
    from .provenance import RANDOM

    method = plan.relax_by
    assert method is not None, "the plan looks at no minima"
    target, indices = (plan.target,), [entry.index for entry in measured.scored(RANDOM)]
    minima = at_minima(measured.drawn, indices, method, results, work)
    same = [index for index in indices if index not in minima.lost]
    with work.progress("comparing", "molecules") as show:
        ends = [
            score([one.molecule(index) for index in same], target, plan.screen, results=results, executor=work.executor,
                  progress=show)
            for one in (measured.drawn, minima)
        ]  # fmt: skip
    changes = [
        after.values[target[0]] - before.values[target[0]]
        for before, after in zip(*ends, strict=True)
        if not before.reason and not after.reason
    ]
    return Strain(method, plan.screen, len(indices), len(same), float(np.median(changes)) if changes else float("nan"))
