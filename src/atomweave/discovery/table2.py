"""What a run stands beside: published figures of targeted discovery (Y. Luo, S. Ji, ICLR 2022, table 2), and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..properties.methods import PACKAGED, QM9_BASIS, QM9_LEVEL
from .objective import Objective

if TYPE_CHECKING:
    from .plan import Plan

SOURCE = "Luo and Ji, ICLR 2022, table 2"


@dataclass(frozen=True)
class Row:
    """One line: a system, what it was measured on, and mean, best and share of good ones."""

    system: str
    note: str
    mean: float
    best: float
    good: float  # share of the scored, in [0, 1]


PUBLISHED: Mapping[tuple[str, str, float], tuple[Row, ...]] = {
    ("gap", "minimize", 4.5): (
        Row("QM9", "published, 133,885 molecules", 6.833, 0.669, 0.0320),
        Row("G-SchNet", "published", 3.447, 0.583, 0.7845),
        Row("G-SphereNet", "published", 2.907, 0.294, 0.8273),
    ),
    ("polarizability", "maximize", 91.0): (
        Row("QM9", "published, 133,885 molecules", 75.19, 196.62, 0.0204),
        Row("G-SchNet", "published", 76.94, 204.04, 0.3018),
        Row("G-SphereNet", "published", 88.18, 349.98, 0.3549),
    ),
}
"""(property, direction, threshold) -> rows. G-SchNet and G-SphereNet: B3LYP/6-31G(2df,p) in PySCF's packaged basis for
the valid among 1,000 grown; radicals were scored, as anions where need be, which lowers means and makes the bests."""

CAVEAT = (
    "The published systems scored radicals and charged species as well, some as anions: their best values, and part of "
    "their means, are of such. Here only neutral closed shells have a value; all else counts as not good."
)


def published(plan: Plan) -> tuple[Row, ...]:
    """Return the published rows that a run compares with; none where the paper has none, or by another method."""
    objective = plan.objective
    rows = PUBLISHED.get((objective.target, objective.direction, objective.threshold), ())
    return rows if comparable(plan) else ()


def comparable(plan: Plan) -> bool:
    """Return whether a run's method is B3LYP/6-31G(2df,p), by QM9's recipe or in PySCF's packaged basis."""
    return plan.method in {QM9_LEVEL, f"b3lyp/{PACKAGED}{QM9_BASIS}"}


def caveat(plan: Plan) -> str:
    """Return what must stand with a run's figures; empty where nothing must."""
    if not comparable(plan):
        mixed = (
            " Rounds rank data and run together all the same, so that one of them is preferred." if plan.rounds else ""
        )
        return (
            f"{plan.method} is not the method of QM9 and of the published figures, which is B3LYP/6-31G(2df,p): values "
            f"by it compare with neither.{mixed}"
        )
    return CAVEAT if published(plan) else ""


def of_data(name: str, note: str, values: np.ndarray, objective: Objective) -> Row:
    """Return the same figures of (n,) values that data hold."""
    values = values[np.isfinite(values)]
    best = float(values[objective.order(values)[0]]) if len(values) else float("nan")
    return Row(name, note, float(values.mean()), best, float(objective.good(values).mean()))
