"""Work side by side on threads of its own, each with its share of the threads that torch computes with.

Most of a step of a small model is many short operations, which a second thread inside of each hardly shortens; a thread
for half of the molecules does. What comes out depends on how the work is cut, never on which thread is first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


class Abreast:
    """Some threads for as many pieces of work.

    Args:
        n: how many; no more than torch has threads. One works in the caller's own.
    """

    def __init__(self, n: int) -> None:
        self.n_threads = torch.get_num_threads()
        self.n = min(n, self.n_threads)
        self._pool = ThreadPoolExecutor(self.n, "abreast") if self.n > 1 else None

    def map(self, work: Callable[..., Result], *arguments: Iterable[Any]) -> Iterator[Result]:
        """Yield what `work` makes of the arguments, in their order."""
        if self._pool is None:
            yield from map(work, *arguments)
            return

        def alone(*piece: Any) -> Result:
            torch.set_num_threads(self.n_threads // self.n)
            return work(*piece)

        try:
            yield from self._pool.map(alone, *arguments)
        finally:
            torch.set_num_threads(self.n_threads)  # a part of this setting is the whole process's
