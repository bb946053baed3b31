"""Where a command works: on this machine, a Dask scheduler or jobs of Slurm; what the verbs share that can do so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..isolation import Limits
    from ..isolation.cluster import DaskExecutor
    from ..isolation.slurm import SlurmExecutor

Scheduler = Annotated[str | None, typer.Option(help="Dask scheduler to work on, e.g. tcp://host:8786.")]
Slurm = Annotated[
    str | None, typer.Option(help="Work in jobs: jobs=20,cores=16,memory=32GB,walltime=8:00:00,partition=P.")
]


def cluster_of(
    scheduler: str | None, slurm: str | None, limits: Limits | None = None, **here: object
) -> DaskExecutor | SlurmExecutor | None:
    """Return the cluster that the options name; None for this machine.

    Args:
        scheduler: of --scheduler.
        slurm: of --slurm.
        limits: of each request; none by default.
        here: values of options that are about this machine, by name; None where they were not given.

    Raises:
        UsageError: if the options name two places, or one does not read as such.
    """
    from ..isolation import UNLIMITED
    from ..isolation.cluster import DaskExecutor
    from ..isolation.slurm import SlurmExecutor, SlurmJobs

    named = here | {"scheduler": scheduler, "slurm": slurm}
    places = [f"--{name}" for name, value in named.items() if value is not None]
    if (scheduler is not None or slurm is not None) and len(places) > 1:
        raise UsageError(f"{' and '.join(places)} exclude each other: name one place to work.")
    if scheduler is not None:
        return DaskExecutor(scheduler, limits or UNLIMITED)
    return None if slurm is None else SlurmExecutor(SlurmJobs.parse(slurm), limits or UNLIMITED)
