"""What scoring runs on: the executors of `isolation`, with limits that fit a method."""

from __future__ import annotations

from ..isolation import Executor, Limits, LocalExecutor
from ..isolation.cluster import DaskExecutor
from ..isolation.slurm import SlurmExecutor, SlurmJobs
from .methods import Method

__all__ = ["DaskExecutor", "Executor", "Limits", "LocalExecutor", "SlurmExecutor", "SlurmJobs", "default_limits"]

SECONDS = {"tblite": 120.0, "pyscf": 3600.0}
RELAXING = 10.0
"""Times as long for a molecule that is relaxed first."""


def default_limits(method: Method, relaxing: Method | None = None) -> Limits:
    """Return limits that a molecule of ordinary size passes many times over, and that end what will never finish."""
    further = 0.0 if relaxing is None else RELAXING * SECONDS[relaxing.program]
    return Limits(SECONDS[method.program] + further)
