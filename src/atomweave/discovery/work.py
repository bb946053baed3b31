"""Where and how a run computes; none of it changes a figure, and all of it may change between two calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..isolation import Executor

Progress = Callable[[int, int], None]
Shown = Callable[[str, str], contextlib.AbstractContextManager[Progress]]
"""(title, unit) -> a block that yields what to call with (done, total)."""


@contextlib.contextmanager
def silently(*_: str) -> Iterator[Progress]:
    """Show nothing."""
    yield _unsaid


def _unsaid(*_: object) -> None:
    """Pass over what nobody asked to hear."""


@dataclass(frozen=True)
class Work:
    """How the work is done.

    Attributes:
        workers: processes for growing and judging; None takes one a CPU.
        device: where the model computes.
        threads: of torch when teaching; None leaves it to torch.
        executor: runs the calculations, those of the screen as well; None takes what `properties.scoring` takes.
        progress: shows how far a stage is.
        say: is told in a sentence what begins.
    """

    workers: int | None = None
    device: str = "cpu"
    threads: int | None = None
    executor: Executor | None = None
    progress: Shown = field(default=silently, repr=False)
    say: Callable[[str], None] = field(default=_unsaid, repr=False)
