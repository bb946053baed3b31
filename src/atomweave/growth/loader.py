"""Batches of trajectories for training, drawn afresh every epoch: a batch is a pure function of (seed, step).

An epoch visits every molecule once, in an order that is shuffled in three stages: all molecules are permuted; windows
of many batches are sorted by size and cut, so that a batch holds molecules of about one size, which saves padding and
lets shapes repeat; the batches of a window are shuffled.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..randomness import fold_in, uniforms
from ..species import Species
from .conditions import Conditions
from .policies import Fate, PolicyConfig, build_policy
from .policies.base import words
from .trajectories import Decision, Trajectories

if TYPE_CHECKING:
    from ..data.store import MoleculeStore

WINDOW = 32
"""Batches that are sorted by size together: enough that a batch holds one or two sizes, few enough to stay mixed."""


class Batches:
    """An endless sequence of batches of trajectories.

    Args:
        store: the molecules.
        indices: (n,) which of them to visit, each once an epoch.
        species: the element vocabulary.
        policy: how molecules grow.
        molecules_per_batch: at most so many molecules a batch; fewer where the policy leaves some out, and in the last
            batches of an epoch.
        decisions_per_molecule: so many of a molecule's decisions, drawn uniformly without replacement; None takes all.
        seed: what every draw depends on, with the step.
        conditions: what the molecules are told to be, all of it; training leaves parts out.

    Raises:
        InputError: if there are no molecules, an element is not in the vocabulary, no atom may be the first, or the
            store lacks a condition.
    """

    def __init__(
        self,
        store: MoleculeStore,
        indices: NDArray,
        species: Species,
        policy: PolicyConfig,
        molecules_per_batch: int,
        decisions_per_molecule: int | None = None,
        seed: int = 0,
        conditions: Conditions | None = None,
    ) -> None:
        indices = np.asarray(indices, np.int64)
        if len(indices) == 0:
            raise InputError("there are no molecules to train on: the list of indices is empty.")
        self.store, self.species, self.seed = store, species, seed
        self.policy = build_policy(policy, species)
        self.molecules_per_batch, self.decisions_per_molecule = molecules_per_batch, decisions_per_molecule
        species.indices(np.unique(store.numbers))  # an element that the model lacks is an error now, not in an hour
        self.conditions = conditions or None
        if self.conditions is not None:
            self.conditions.check(store)
        starts = self._start_shares(indices)
        self.indices = indices[starts.sum(1) > 0]
        self.n_without_start = len(indices) - len(self.indices)  # molecules left out by the start rule
        if len(self.indices) == 0:
            raise InputError(f"none of the {len(indices)} molecules has an atom that may be the first: {policy!r}.")
        self._start_probabilities = starts.sum(0) / starts.sum()
        window = molecules_per_batch * WINDOW
        self._window_starts = np.arange(0, len(self.indices), window)
        sizes = np.diff(np.append(self._window_starts, len(self.indices)))
        self.batches_per_epoch = int((-(-sizes // molecules_per_batch)).sum())
        self._plan: tuple[int, list[NDArray]] = (-1, [])

    @property
    def start_probabilities(self) -> torch.Tensor:
        """Distribution of the first atom's species under the policy's start rule; (n_species,) float32."""
        return torch.from_numpy(self._start_probabilities.astype(np.float32))

    @property
    def conditions_met(self) -> torch.Tensor | None:
        """What all molecules could be told, (n_molecules, n_columns) float32; None where nothing is."""
        return None if self.conditions is None else torch.from_numpy(self.conditions.measure(self.store, self.indices))

    @property
    def largest(self) -> int:
        """Number of atoms of the largest molecule that is visited."""
        return int((self.store.offsets[self.indices + 1] - self.store.offsets[self.indices]).max())

    def batch(self, step: int) -> Trajectories:
        """Return batch number `step`, counted from 0 across epochs.

        It is never empty: should the policy leave out every molecule of it, the next batch of the epoch stands in.

        Raises:
            InputError: if the policy leaves out every molecule of the epoch.
        """
        epoch, first = divmod(step, self.batches_per_epoch)
        for place in range(self.batches_per_epoch):
            molecules = self.molecules(epoch * self.batches_per_epoch + (first + place) % self.batches_per_epoch)
            trajectories, _ = self._grow(molecules, epoch)
            if len(trajectories.n_atoms):
                break
        else:
            fates, _ = self.look(epoch=epoch)
            raise InputError(
                f"the growth policy leaves out all {len(self.indices)} molecules of a split ({words(fates)})."
            )
        if self.decisions_per_molecule is None:
            return trajectories
        key = fold_in(self.seed, "decisions", step)
        rows = np.arange(len(trajectories.n_atoms))
        draws = uniforms(key, rows, np.zeros_like(rows), trajectories.kind.shape[1])
        return subsample(trajectories, self.decisions_per_molecule, draws)

    def molecules(self, step: int) -> NDArray:
        """Return the store's indices of the molecules that batch number `step` is made of."""
        epoch, place = divmod(step, self.batches_per_epoch)
        planned, batches = self._plan
        if planned != epoch:
            batches = self._plan_epoch(epoch)
            self._plan = (epoch, batches)
        return batches[place]

    def fates(self, epoch: int = 0) -> dict[str, int]:
        """Return how many molecules of an epoch the policy keeps, and how many it leaves out for which reason.

        This grows the whole epoch.
        """
        fates, _ = self.look(epoch=epoch)
        return {fate.name.lower(): fates[fate] for fate in Fate}

    def look(self, n_batches: int | None = None, epoch: int = 0) -> tuple[dict[Fate, int], NDArray]:
        """Return the fates of so many batches of an epoch, a random part of it, and the distances they teach.

        Returns:
            How many molecules have which fate, and (n_kept, n_decisions) Å from the focus to the atom placed, NaN where
            none is.
        """
        counts = Counter({Fate.NO_START: self.n_without_start})
        distances: list[NDArray] = []
        for place in range(min(self.batches_per_epoch, n_batches or self.batches_per_epoch)):
            trajectories, fates = self._grow(self.molecules(epoch * self.batches_per_epoch + place), epoch)
            counts.update(Fate(fate) for fate in fates)
            distances.append(_distances(trajectories))
        most = max((each.shape[1] for each in distances), default=0)
        padded = [np.pad(each, ((0, 0), (0, most - each.shape[1])), constant_values=np.nan) for each in distances]
        return {fate: counts[fate] for fate in Fate}, np.concatenate(padded)

    def iterate(
        self, start_step: int = 0, n_steps: int | None = None, ahead: int = 4
    ) -> Generator[Trajectories, None, None]:
        """Yield the batches from `start_step` on, prepared by a thread while the caller works.

        Args:
            start_step: number of the first batch.
            n_steps: how many; None never ends.
            ahead: how many batches to have ready.
        """
        ready: queue.Queue[Trajectories | BaseException | None] = queue.Queue(ahead)
        abandoned = threading.Event()

        def put(item: Trajectories | BaseException | None) -> None:
            while not abandoned.is_set():
                try:
                    ready.put(item, timeout=0.1)
                    return
                except queue.Full:
                    continue

        def prepare() -> None:
            step = start_step
            try:
                while not abandoned.is_set() and (n_steps is None or step < start_step + n_steps):
                    put(self.batch(step))
                    step += 1
                put(None)
            except BaseException as error:  # noqa: BLE001 whatever it is, it is raised where the batch is asked for
                put(error)

        thread = threading.Thread(target=prepare, name="batches", daemon=True)
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            abandoned.set()
            thread.join()

    def _grow(self, molecules: NDArray, epoch: int) -> tuple[Trajectories, NDArray]:
        species, positions, n_atoms = self._read(molecules)
        # Each molecule has its own stream: what it draws depends neither on its neighbours nor on the batch size.
        key = fold_in(self.seed, "policy", epoch)
        draws = uniforms(key, molecules, np.zeros_like(molecules), self.policy.n_draws(species.shape[1]))
        trajectories, fates = self.policy.grow(species, positions, n_atoms, draws)
        if self.conditions is not None:
            met = self.conditions.measure(self.store, molecules[fates == Fate.KEPT])
            trajectories = replace(trajectories, conditions=torch.from_numpy(met))
        return trajectories, fates

    def _read(self, molecules: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return species, positions and numbers of atoms, padded with copies of some atom."""
        first = self.store.offsets[molecules]
        n_atoms = self.store.offsets[molecules + 1] - first
        atom = np.minimum(np.arange(n_atoms.max()), n_atoms[:, None] - 1) + first[:, None]
        return self.species.indices(self.store.numbers[atom]), self.store.positions[atom], n_atoms

    def _plan_epoch(self, epoch: int) -> list[NDArray]:
        rng = np.random.Generator(np.random.Philox(fold_in(self.seed, "epoch", epoch)))
        molecules = rng.permutation(self.indices)
        batches = []
        for window in np.split(molecules, self._window_starts[1:]):
            n_atoms = self.store.offsets[window + 1] - self.store.offsets[window]
            # Equal parts: a last batch of one or two molecules would weigh as much in training as a full one.
            n_parts = -(-len(window) // self.molecules_per_batch)
            parts = np.array_split(window[np.argsort(n_atoms, kind="stable")], n_parts)
            batches += [parts[i] for i in rng.permutation(len(parts))]
        return batches

    def _start_shares(self, indices: NDArray) -> NDArray:
        """Return each molecule's distribution of the first atom's species; (n, n_species), 0 where none may start."""
        shares = np.zeros((len(indices), len(self.species)))
        for part in np.array_split(np.arange(len(indices)), -(-len(indices) // 4096)):
            species, _, n_atoms = self._read(indices[part])
            candidates = self.policy.start_candidates(species, np.arange(species.shape[1]) < n_atoms[:, None])
            row, atom = np.nonzero(candidates)
            np.add.at(shares, (part[row], species[row, atom]), 1.0)
        return shares / np.maximum(shares.sum(1, keepdims=True), 1.0)


def subsample(trajectories: Trajectories, n_decisions: int, uniforms: NDArray) -> Trajectories:
    """Return the same molecules with at most `n_decisions` decisions each, drawn uniformly without replacement.

    Args:
        trajectories: the batch.
        n_decisions: at least 1; a molecule that has fewer keeps them all.
        uniforms: (n_molecules, at least the batch's number of columns) numbers in (0, 1).
    """
    t = trajectories
    width = t.kind.shape[1]
    real = (t.kind != Decision.PADDING).numpy()
    # The decisions with the smallest numbers are a uniform draw; padding comes last, and sorting restores the order.
    ranked = np.argsort(np.where(real, uniforms[:, :width], 2.0), axis=1, kind="stable")[:, :n_decisions]
    chosen = torch.from_numpy(np.sort(ranked, axis=1))
    column = torch.full((len(real), width), -1).scatter_(1, chosen, torch.arange(chosen.shape[1]).expand_as(chosen))
    alternative_column = column[t.alternative_molecule, t.alternative_decision]
    stays = alternative_column >= 0
    return replace(
        t,
        kind=t.kind.gather(1, chosen),
        prefix=t.prefix.gather(1, chosen),
        focus=t.focus.gather(1, chosen),
        target=t.target.gather(1, chosen),
        awaits=None if t.awaits is None else t.awaits.gather(1, chosen[:, :, None].expand(-1, -1, t.awaits.shape[2])),
        count=None if t.count is None else t.count.gather(1, chosen),
        alternative_molecule=t.alternative_molecule[stays],
        alternative_decision=alternative_column[stays],
        alternative_focus=t.alternative_focus[stays],
        alternative_target=t.alternative_target[stays],
    )


def _distances(trajectories: Trajectories) -> NDArray:
    """Return Å from the focus to the atom placed, (n_molecules, n_decisions), NaN where none is."""
    rows = torch.arange(len(trajectories.n_atoms))[:, None]
    ends = trajectories.positions[rows, trajectories.target.clamp(min=0)]
    distances = (ends - trajectories.positions[rows, trajectories.focus]).norm(dim=-1)
    return distances.masked_fill(trajectories.target < 0, torch.nan).numpy()
