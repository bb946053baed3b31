"""Growing blocks on an executor: worker processes of this machine or of many, each with the model's weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import AtomweaveError
from ..isolation import CRASH, Executor, Failure
from .blocks import Attempt, GrowthPlan
from .growing_task import pack_block, plan_to_json, unpack_attempts

TURNS = 3
"""How often a block is begun whose process ends on the way; then something is wrong with it, or with the machine."""


def grow_on(
    executor: Executor,
    weights: Path,
    plan: GrowthPlan,
    blocks: list[tuple[int, int]],
    threads: int,
    progress: Callable[[int], None],
) -> list[list[Attempt]]:
    """Grow blocks and return their attempts in order.

    Args:
        executor: what grows them.
        weights: file of the model; it travels by content.
        plan: how to grow.
        blocks: index of the first molecule and number of molecules of each.
        threads: of each process.
        progress: called after every block with the number of attempts that have ended so far.

    Raises:
        AtomweaveError: if a block cannot be grown, or there is nobody to grow it.
    """
    found: dict[int, list[Attempt]] = {}
    lost: dict[int, Failure] = {}

    def take(number: int, answer: bytes | Failure) -> None:
        if isinstance(answer, Failure):
            if answer.reason != CRASH:
                raise _refusal(blocks[number], answer)
            lost[number] = answer
            return
        found[number] = unpack_attempts(answer, plan, blocks[number][0])
        progress(sum(map(len, found.values())))

    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "plan.json")
        told.write_text(plan_to_json(plan), encoding="utf-8")
        for _ in range(TURNS):
            lost.clear()
            missing = [number for number in range(len(blocks)) if number not in found]
            requests = ((number, pack_block(*blocks[number])) for number in missing)
            executor.run("grow", requests, {"threads": threads}, take, files={"weights": weights, "plan": told})
            if not lost:
                return [found[number] for number in range(len(blocks))]
    raise _refusal(blocks[min(lost)], lost[min(lost)])


def _refusal(block: tuple[int, int], failure: Failure) -> AtomweaveError:
    first, n_molecules = block
    return AtomweaveError(
        f"molecules {first} to {first + n_molecules - 1} could not be grown ({failure.reason}: {failure.detail}); most "
        "often for want of memory: try fewer processes a machine, or fewer fragments at a time (--batch)."
    )
