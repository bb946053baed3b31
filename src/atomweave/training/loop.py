"""The training loop: batches in, weights out; run again, it goes on where it stopped, bit for bit.

Batch and noise of step s are pure functions of (seed, s), so that a checkpoint needs no state of any generator. At
fixed steps the averaged weights are measured: the loss on validation molecules, and molecules grown by a `sampler`
that the caller hands in, since the loss goes on falling long after the molecules have stopped getting better.
"""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.store import MoleculeStore
from ..errors import IncompleteError
from ..files import held, remove_half_written, sha256_of
from ..growth.loader import Batches
from ..growth.trajectories import Trajectories
from ..models.base import Model
from ..models.weights import Card, Figure, n_parameters, save_weights, weights_path
from .checkpoint import Best, RunState, resumable, save_checkpoint
from .config import RunConfig
from .distributed import ALONE, Processes, own_device, shared_start
from .interrupts import Interrupts
from .journal import Display, Journal
from .learner import Learner, choose_device
from .left_out import left_out
from .optimizer import learning_rate
from .validation import Validation, split_indices

Sampler = Callable[[Model, int, int], dict[str, float]]
"""(model, number of molecules, seed) -> measured shares of all attempts."""

CHOOSING = ("valid", "molecule_stable")
"""Shares that choose the best weights, the first that the sampler measures; NAME_low and NAME_high are its interval."""


@dataclass(frozen=True)
class Outcome:
    """How a leg of training ended."""

    finished: bool
    step: int
    fragments: int  # decisions seen, earlier legs included
    reason: str  # one clause: why the leg ended
    best: Best | None  # what best.safetensors holds


def train(
    config: RunConfig,
    store: MoleculeStore,
    out: Path,
    *,
    sampler: Sampler | None = None,
    max_minutes: float | None = None,
    init_from: str | Path | None = None,
    transferred: bool = False,
    data_name: str = "",
    processes: Processes = ALONE,
) -> Outcome:
    """Teach a model until its last step, a signal or the end of `max_minutes`; resume what `out` holds.

    `out` gets `log.jsonl`, `timing.jsonl`, `checkpoints/`, `best.safetensors` and `last.safetensors`, averaged weights.

    Args:
        config: model and training.
        store: the molecules.
        out: folder of the run.
        sampler: grows molecules and measures them; None chooses the best weights by the validation loss.
        max_minutes: finish the step, write a checkpoint and return after so many minutes.
        init_from: name or file of weights to begin with; a run that has begun only checks that they are the same.
        transferred: take what fits of them (`models.transfer`), and say what begins untaught; otherwise all must fit.
        data_name: what the weights' card calls the store.
        processes: that compute every batch together; each calls this function, the leader alone touches `out`.

    Raises:
        UsageError: if `out` holds a run of another configuration, or another process is at work there, or the weights
            to begin with do not fit the model.
        InputError: if the store lacks a split or holds elements that the model does not know.
        IncompleteError: if the loss stops being a number, or another process of the run is gone.
    """
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    interrupts = Interrupts(patient=processes.size > 1)
    with (
        contextlib.ExitStack() as folder,
        interrupts.listening(),
        Display(config.training.n_steps, quiet=not processes.leads) as display,
    ):
        there = out.is_dir()
        if processes.leads and there:
            folder.enter_context(held(out))
        run = _Run(config, store, out, sampler, display, interrupts, init_from, transferred, data_name, processes)
        if processes.leads and not there:
            folder.enter_context(held(out))
        deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
        return run.leg(deadline)


