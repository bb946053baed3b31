"""One run in several processes: each computes its part of every batch, and the gradients are added up.

`torchrun` starts the processes and tells each who it is (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT). All
prepare the same batches and hold the same weights; the leader, rank 0, alone reads and writes the folder of the run.
Whether to stop or to go on is decided by all together, between the same two steps.

Gradients go in one message a step. torch's DistributedDataParallel does not fit: it wants a backward pass through one
module in every process, where a process may have several or, in a small batch, none, and it leaves no gradient alone
only after searching the graph for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import timedelta

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor

from ..errors import AtomweaveError, IncompleteError, UsageError
from .checkpoint import RunState, state_of

STARTING = timedelta(minutes=2)
"""How long a process looks for the others, which torchrun has brought together before."""

STEP = timedelta(minutes=10)
"""How long a process waits for the others within a step before it takes them for lost."""

PATIENCE = timedelta(days=7)
"""How long a process waits while the leader grows samples; that the leader has died is noticed at once."""


class Processes:
    """The processes of a run as one of them sees them; alone, it has nobody to ask, and every method is the identity.

    Args:
        rank: which process this is; 0 is the leader.
        size: how many there are.
        store: where they find one another; None where there is one only.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: dist.Store | None = None) -> None:
        self.rank, self.size, self._store = rank, size, store
        self._patient = dist.new_group(backend="gloo", timeout=PATIENCE) if size > 1 else None

    @property
    def leads(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def any(self, *flags: bool, patiently: bool = False) -> list[bool]:
        """Return for each flag whether it is true in any process.

        Args:
            flags: of this process.
            patiently: wait as long as it takes, for what the leader does alone.
        """
        if self.size == 1:
            return list(flags)
        together = torch.tensor(flags, dtype=torch.int32)
        with _losing():
            dist.all_reduce(together, dist.ReduceOp.MAX, self._patient if patiently else None)
        return together.bool().tolist()

    def add_up(self, parameters: Iterable[Tensor], terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Replace the gradients of `parameters` by their sums over all processes; return the sums of `terms`.

        A parameter that has a gradient nowhere keeps none, so that the optimizer passes over it.

        Args:
            parameters: the same ones in every process, in the same order.
            terms: scalars of the same names in every process.
        """
        if self.size == 1:
            return terms
        parameters = list(parameters)
        taught = self.any(*(parameter.grad is not None for parameter in parameters))
        parameters = [parameter for parameter, some in zip(parameters, taught, strict=True) if some]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        message = torch.cat([*(gradient.flatten() for gradient in gradients), torch.stack(list(terms.values()))])
        with _losing():
            dist.all_reduce(message)
        *summed, values = message.split([*(parameter.numel() for parameter in parameters), len(terms)])
        for parameter, gradient in zip(parameters, summed, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return dict(zip(terms, values.unbind(), strict=True))

    def from_leader(self, content: bytes) -> bytes:
        """Return the leader's `content` in every process; what the others bring is ignored."""
        if self.size == 1:
            return content
        with _losing():
            length = torch.tensor(len(content))
            dist.broadcast(length, 0)
            data = torch.empty(int(length), dtype=torch.uint8)
            if self.leads:
                data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            dist.broadcast(data, 0)
        return data.numpy().tobytes()

    def may_tell(self) -> bool:
        """Return whether this is the first process to report a failure: one sentence is enough for all."""
        if self._store is None:
            return True
        try:
            return self._store.add("told", 1) == 1
        except RuntimeError:  # whoever kept the count is gone
            return True


ALONE = Processes()
"""What most runs are."""


@contextlib.contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be alone where it did not, and leave with them at the end.

    Of a failure that all of them meet the first tells; the errors of the others have no text.

    Args:
        device: as configured, `training.device`.

    Raises:
        UsageError: if there are to be several processes, but torchrun did not start this one, or it has no GPU.
        IncompleteError: if another process ends before its time.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    from torch.distributed.rendezvous import rendezvous

    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UsageError(
            f"training: WORLD_SIZE is {size}, but {', '.join(missing)} is not set; start several processes with "
            f"torchrun, or unset WORLD_SIZE."
        )
    on_gpu = torch.device(own_device(device)).type == "cuda"
    with _losing():
        store, rank, size = next(rendezvous("env://", timeout=STARTING))
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=STEP)
        processes = Processes(rank, size, store)
    try:
        yield processes
        processes.any(patiently=True)  # whoever left earlier would be taken for dead
    except (AtomweaveError, OSError, KeyboardInterrupt):
        if processes.may_tell():
            raise
        raise IncompleteError("") from None
    dist.destroy_process_group()


def shared_start(
    processes: Processes, wanted: RunState, found: tuple[RunState, dict[str, Tensor]] | None
) -> tuple[RunState, dict[str, Tensor]] | None:
    """Return in every process the checkpoint that the leader found, None at a beginning.

    Args:
        processes: of the run.
        wanted: the state of the run at its beginning, as this process was told.
        found: what the leader goes on from; what the others bring is ignored.

    Raises:
        UsageError: if this process was told of another run than the leader.
    """
    if processes.size == 1:
        return found
    state, tensors = found or (wanted, {})
    told = json.dumps([found is not None, asdict(wanted), asdict(state)]).encode()
    told, _, stored = processes.from_leader(told + b"\n" + save(tensors)).partition(b"\n")
    resumes, leaders, values = json.loads(told)
    if leaders != asdict(wanted):
        raise UsageError(
            f"training: process {processes.rank} was started with another configuration, store or --init-from than "
            f"process 0; every machine needs the same command and the same files."
        )
    return (state_of(json.dumps(values)), load(stored)) if resumes else None


def own_device(name: str) -> str:
    """Return the device of this process, where `name` is configured for all of them.

    Raises:
        UsageError: if there is not one GPU a process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not name.startswith("cuda"):
        return name
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if name != "cuda":
        raise UsageError(
            f"training.device: {name!r} is one GPU for several processes; wanted cuda, which gives each its own."
        )
    if local >= there:
        raise UsageError(
            f"training.device: process {local} of this machine found {there} GPUs, and each process needs its own; "
            f"start torchrun with --nproc-per-node {max(1, there)} or with training.device=cpu."
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


@contextlib.contextmanager
def _losing() -> Iterator[None]:
    """Turn what torch says when a process is gone into the sentence that a user can act upon."""
    try:
        yield
    except RuntimeError as error:
        # The first sentence, without the place in gloo's source.
        said = re.sub(r"^\[\S*:\d+\] ", "", str(error).partition("\n")[0]).partition(". ")[0]
        raise IncompleteError(
            f"training: another process of this run has ended or does not answer ({said}); run the same command again "
            f"to go on from the last checkpoint."
        ) from None
