"""One block of molecules, grown from their starts to their ends: the unit of work and of byte equality.

Every molecule of the block waits for its next decision. A batch is filled with the `slots` smallest unfinished
molecules: a finished one leaves its slot to the next in line, batches stay full until the block runs out, and the
fragments of a batch are of nearly equal size, so that hardly any padding is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..chemistry.radii import reach
from ..molecule import COINCIDENT_DISTANCE, Molecule
from ..randomness import fold_in, uniforms
from ..species import NUMBERS
from .conditions import Request
from .starts import Start
from .trajectories import UNKNOWN, Decision, Fragments

if TYPE_CHECKING:
    from ..models.base import Model, Temperatures


@dataclass(frozen=True)
class GrowthPlan:
    """What, beside the model, decides how molecules grow."""

    seed: int
    temperatures: Temperatures
    start: str | tuple[Start, ...] | None  # element symbol, fragments, or None: the model's own start distribution
    each: int  # attempts on each fragment: attempt i goes on from fragment i // each
    max_atoms: int  # a molecule that has this many atoms and does not stop is unfinished
    slots: int  # how many fragments the model sees at a time
    asked: tuple[Request, ...] = ()  # of every molecule, or of each by index; nothing where empty

    def asked_of(self, index: int) -> Request:
        """Return what is asked of a molecule."""
        return self.asked[index % len(self.asked)] if self.asked else {}

    def start_of(self, index: int) -> Start | None:
        """Return the fragment that a molecule grows from, if one is given."""
        return self.start[index // self.each] if isinstance(self.start, tuple) else None

    def attempt(
        self, index: int, numbers: np.ndarray, positions: np.ndarray, reason: str | None, log_prob: float | None
    ) -> Attempt:
        """Return what became of a molecule, with all that is to be told of it.

        Args:
            index: of the molecule.
            numbers: (n_atoms,) atomic numbers.
            positions: (n_atoms, 3) Å.
            reason: why it is not finished; None where it is.
            log_prob: see `Attempt`.
        """
        start = self.start_of(index)
        told = {
            "seed": self.seed,
            "index": index,
            "finished": reason is None,
            "reason": reason,
            "log_prob": log_prob,
            **{f"asked_{name}": value for name, value in self.asked_of(index).items()},
            **(start.given.told if start is not None else {}),
        }
        known = {name: value for name, value in told.items() if value is not None}
        return Attempt(index, Molecule(numbers, positions, known), reason is None, reason, log_prob)


@dataclass(frozen=True)
class Attempt:
    """One molecule that was begun; whatever became of it, it counts."""

    index: int  # position in the whole order, and the name of its stream of random numbers
    molecule: Molecule  # the atoms placed before the attempt ended
    finished: bool  # the model decided to stop
    reason: str | None  # why the attempt ended without STOP; None where it finished
    # Log-density of the drawn trajectory (not of the molecule, which has many) at temperature 1, nats, positions per
    # Å^3; with the start where that was drawn, given the start otherwise; None where the model defines no density.
    log_prob: float | None


def grow_block(
    model: Model, plan: GrowthPlan, first: int, n_molecules: int, on_progress: Callable[[int], None]
) -> list[Attempt]:
    """Grow molecules `first` to `first + n_molecules - 1`.

    Args:
        model: in evaluation mode, on its device.
        plan: how to grow.
        first: index of the block's first molecule.
        n_molecules: how many.
        on_progress: called after every batch with the number of attempts that have ended in it.

    Returns:
        The attempts, by index.
    """
    block = _Block(model, plan, first, n_molecules)
    while (rows := block.next_batch()) is not None:
        on_progress(block.advance(model, rows))
    return block.attempts()


class _Block:
    """The fragments of a block and what is known about each: arrays with one row a molecule, kept on the CPU."""

    def __init__(self, model: Model, plan: GrowthPlan, first: int, n_molecules: int) -> None:
        self.plan, self.key, self.vocabulary = plan, fold_in(plan.seed, "grow"), model.species
        self.index = first + np.arange(n_molecules)
        self.species = np.zeros((n_molecules, plan.max_atoms), np.int64)
        self.positions = np.zeros((n_molecules, plan.max_atoms, 3), np.float32)  # Å, measured from `origin`
        self.awaits = np.full((n_molecules, plan.max_atoms), UNKNOWN, np.int8)
        self.degree = np.zeros((n_molecules, plan.max_atoms), np.int64)
        self.reach = reach(self.vocabulary.numbers)  # (n_species,) Å
        self.n_decisions = np.ones(n_molecules, np.int64)  # the start is the first decision, drawn or given
        self.log_prob = np.zeros(n_molecules)
        self.active = np.ones(n_molecules, bool)
        self.reasons: list[str | None] = [None] * n_molecules
        rows = [model.conditions.row(plan.asked_of(i)).tolist() for i in self.index.tolist()] if plan.asked else []
        self.conditions = torch.tensor(rows, device=model.device) if rows else None
        self.n_atoms = np.ones(n_molecules, np.int64)
        self.origin = np.zeros((n_molecules, 3))
        self.starts = [start for i in self.index.tolist() if (start := plan.start_of(i)) is not None]
        for row, start in enumerate(self.starts):
            self._begin(row, start)
        if not self.starts:
            self.species[:, 0] = self._first_species(model)
        self.memory = model.remember(n_molecules, plan.max_atoms)

    def _begin(self, row: int, start: Start) -> None:
        """Place the atoms of a given fragment, in its growth order."""
        n_given = self.n_atoms[row] = len(start.order)
        positions = start.given.molecule.positions[start.order]
        # float32 holds coordinates well only near the origin: the model sees the fragment from its centre.
        self.origin[row] = positions.mean(0)
        self.species[row, :n_given] = self.vocabulary.indices(start.given.molecule.numbers[start.order])
        self.positions[row, :n_given] = positions - self.origin[row]
        self.awaits[row, :n_given] = start.awaits

    def _first_species(self, model: Model) -> np.ndarray:
        """Return (n_molecules,) species indices of the first atoms; a drawn one adds to the log-density."""
        if isinstance(self.plan.start, str):
            return np.full(len(self.index), self.vocabulary.indices(np.array([NUMBERS[self.plan.start]]))[0])
        log_probs = model.start_given(self.conditions).double().cpu().numpy()
        cumulative = np.cumsum(np.exp(log_probs), axis=1)
        draw = uniforms(self.key, self.index, np.zeros(len(self.index)), 1)
        species = (cumulative <= draw * cumulative[:, -1:]).sum(1)
        self.log_prob += log_probs[np.arange(len(species)) % len(log_probs), species]  # one row for all, or one each
        return species

    def next_batch(self) -> np.ndarray | None:
        """Return the rows of the smallest unfinished molecules, at most `slots`; None when all have ended."""
        waiting = np.flatnonzero(self.active)
        if len(waiting) == 0:
            return None
        return waiting[np.argsort(self.n_atoms[waiting], kind="stable")[: self.plan.slots]]

    def advance(self, model: Model, rows: np.ndarray) -> int:
        """Let the model take one decision for each of `rows`; return how many attempts ended."""
        width = int(self.n_atoms[rows].max())
        draws = uniforms(self.key, self.index[rows], self.n_decisions[rows], model.n_draws)
        fragments = Fragments(
            species=self._on(model, self.species[rows, :width]),
            positions=self._on(model, self.positions[rows, :width]),
            n_atoms=self._on(model, self.n_atoms[rows]),
            awaits=self._on(model, self.awaits[rows, :width]),
            policy=model.policy.kind,
            degree=self._on(model, self.degree[rows, :width]),
            memory=None if self.memory is None else self.memory.of(self._on(model, rows)),
            conditions=None if self.conditions is None else self.conditions[self._on(model, rows)],
        )
        proposals = model.propose(fragments, self._on(model, draws), self.plan.temperatures)
        kind, focus = proposals.kind.cpu().numpy(), proposals.focus.cpu().numpy()
        assert (kind != Decision.PADDING).all(), "a model must decide something"
        self.n_decisions[rows] += 1
        self.active[rows[kind == Decision.STOP]] = False
        degree, count = (
            np.zeros_like(focus) if told is None else told.cpu().numpy() for told in (proposals.degree, proposals.count)
        )
        closure = np.full_like(focus, -1) if proposals.closure is None else proposals.closure.cpu().numpy()
        counting, placing = np.isin(kind, (Decision.END, Decision.COUNT)), kind == Decision.PLACE
        self._count(rows[counting], focus[counting], count[counting])
        self._place(
            rows[placing],
            focus[placing],
            closure[placing],
            proposals.species.cpu().numpy()[placing],
            degree[placing],
            proposals.positions.float().cpu().numpy()[placing],
        )
        # A placement that was refused is no part of the molecule, nor of its density.
        taken = np.array([self.reasons[row] is None for row in rows])
        self.log_prob[rows[taken]] += proposals.log_prob.double().cpu().numpy()[taken]
        return int((~self.active[rows]).sum())

    def _on(self, model: Model, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(model.device)

    def _count(self, rows: np.ndarray, focus: np.ndarray, count: np.ndarray) -> None:
        """Note how many further neighbours each focus gets; 0 ends it."""
        # Without this refusal a model that ends the same atom for ever would never return.
        self._give_up(rows, self.awaits[rows, focus] != UNKNOWN, "an atom was ended twice")
        self.awaits[rows, focus] = count

    def _place(
        self,
        rows: np.ndarray,
        focus: np.ndarray,
        closure: np.ndarray,
        species: np.ndarray,
        degree: np.ndarray,
        positions: np.ndarray,
    ) -> None:
        """Add an atom to each of `rows`, or end the attempt where that cannot be done."""
        n_atoms = self.n_atoms[rows]
        with np.errstate(invalid="ignore", over="ignore"):
            distances = np.linalg.norm(self.positions[rows] - positions[:, None], axis=-1)
        placed = np.arange(self.plan.max_atoms) < n_atoms[:, None]
        refused = np.zeros(len(rows), bool)
        for cause, reason in (
            (n_atoms >= self.plan.max_atoms, f"no STOP after {self.plan.max_atoms} atoms"),
            (~np.isfinite(positions).all(1), "a position was not finite"),
            # Twice the distance that `Molecule` refuses, so that no rounding lies between the two verdicts.
            (((distances < 2 * COINCIDENT_DISTANCE) & placed).any(1), "an atom was placed on another"),
        ):
            self._give_up(rows, cause & ~refused, reason)
            refused |= cause
        rows, n_atoms, focus, closure = rows[~refused], n_atoms[~refused], focus[~refused], closure[~refused]
        species, degree = species[~refused], degree[~refused]
        bonded = distances[~refused] <= self.reach[species][:, None] + self.reach[self.species[rows]]
        bonded &= placed[~refused]
        # These are neighbours, however far they were drawn.
        bonded[np.arange(len(rows)), focus] = True
        bonded[np.flatnonzero(closure >= 0), closure[closure >= 0]] = True
        self.species[rows, n_atoms] = species
        self.positions[rows, n_atoms] = positions[~refused]
        self.degree[rows, n_atoms] = degree
        # Whoever awaits a neighbour has got one, be it the focus or the end of a ring.
        self.awaits[rows] -= bonded & (self.awaits[rows] > 0)
        awaited = np.maximum(degree - bonded.sum(1), 0)
        self.awaits[rows, n_atoms] = np.where(degree > 0, awaited, UNKNOWN)
        self.n_atoms[rows] += 1

    def _give_up(self, rows: np.ndarray, cause: np.ndarray, reason: str) -> None:
        self.active[rows[cause]] = False
        for row in rows[cause]:
            self.reasons[row] = reason

    def attempts(self) -> list[Attempt]:
        """Return the block's attempts with checked molecules; given atoms come first, as given to the last bit."""
        return [self._attempt(row) for row in range(len(self.index))]

    def _attempt(self, row: int) -> Attempt:
        n_atoms, index, reason = self.n_atoms[row], int(self.index[row]), self.reasons[row]
        numbers = self.vocabulary.atomic_numbers(self.species[row, :n_atoms])
        positions = self.positions[row, :n_atoms].astype(np.float64) + self.origin[row]
        given = self.starts[row].given if self.starts else None
        if given is not None:
            numbers[: len(given.molecule)] = given.molecule.numbers
            positions[: len(given.molecule)] = given.molecule.positions
        log_prob = float(self.log_prob[row]) if np.isfinite(self.log_prob[row]) else None
        return self.plan.attempt(index, numbers, positions, reason, log_prob)