class _Run:
    def __init__(
        self,
        config: RunConfig,
        store: MoleculeStore,
        out: Path,
        sampler: Sampler | None,
        display: Display,
        interrupts: Interrupts,
        init_from: str | Path | None,
        transferred: bool,
        data_name: str,
        processes: Processes,
    ) -> None:
        self.config, self.settings, self.out = config, config.training, out
        self.sampler, self.display, self.interrupts, self.data_name = sampler, display, interrupts, data_name
        self.processes = processes
        self.device = choose_device(own_device(self.settings.device))
        self.learner = Learner(config, self.device, processes)
        model = self.learner.model
        self.batches = Batches(
            store,
            split_indices(store, self.settings.train_split, "train_split"),
            model.species,
            model.policy,
            self.settings.molecules_per_batch,
            self.settings.decisions_per_molecule,
            self.settings.seed,
            model.conditions,
        )
        self.validation = Validation(self.settings, store, model)
        init_sha256 = None if init_from is None else sha256_of(weights_path(init_from))
        self.state = RunState(config.sha256, config.identity(), store.sha256, init_sha256)
        check = self.learner.check_fits
        found = shared_start(
            processes, self.state, resumable(out, self.state, display.say, check) if processes.leads else None
        )
        if processes.leads:
            for name in ("checkpoints/step-*", "best", "last"):
                remove_half_written(out / f"{name}.safetensors")
        begin_from = init_from if found is None else None
        start, met = self.batches.start_probabilities, self.batches.conditions_met
        if found is None and processes.leads:
            for sentence in left_out(self.batches, config.model):
                display.say(sentence)
        untaught = self.learner.begin(start, met, begin_from, transferred)
        if untaught:
            display.say(f"begins untaught, in full or in part: {', '.join(untaught)}")
        if found is not None:
            self.state, tensors = found
            self.learner.restore(tensors)
        self.sums: dict[str, Tensor] = {
            name: torch.tensor(value, dtype=torch.float64, device=self.device)
            for name, value in self.state.sums.items()
        }
        self.journal = Journal(out, self.state.log_bytes) if processes.leads else None
        self.pace: collections.deque[tuple[float, int]] = collections.deque(maxlen=100)

    # The leg

    def leg(self, deadline: float) -> Outcome:
        """Go on until the last step, a signal or the deadline."""
        state, n_steps = self.state, self.settings.n_steps
        measuring = 0.0  # seconds that the last measurement took
        with contextlib.closing(self.journal or contextlib.ExitStack()), self._prepared_batches() as batches:
            while True:
                if self._measurement_due():
                    if self._stop(deadline - measuring):
                        return self._pause()
                    begun = time.monotonic()
                    if not self._measure():
                        return self._outcome("interrupted")
                    measuring = time.monotonic() - begun
                if state.step >= n_steps:
                    break
                if self._stop(deadline):
                    return self._pause()
                self._step(next(batches))
                if state.step % self.settings.checkpoint_every == 0:
                    self._checkpoint()
            self._checkpoint()
            self._export("last.safetensors")
        return self._outcome("all steps are done")

    def _stop(self, deadline: float) -> bool:
        asked, late = self.processes.any(self.interrupts.asked, time.monotonic() >= deadline)
        self.interrupts.asked = asked
        return asked or late

    def _pause(self) -> Outcome:
        self._checkpoint()
        self._export("last.safetensors")
        return self._outcome("interrupted" if self.interrupts.asked else "the time is up")

    def _outcome(self, reason: str) -> Outcome:
        finished = self.state.step >= self.settings.n_steps and not self._measurement_due()
        return Outcome(finished, self.state.step, self.state.fragments, reason, self.state.best)

    @contextlib.contextmanager
    def _prepared_batches(self) -> Any:
        batches = self.batches.iterate(self.state.step, ahead=self.settings.prefetch)
        with contextlib.closing(batches):
            yield batches

    # One step

    def _step(self, trajectories: Trajectories) -> None:
        state = self.state
        rate = learning_rate(self.settings, state.step, from_trained=state.init_from is not None)
        state.fragments += int(trajectories.n_decisions)
        for name, value in self.learner.compute(trajectories, state.step).items():
            # float64 sums go through JSON and back unchanged, so that records do not depend on where a run was resumed.
            self.sums[name] = self.sums.get(name, torch.zeros((), dtype=torch.float64, device=self.device)) + value
        if self.device.type == "cpu":  # elsewhere looking at a number makes the device wait
            self._refuse_nan()
        self.learner.move(state.step, rate)
        state.step += 1
        self.pace.append((time.monotonic(), state.fragments))
        self.display.progress(state.step, self._progress)
        if state.step % self.settings.log_every == 0:
            self._log(rate)

    def _log(self, rate: float) -> None:
        self._refuse_nan()
        if self.journal is not None:
            means = {name: value.item() / self.settings.log_every for name, value in self.sums.items()}
            self.journal.record(
                kind="train", step=self.state.step, fragments=self.state.fragments, learning_rate=rate, **means
            )
            self.journal.time(
                step=self.state.step, unix_seconds=time.time(), fragments_per_second=self._fragments_per_second()
            )
        self.sums = {}

    def _refuse_nan(self) -> None:
        if "loss" in self.sums and not math.isfinite(self.sums["loss"].item()):
            terms = ", ".join(f"{name} {value.item():.3g}" for name, value in self.sums.items() if name != "loss")
            raise IncompleteError(
                f"training: the loss is no longer finite after step {self.state.step} (sums of terms: {terms}); "
                f"begin again in another folder with a smaller training.learning_rate or training.clip_norm."
            )

    def _progress(self) -> str:
        means = {name: value.item() for name, value in self.sums.items()}
        n_steps = self.state.step % self.settings.log_every or self.settings.log_every
        terms = [f"{name} {value / n_steps:.3f}" for name, value in means.items() if name != "gradient_norm"]
        return f"{'  '.join(terms)} nats  {self._fragments_per_second():.0f} fragments/s"

    def _fragments_per_second(self) -> float:
        if len(self.pace) < 2:
            return 0.0
        (first, fewer), (last, more) = self.pace[0], self.pace[-1]
        return (more - fewer) / (last - first)

    # Measuring the averaged weights

    def _measurement_due(self) -> bool:
        return self._validation_due() or self._samples_due()

    def _validation_due(self) -> bool:
        return self._due(self.settings.validation_every)

    def _samples_due(self) -> bool:
        every = self.settings.samples_every
        return self.sampler is not None and every is not None and self._due(every)

    def _due(self, every: int) -> bool:
        step = self.state.step
        return step > self.state.measured and (step % every == 0 or step >= self.settings.n_steps)

    def _measure(self) -> bool:
        """Measure what is due, the leader for all; return False if it was interrupted."""
        done = self.journal is None or self._record_measurements(self.journal)
        [interrupted] = self.processes.any(not done, patiently=True)
        if interrupted:
            return False
        self.state.measured = self.state.step
        self.pace.clear()
        return True

    def _record_measurements(self, journal: Journal) -> bool:
        """Write what is due into the log; return False if it was interrupted."""
        if self._samples_due():
            self._checkpoint()  # growing takes a while; if it is interrupted, all of this is done again
        step, settings = self.state.step, self.settings
        text = []
        losses = self.validation.measure(self.learner.averaged_loss, self.device) if self._validation_due() else None
        if losses is not None:
            journal.record(kind="validation", step=step, fragments=self.state.fragments, **losses)
            text.append("validation " + "  ".join(f"{name} {value:.4f}" for name, value in losses.items()) + " nats")
        if self._samples_due():
            assert self.sampler is not None
            try:
                with self.interrupts.at_once():
                    shares = self.sampler(self.learner.average.model, settings.n_samples, settings.seed)
            except KeyboardInterrupt:
                return False
            journal.record(kind="samples", step=step, fragments=self.state.fragments, **shares)
            text.append("samples " + "  ".join(f"{name} {value:.4g}" for name, value in shares.items()))
            name = next(name for name in CHOOSING if name in shares)
            low, high = shares.get(f"{name}_low"), shares.get(f"{name}_high")
            self._keep_if_best(name, Figure(value=shares[name], low=low, high=high, n=settings.n_samples))
        elif losses is not None and (self.sampler is None or settings.samples_every is None):
            self._keep_if_best("loss", Figure(value=losses["loss"], unit="nats"))
        self.display.say(f"step {step}: {'; '.join(text)}")
        return True

    def _keep_if_best(self, measure: str, figure: Figure) -> None:
        best = self.state.best
        # Of samples that are as good, such as those of which none is valid, the later ones have learnt more.
        better = (lambda a, b: a < b) if measure == "loss" else (lambda a, b: a >= b)
        if best is None or best.measure != measure or better(figure.value, best.value):
            self.state.best = Best(self.state.step, measure, figure.value)
            self._export("best.safetensors", {measure: figure})

    # Files

    def _checkpoint(self) -> None:
        self._refuse_nan()
        if not self.learner.finite:
            raise IncompleteError(
                f"training: weights are no longer finite at step {self.state.step}; the checkpoint before is kept: "
                f"begin again in another folder with a smaller training.learning_rate or training.clip_norm."
            )
        if self.journal is None:
            return
        self.state.log_bytes = self.journal.sync()
        self.state.sums = {name: value.item() for name, value in self.sums.items()}
        save_checkpoint(self.out / "checkpoints", self.state, self.learner.tensors())

    def _export(self, name: str, figures: dict[str, Figure] | None = None) -> None:
        if not self.processes.leads:
            return
        card = Card(
            name=self.out.name,
            parameters=n_parameters(self.learner.model),
            data=f"{self.data_name} {self.settings.train_split}".strip(),
            data_sha256=self.state.store_sha256,
            largest=self.batches.largest,
            policy=f"{self.learner.model.policy!r}",
            steps=self.state.step,
            fragments=self.state.fragments,
            figures=figures or {},
        )
        save_weights(self.out / name, self.learner.average.model, self.config.model, card)
