"""Dask workers as jobs of Slurm, through dask-jobqueue: jobs are asked for, workers come when the queue lets them."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingDependencyError, UsageError, did_you_mean
from .cluster import ClientExecutor, quiet
from .crew import OnAnswer
from .executors import Limits

LAST_MINUTES = 2 * 60
"""s before its time is up at which a worker leaves the job: what it works on then goes to another, in good order."""


@dataclass(frozen=True)
class SlurmJobs:
    """Jobs to ask for.

    Attributes:
        jobs: how many; a job whose time is up is asked for again.
        cores: of each job; one molecule a core.
        memory: of each job.
        walltime: of each job, H:MM:SS.
        partition: where; the cluster's own choice if empty.
        account: who pays; the user's own if empty.
        qos: quality of service, if one must be named.
        interface: network interface by which jobs reach this process, e.g. ib0.
        scratch: folder on the node for Dask's own files.
    """

    jobs: int = 1
    cores: int = 8
    memory: str = "16GB"
    walltime: str = "4:00:00"
    partition: str = ""
    account: str = ""
    qos: str = ""
    interface: str = ""
    scratch: str = ""

    def __post_init__(self) -> None:
        if self.jobs < 1 or self.cores < 1:
            raise UsageError(f"--slurm: got jobs={self.jobs}, cores={self.cores}, wanted at least one of each.")
        if self.seconds <= LAST_MINUTES:
            raise UsageError(f"--slurm: got walltime={self.walltime}, wanted H:MM:SS, longer than 2 minutes.")

    @classmethod
    def parse(cls, text: str) -> SlurmJobs:
        """Return the jobs of a text such as "jobs=20,cores=16,memory=32GB,walltime=8:00:00,partition=cpu".

        Raises:
            UsageError: if it does not read like this, or names something else.
        """
        known = {entry.name for entry in fields(cls)}
        given: dict[str, Any] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if name not in known:
                raise UsageError(f"--slurm: there is no {name!r}: {did_you_mean(name, known)}")
            if not equals or not value:
                raise UsageError(f"--slurm: got {part!r}, wanted NAME=VALUE, several with commas between them.")
            if name in ("jobs", "cores"):
                if not value.isdecimal():
                    raise UsageError(f"--slurm: got {part!r}, wanted a whole number.")
                given[name] = int(value)
            else:
                given[name] = value
        return cls(**given)

    @property
    def seconds(self) -> int:
        """The walltime in seconds; 0 if it does not read as H:MM:SS."""
        parts = self.walltime.split(":")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            return 0
        hours, minutes, seconds = map(int, parts)
        return 3600 * hours + 60 * minutes + seconds

    def cluster_options(self) -> dict[str, Any]:
        """Return what dask-jobqueue's `SLURMCluster` is told."""
        return {
            "cores": self.cores,
            "processes": self.cores,  # of one thread each: a process that is lost takes one molecule with it
            "memory": self.memory,
            "walltime": self.walltime,
            "queue": self.partition or None,
            "account": self.account or None,
            "interface": self.interface or None,
            "local_directory": self.scratch or None,
            "job_extra_directives": [f"--qos={self.qos}"] if self.qos else [],
            "job_script_prologue": ["export OMP_NUM_THREADS=1"],
            "worker_extra_args": ["--lifetime", f"{self.seconds - LAST_MINUTES}s"],
            "python": sys.executable,
            "job_name": "atomweave",
        }


@dataclass(frozen=True)
class SlurmExecutor:
    """Jobs of Slurm that are asked for when the work begins and cancelled when it ends.

    Attributes:
        jobs: what to ask for.
        limits: of each request.
    """

    jobs: SlurmJobs
    limits: Limits

    def run(
        self,
        task: str,
        requests: Iterable[tuple[int, bytes]],
        options: Mapping[str, Any],
        on_answer: OnAnswer,
        stop: Callable[[], bool] = lambda: False,
        *,
        chunk: int = 1,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        """See `Executor.run`; jobs may wait in the queue as long as it takes.

        Raises:
            InputError: if there is no Slurm here.
            IncompleteError: if the connection to the workers breaks.
        """
        with self.connected() as there:
            there.run(task, requests, options, on_answer, stop, chunk=chunk, files=files)

    def limited(self, limits: Limits) -> SlurmExecutor:
        """See `Executor.limited`."""
        return replace(self, limits=limits)

    @contextlib.contextmanager
    def connected(self) -> Iterator[ClientExecutor]:
        """Yield a connection to a scheduler in this process whose workers are the jobs; raises as `run`."""
        require_jobqueue()
        import shutil

        from dask_jobqueue import SLURMCluster
        from distributed import Client

        if shutil.which("sbatch") is None:
            raise InputError("--slurm: there is no sbatch on the path; run this where jobs are handed in.")
        options = self.jobs.cluster_options()
        with quiet(), SLURMCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
            cluster.adapt(minimum_jobs=self.jobs.jobs, maximum_jobs=self.jobs.jobs)
            yield ClientExecutor(client, "Slurm", self.limits, patience=math.inf)


def require_jobqueue() -> None:
    """Import dask-jobqueue; raise `MissingDependencyError` with the extra to install if there is none.

    Its import makes Ctrl-C end the process without a word and with status 0 (0.9.0); here Ctrl-C stays what it was.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "Slurm needs dask-jobqueue, which is not installed: pip install 'atomweave[cluster]'."
        ) from None
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)
