"""A real Dask scheduler with real workers, each a process of its own, talking over the loopback interface."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Self


class Cluster:
    """Started when entered; workers have one thread each and no nanny that would start them again."""

    def __init__(self, folder: Path, n_workers: int) -> None:
        self.folder, self.n_workers = folder, n_workers
        self.processes: list[subprocess.Popen] = []
        self.address = ""

    def __enter__(self) -> Self:
        told = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)
        )
        began = time.monotonic()
        while not told.exists():
            assert time.monotonic() - began < 120, (self.folder / "dask0.log").read_text()
            time.sleep(0.05)
        self.address = json.loads(told.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(self.n_workers)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def add_worker(self) -> subprocess.Popen:
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", str(self.folder),
        )  # fmt: skip

    def wait_for_workers(self, n_workers: int) -> None:
        """Return when so many workers have reported to the scheduler."""
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=120)

    def _start(self, *arguments: str) -> subprocess.Popen:
        with (self.folder / f"dask{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen([sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log)
        self.processes.append(process)
        return process
