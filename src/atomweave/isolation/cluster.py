"""Requests answered on many machines: Dask's workers, each with a child process that one request may bring down.

What stands on the cluster at any time is bounded: a few requests for each thread of the workers that are there now.
Answers come back to the one process that asked and are handed over there. When a Dask worker dies, the scheduler gives
its requests to others; only one that was with several workers when they died is given up. Files that a task reads go
to each worker once, by their content: its machine need not see the folders of this one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import AtomweaveError, IncompleteError, InputError, MissingDependencyError, UsageError
from ..versions import installed_versions
from .crew import CRASH, ERROR, WAIT, Failure, OnAnswer
from .executors import Limits
from .standing import Order, answer_standing, end_standing
from .tasks import deciding

if TYPE_CHECKING:
    from distributed import Client, Future

PER_THREAD = 3
"""Turns on the cluster for each thread: one at work and the next already there, for the shortest take 20 ms."""
LOOK_INTERVAL = 2.0  # s between two looks at how many workers there are

Turn = Sequence[tuple[int, bytes]]
"""Requests handed out at once, each with its number."""


@dataclass(frozen=True)
class DaskExecutor:
    """The workers of a Dask scheduler that runs already.

    Attributes:
        address: of the scheduler, e.g. tcp://10.0.0.1:8786.
        limits: of each request.
        patience: seconds to wait where no worker is left, or none is there yet.
        connect: seconds to wait for the scheduler itself.
    """

    address: str
    limits: Limits
    patience: float = 120.0
    connect: float = 15.0

    def __post_init__(self) -> None:
        if "://" not in self.address:
            raise UsageError(f"scheduler {self.address!r}: wanted an address such as tcp://10.0.0.1:8786.")

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
        """See `Executor.run`.

        Raises:
            InputError: if there is no scheduler, or its workers have other versions of what decides the numbers.
            IncompleteError: if the scheduler goes away, or has no workers.
        """
        with self.connected() as there:
            there.run(task, requests, options, on_answer, stop, chunk=chunk, files=files)

    def limited(self, limits: Limits) -> DaskExecutor:
        """See `Executor.limited`."""
        return replace(self, limits=limits)

    @contextlib.contextmanager
    def connected(self) -> Iterator[ClientExecutor]:
        """Yield a connection to the scheduler, closed when the block ends; raises as `run`."""
        require_distributed()
        from distributed import Client

        try:
            client = Client(self.address, timeout=self.connect, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"scheduler {self.address}: no Dask scheduler answers there ({str(error).splitlines()[0]}); start one "
                "with `dask scheduler`, and workers with `dask worker ADDRESS`."
            ) from None
        with quiet(), client:
            yield ClientExecutor(client, self.address, self.limits, self.patience)


@dataclass(frozen=True, eq=False)
class ClientExecutor:
    """The workers of a scheduler to which there is a connection.

    Attributes:
        client: the connection.
        address: what messages call the scheduler.
        limits: of each request.
        patience: seconds to wait where no worker is left, or none is there yet.
    """

    client: Client
    address: str
    limits: Limits
    patience: float

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
        """See `Executor.run`; raises as `DaskExecutor.run`."""
        contents = {option: path.read_bytes() for option, path in (files or {}).items()}
        order = Order(
            uuid.uuid4().hex, task, json.dumps(dict(options)), self.limits.timeout, self.limits.memory,
            tuple((option, hashlib.sha256(content).hexdigest()) for option, content in contents.items()),
        )  # fmt: skip
        _Session(self, order, list(contents.values()), requests, on_answer, stop, chunk).run()

    def limited(self, limits: Limits) -> ClientExecutor:
        """See `Executor.limited`."""
        return replace(self, limits=limits)

    @contextlib.contextmanager
    def connected(self) -> Iterator[ClientExecutor]:
        """See `Executor.connected`."""
        yield self


class _Session:
    """One run on a cluster: hands out requests as others come back."""

    def __init__(
        self,
        executor: ClientExecutor,
        order: Order,
        contents: Sequence[bytes],
        requests: Iterable[tuple[int, bytes]],
        on_answer: OnAnswer,
        stop: Callable[[], bool],
        chunk: int,
    ) -> None:
        self.client, self.address, self.patience = executor.client, executor.address, executor.patience
        self.order, self.waiting, self.on_answer, self.stop, self.chunk = order, iter(requests), on_answer, stop, chunk
        self.again: deque[Turn] = deque()  # requests that go out a second time, each alone
        self.there: dict[str, tuple[Turn, Future]] = {}  # by the future's key
        self.serial = count()
        self.ended: SimpleQueue[Future] = SimpleQueue()  # filled by a thread of the client
        self.versions = installed_versions(deciding(order.task))
        self.room, self.looked, self.seen = 0, float("-inf"), time.monotonic()
        self.contents = [self._send(number, content) for number, content in enumerate(contents)]

    def run(self) -> None:
        """Answer all requests, or drop them when asked to stop."""
        try:
            while not self.stop():
                self._look()
                while len(self.there) < self.room and (turn := self._next_turn()):
                    self._submit(turn)
                if self.room and not self.there:
                    return
                with contextlib.suppress(Empty):
                    self._take(self.ended.get(timeout=WAIT))
            with contextlib.suppress(Empty):  # what is answered already
                while True:
                    self._take(self.ended.get(timeout=0))
        finally:
            self._clear_away()

    def _look(self) -> None:
        """See how many workers there are, now and then."""
        now = time.monotonic()
        if now - self.looked < LOOK_INTERVAL:
            return
        self.looked = now
        with self._connected():
            n_threads = sum(self.client.nthreads().values())
        if n_threads:
            self.room, self.seen = PER_THREAD * n_threads, now
        elif now - self.seen > self.patience:
            raise IncompleteError(
                f"scheduler {self.address}: it has had no worker for {self.patience:g} s; start some with "
                f"`dask worker {self.address}`, and run this again."
            )

    def _next_turn(self) -> Turn:
        return self.again.popleft() if self.again else list(islice(self.waiting, self.chunk))

    def _send(self, number: int, content: bytes) -> Future:
        """Hand a file's content to the scheduler, from which each worker gets it once."""
        # A task of its own and not scattered data, which would be gone with the last worker that holds them.
        with self._connected(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.client.submit(bytes, content, key=f"atomweave-{self.order.run}-file-{number}", pure=False)

    def _submit(self, turn: Turn) -> None:
        key = f"atomweave-{self.order.run}-{next(self.serial)}"
        requests = [request for _, request in turn]
        with self._connected():
            future = self.client.submit(
                answer_on_worker, self.order, self.versions, requests, *self.contents, key=key, pure=False
            )
        self.there[key] = turn, future
        future.add_done_callback(self.ended.put)

    def _take(self, future: Future) -> None:
        """Hand over what became of a turn."""
        if future.key not in self.there:
            return
        found = self._outcome(future)
        if found is None:
            future.add_done_callback(self.ended.put)
            return
        turn, _ = self.there.pop(future.key)
        future.release()
        if isinstance(found, Failure):
            if found.reason == CRASH and len(turn) > 1:  # one of them may be to blame, not all
                self.again.extend([entry] for entry in turn)
                return
            found = [found] * len(turn)
        for (index, _), answer in zip(turn, found, strict=True):
            self.on_answer(index, answer)

    def _outcome(self, future: Future) -> list[bytes | Failure] | Failure | None:
        """Return what became of a turn; None if its worker died with the answers, and another calculates them anew."""
        if future.status == "cancelled":
            raise _gone()
        try:
            if future.status == "finished":
                return future.result(timeout=10 * WAIT)
            error = future.exception(timeout=10 * WAIT) if future.status == "error" else None
        except TimeoutError:
            return None
        except OSError:
            raise _gone() from None
        if isinstance(error, AtomweaveError):
            raise error
        if isinstance(error, ImportError):
            raise InputError(f"a worker of the scheduler cannot import Atomweave ({error}): install it there, too.")
        if type(error).__name__ == "KilledWorker":
            return Failure(CRASH, "several Dask workers ended while they had it")
        return None if error is None else Failure(ERROR, f"{type(error).__name__}: {error}")

    def _clear_away(self) -> None:
        """Take back what is still on the cluster, and end the children that stand by there."""
        with contextlib.suppress(OSError, TimeoutError, AtomweaveError):
            if self.there:
                self.client.cancel([future for _, future in self.there.values()], force=True)
            if self.client.status == "running":
                self.client.run(end_standing, self.order.run, on_error="ignore")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError):
            raise _gone() from None


def _gone() -> IncompleteError:
    return IncompleteError("the connection to the Dask scheduler broke; start it again and run this again.")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask's own log off the terminal: what a user must know becomes a sentence."""
    logger = logging.getLogger("distributed.client")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def answer_on_worker(
    order: Order, versions: Mapping[str, str], requests: Sequence[bytes], *contents: bytes
) -> list[bytes | Failure]:
    """Answer requests on a Dask worker; called there.

    Raises:
        InputError: if a package that decides the answers has another version here than where the requests come from.
    """
    from distributed import get_worker

    for package, here in installed_versions(deciding(order.task)).items():
        there = versions.get(package, here)
        if package != "python" and here != there:
            raise InputError(
                f"a worker of the scheduler has {package} {here}, this process {there}: their numbers would not "
                "belong together; install the same version."
            )
    # Dask's own folder is cleared away by the worker that comes next if this one is killed.
    return answer_standing(order, requests, contents, get_worker().local_directory)


def require_distributed() -> None:
    """Raise `MissingDependencyError` with the extra to install if there is no Dask."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "a scheduler needs Dask, which is not installed: pip install 'atomweave[cluster]'."
        ) from None
