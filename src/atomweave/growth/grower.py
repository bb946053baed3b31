"""Growing molecules with a model: the same seed gives the same molecules, byte for byte, on however many processes.

Molecules grow in fixed blocks by index (`i // block`). What a molecule draws depends on the seed, its index and the
number of decisions it has taken; what the model computes for it may depend, in the last bit, on the fragments beside
it, and these are fixed by the block. So blocks may be grown anywhere and in any order, as long as every process
computes with the same number of threads.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import InputError, UsageError
from ..molecule import Molecule
from ..species import NUMBERS
from .blocks import Attempt, GrowthPlan, grow_block
from .conditions import COMPOSITION, OutsideRangeWarning, Request, n_atoms_of, parse_formula
from .starts import Given, Start

if TYPE_CHECKING:
    from ..isolation import Executor
    from ..models.base import Model, Temperatures

Progress = Callable[[int, int], None]
"""Called with the number of attempts that have ended, and how many there will be."""

BLOCK = 512
"""Molecules that grow together, whatever the number of processes; with fewer, a batch would seldom be full."""

USUAL_LIMIT = 35
"""Atoms at which growing ends where nobody knows how large the molecules were that taught the model."""


ROOM = 20
"""Atoms that any given fragment may get, should that be more."""


def size_limit(largest: int, given: int = 0) -> int:
    """Return how many atoms a molecule may get unless the caller says so: a fifth above the largest that taught.

    Args:
        largest: atoms of the largest molecule that taught the model (QM9: 29, which gives 35); 0 if it is not known.
        given: atoms of the largest fragment that is given; 0 where none is.
    """
    limit = math.ceil(1.2 * largest) if largest else USUAL_LIMIT
    return max(limit, given + ROOM) if given else limit


@dataclass(frozen=True)
class Grown:
    """What was grown, by index; attempts that did not finish are among them."""

    attempts: list[Attempt]

    @property
    def molecules(self) -> list[Molecule]:
        """The molecules of all attempts; `properties` say which finished, and why others did not."""
        return [attempt.molecule for attempt in self.attempts]

    @property
    def reasons(self) -> dict[str, int]:
        """How many attempts ended unfinished for each reason."""
        found = [attempt.reason for attempt in self.attempts if attempt.reason is not None]
        return {reason: found.count(reason) for reason in sorted(set(found))}


def grow(
    model: Model | str | Path,
    n_molecules: int,
    seed: int = 0,
    *,
    temperatures: Temperatures | None = None,
    start: str | Molecule | Sequence[Given] | None = None,
    conditions: Request | Sequence[Request] | None = None,
    max_atoms: int | None = None,
    block: int = BLOCK,
    slots: int | None = None,
    device: str | torch.device | None = None,
    workers: int = 1,
    threads: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Grown:
    """Grow `n_molecules` molecules.

    Args:
        model: a model, or the name or path of weights.
        n_molecules: how many attempts to make.
        seed: names the random numbers.
        temperatures: of the decisions; None draws from the model's own distribution.
        start: the first atom's element symbol, or None to draw it from the model's own distribution; or a fragment
            whose atoms come back bit for bit; or several of them, each of which gets an equal share of the attempts,
            the first fragment the first (`completion.complete`).
        conditions: what the molecules shall be, where the model was taught to be told: {"gap": 4.0},
            {"n_atoms": 18}, {"composition": "C7H10O2"}; for all of them, or a list of one for each.
        max_atoms: a molecule of so many atoms that does not stop is unfinished; None goes a fifth beyond the largest
            that taught the weights, or 20 beyond the largest fragment (`size_limit`).
        block: molecules a block; with `slots` and `threads` it decides the last bits of the result.
        slots: fragments that the model sees at a time; None takes what suits it (`Model.cpu_slots`) on a CPU, the whole
            block elsewhere.
        device: where to compute; None leaves the model where it is. A model given as such is moved there.
        workers: processes; a script that asks for more than one must guard its own start by
            `if __name__ == "__main__":`.
        threads: threads a process computes with.
        executor: what grows the blocks instead of this machine, e.g. an `isolation.cluster.DaskExecutor`; the model is
            then given by name or path.
        progress: called now and then in this process.

    Raises:
        UsageError: if an option does not fit, or the model cannot be told a condition.
        InputError: if the start holds an element that the model does not know.
    """
    counts = {"n_molecules": n_molecules, "max_atoms": max_atoms, "block": block, "slots": slots}
    for name, value in (counts | {"workers": workers, "threads": threads}).items():
        if value is not None and value < 1:
            raise UsageError(f"{name}: got {value}, wanted at least 1.")
    if temperatures is None:
        from ..models.base import Temperatures

        temperatures = Temperatures()
    loaded = _loaded(model, device)
    if max_atoms is None:
        card = getattr(loaded, "card", None)  # only loaded weights have one
        max_atoms = size_limit(0 if card is None else card.largest, largest_given(start))
    if slots is None:
        slots = loaded.cpu_slots if loaded.device.type == "cpu" else block
    if workers > 1 and loaded.device.type != "cpu":
        raise UsageError(f"workers: got {workers} on {loaded.device}, wanted 1: they would only share the one device.")
    if executor is not None and not isinstance(model, (str, Path)):
        raise UsageError(f"model: got a {type(model).__name__}, wanted the name or path of weights, which can be sent.")
    if executor is not None and (workers > 1 or loaded.device.type != "cpu"):
        raise UsageError(
            f"executor: got workers {workers} and {loaded.device} besides; an executor has workers of its own, on cpu."
        )
    asked = _requests(conditions, n_molecules)
    starts = _starts(start, loaded, n_molecules, max_atoms)
    each = n_molecules // len(starts) if isinstance(starts, tuple) else 1
    _check_asked(asked, starts, loaded, max_atoms)
    plan = GrowthPlan(seed, temperatures, starts, each, max_atoms, slots, asked)
    tasks = [(first, min(block, n_molecules - first)) for first in range(0, n_molecules, block)]

    def report(done: int) -> None:
        if progress is not None:
            progress(done, n_molecules)

    if executor is not None and isinstance(model, (str, Path)):
        from ..models.weights import weights_path
        from .on_executor import grow_on

        blocks = grow_on(executor, weights_path(model), plan, tasks, threads, report)
    elif min(workers, len(tasks)) == 1:
        blocks = _grow_here(loaded, plan, tasks, threads, report)
    else:
        from .workers import grow_in_processes

        # A path is loaded again by each worker: sooner than a model is sent, and any model has one.
        source = model if isinstance(model, (str, Path)) else loaded
        processes = min(workers, len(tasks))
        blocks = grow_in_processes(source, plan, tasks, processes, threads, report)
    return Grown([attempt for attempts in blocks for attempt in attempts])


def largest_given(start: str | Molecule | Sequence[Given] | None) -> int:
    """Return the number of atoms of the largest fragment to start from, 0 where there is none."""
    if start is None or isinstance(start, str):
        return 0
    return len(start) if isinstance(start, Molecule) else max((len(given.molecule) for given in start), default=0)


def _starts(
    start: str | Molecule | Sequence[Given] | None, model: Model, n_molecules: int, max_atoms: int
) -> str | tuple[Start, ...] | None:
    """Return the start in the model's own terms, or refuse what `model` cannot grow from.

    Raises:
        UsageError: if it is no element symbol, or has more than `max_atoms` atoms, or a site that cannot be one.
        InputError: if it holds an element that the model does not know.
    """
    if start is None:
        return None
    if isinstance(start, str):
        if start not in NUMBERS:
            raise UsageError(f"start: got {start!r}, wanted an element symbol such as 'H' or a Molecule.")
        if NUMBERS[start] not in model.species.numbers:
            raise InputError(f"start: {start} is not among this model's elements: {' '.join(model.species.symbols)}.")
        return start
    fragments = [Given(start)] if isinstance(start, Molecule) else start
    if not fragments or n_molecules % len(fragments):
        raise UsageError(f"n_molecules: got {n_molecules}, wanted a multiple of the {len(fragments)} start fragments.")
    largest = largest_given(fragments)
    if largest > max_atoms:
        raise UsageError(f"max_atoms: got {max_atoms}, wanted at least the {largest} atoms of the start fragment.")
    starts = []
    for place, given in enumerate(fragments):
        try:
            model.species.indices(given.molecule.numbers)
            starts.append(Start.of(given, model.policy))
        except (InputError, UsageError) as error:
            if len(fragments) == 1:
                raise
            raise type(error)(f"fragment {place} (counted from 0): {error}") from None
    return tuple(starts)


def _requests(conditions: Request | Sequence[Request] | None, n_molecules: int) -> tuple[Request, ...]:
    """Return what is asked: nothing, one request for all molecules, or one for each."""
    if conditions is None or isinstance(conditions, Mapping):
        return (dict(conditions),) if conditions else ()
    if len(conditions) != n_molecules:
        raise UsageError(f"conditions: got {len(conditions)} for {n_molecules} molecules, wanted one for each.")
    return tuple(dict(request) for request in conditions)


def _check_asked(
    asked: tuple[Request, ...], starts: str | tuple[Start, ...] | None, model: Model, max_atoms: int
) -> None:
    """Refuse what cannot be asked, and warn of what the model has never seen.

    Raises:
        UsageError: if the model cannot be told it, a value means nothing, or no attempt could ever meet it.
    """
    least = max(len(start.order) for start in starts) if isinstance(starts, tuple) else 1
    remarks: dict[str, None] = {}
    for request in asked:
        row = model.conditions.row(request)
        wanted = n_atoms_of(request)
        formula = request.get(COMPOSITION)
        if isinstance(starts, str) and isinstance(formula, str) and not parse_formula(formula).get(starts):
            raise UsageError(f"conditions: asked for {formula}, but the start is {starts}.")
        if wanted is not None and not least <= wanted <= max_atoms:
            bound = f"max_atoms is {max_atoms}" if wanted > max_atoms else f"the start fragment has {least}"
            raise UsageError(f"conditions: asked for {wanted} atoms, but {bound}.")
        if model.condition_embedding is not None:
            remarks |= dict.fromkeys(model.condition_embedding.remarks(row))
    for remark in remarks:
        warnings.warn(remark, OutsideRangeWarning, stacklevel=3)


def _loaded(model: Model | str | Path, device: str | torch.device | None) -> Model:
    if isinstance(model, (str, Path)):
        from ..models.weights import load_model

        return load_model(model, device="cpu" if device is None else device)
    return model if device is None else model.to(device)


def _grow_here(
    model: Model, plan: GrowthPlan, tasks: list[tuple[int, int]], threads: int, progress: Callable[[int], None]
) -> list[list[Attempt]]:
    done = 0

    def count(ended: int) -> None:
        nonlocal done
        done += ended
        progress(done)

    with computing(model, threads):
        return [grow_block(model, plan, first, n_molecules, count) for first, n_molecules in tasks]


@contextlib.contextmanager
def computing(model: Model, threads: int) -> Iterator[None]:
    """Evaluate `model` without gradients and with a fixed number of threads; leave both as they were."""
    training, threads_before = model.training, torch.get_num_threads()
    model.eval()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads_before)
        model.train(training)
