"""A real Slurm of two nodes, both of them this machine: munged, slurmctld and two slurmd, with files in one folder."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=6000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=6000 State=UNKNOWN
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs of Slurm that are not installed here."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


class Slurm:
    """Started when entered; `environment` makes sbatch and its like talk to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
        self.environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> Self:
        for name in ("state", "n1", "n2"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        told = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], user=getpass.getuser(), folder=self.folder, ports=free_ports(3)
        )
        (self.folder / "slurm.conf").write_text(told, encoding="utf-8")
        names = {name: self.folder / f"munge.{name}" for name in ("key", "socket", "log", "pid", "seed")}
        self._start(
            "munged", "--foreground", "--force", f"--socket={names['socket']}", f"--key-file={names['key']}",
            f"--log-file={names['log']}", f"--pid-file={names['pid']}", f"--seed-file={names['seed']}",
        )  # fmt: skip
        self._wait(names["socket"].exists)
        self._start("slurmctld", "-D", "-c")
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node)
        self._wait(lambda: self.told("sinfo", "-h", "-N", "-o", "%t").split() == ["idle", "idle"])
        return self

    def __exit__(self, *_: object) -> None:
        for job in self.jobs():
            self.cancel(job)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait()

    def told(self, *command: str) -> str:
        """Return what a command prints; empty where it fails."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        return done.stdout if done.returncode == 0 else ""

    def jobs(self) -> list[str]:
        """Return the numbers of the jobs that run or wait."""
        return self.told("squeue", "-h", "-t", "running,pending,completing", "-o", "%i").split()

    def running(self) -> list[str]:
        """Return the numbers of the jobs that run."""
        return self.told("squeue", "-h", "-t", "running", "-o", "%i").split()

    def cancel(self, job: str) -> None:
        """End a job, as the cluster's keeper might."""
        self.told("scancel", job)

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}{len(self.daemons)}.log").open("w") as log:
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=self.environment))

    def _wait(self, done) -> None:
        began = time.monotonic()
        while not done():
            logs = [path.read_text(errors="replace")[-500:] for path in self.folder.glob("*.log")]
            assert time.monotonic() - began < 60, logs
            time.sleep(0.1)


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
