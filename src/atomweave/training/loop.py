"""The training loop: batches in, weights out; run again, it goes on where it stopped, bit for bit.

Batch and noise of step s are pure functions of (seed, s), so that a checkpoint needs no state of any generator. At
fixed steps the averaged weights are measured: the loss on validation molecules, and molecules grown by a `sampler`
that the caller hands in, since the loss goes on falling long after the molecules have stopped getting better.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.store import MoleculeStore
from ..errors import IncompleteError, RefusedFileError, UsageError
from ..files import sha256_of
from ..growth.loader import Batches
from ..growth.trajectories import Trajectories
from ..models.base import Model
from ..models.registry import build_model
from ..models.weights import Card, Figure, check_tensors, load_model, n_parameters, save_weights, weights_path
from ..randomness import fold_in, generator
from .checkpoint import Best, RunState, latest_checkpoint, save_checkpoint
from .config import RunConfig
from .interrupts import Interrupts
from .journal import Display, Journal
from .microbatches import Loss, accumulate
from .optimizer import AveragedWeights, build_optimizer, learning_rate, optimizer_tensors, restore_optimizer
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
    data_name: str = "",
) -> Outcome:
    """Teach a model until its last step, a signal or the end of `max_minutes`; resume what `out` holds.

    `out` gets `log.jsonl`, `timing.jsonl`, `checkpoints/`, `best.safetensors` and `last.safetensors`, averaged weights.

    Args:
        config: model and training.
        store: the molecules.
        out: folder of the run.
        sampler: grows molecules and measures them; None chooses the best weights by the validation loss.
        max_minutes: finish the step, write a checkpoint and return after so many minutes.
        init_from: name or file of weights to begin with; ignored details of a run that has begun may not change.
        data_name: what the weights' card calls the store.

    Raises:
        UsageError: if `out` holds a run of another configuration, or the weights to begin with do not fit the model.
        InputError: if the store lacks a split or holds elements that the model does not know.
        IncompleteError: if the loss stops being a number.
    """
    out.mkdir(parents=True, exist_ok=True)
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    interrupts = Interrupts()
    with interrupts.listening(), Display(config.training.n_steps) as display:
        run = _Run(config, store, out, sampler, display, interrupts, init_from, data_name)
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
        data_name: str,
    ) -> None:
        self.config, self.settings, self.out = config, config.training, out
        self.sampler, self.display, self.interrupts, self.data_name = sampler, display, interrupts, data_name
        self.device = _device(self.settings.device)
        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator
            torch.manual_seed(fold_in(self.settings.seed, "init"))
            self.model = build_model(config.model)
        indices = split_indices(store, self.settings.train_split, "train_split")
        self.batches = Batches(
            store,
            indices,
            self.model.species,
            self.model.policy,
            self.settings.molecules_per_batch,
            self.settings.decisions_per_molecule,
            self.settings.seed,
        )
        self.validation = Validation(self.settings, store, self.model)
        self.state = RunState(config.sha256, config.identity(), store.sha256)
        self.state.init_from = None if init_from is None else sha256_of(weights_path(init_from))
        resumed = self._resume(init_from is not None)
        if init_from is not None and resumed is None:
            self._take_weights(init_from)
        self.model.set_start(self.batches.start_probabilities)
        self.model.to(self.device)
        self.average = AveragedWeights(self.model, copy.deepcopy(self.model), self.settings.ema_decay)
        self.optimizer = build_optimizer(self.settings.optimizer, self.model)
        if resumed is not None:
            self._restore(resumed)
        self.loss, self.averaged_loss = self._loss_of(self.model), self._loss_of(self.average.model)
        self.sums: dict[str, Tensor] = {
            name: torch.tensor(value, dtype=torch.float64, device=self.device)
            for name, value in self.state.sums.items()
        }
        self.journal = Journal(out, self.state.log_bytes)
        self.pace: collections.deque[tuple[float, int]] = collections.deque(maxlen=100)

    # The leg

    def leg(self, deadline: float) -> Outcome:
        """Go on until the last step, a signal or the deadline."""
        state, n_steps = self.state, self.settings.n_steps
        measuring = 0.0  # seconds that the last measurement took
        self.model.train()
        with contextlib.closing(self.journal), self._prepared_batches() as batches:
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
        return self.interrupts.asked or time.monotonic() >= deadline

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
        state, settings = self.state, self.settings
        rate = learning_rate(settings, state.step, from_trained=state.init_from is not None)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        rng = generator(settings.seed, "train", state.step)
        state.fragments += int(trajectories.n_decisions)
        terms = accumulate(self.loss, trajectories.to(self.device), settings.micro_batches, rng)
        if settings.clip_norm is not None:
            terms["gradient_norm"] = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        for name, value in terms.items():
            # float64 sums go through JSON and back unchanged, so that records do not depend on where a run was resumed.
            self.sums[name] = self.sums.get(name, torch.zeros((), dtype=torch.float64, device=self.device)) + value
        if self.device.type == "cpu":  # elsewhere looking at a number makes the device wait
            self._refuse_nan()
        self.optimizer.step()
        self.average.update(state.step)
        state.step += 1
        self.pace.append((time.monotonic(), state.fragments))
        self.display.progress(state.step, self._progress)
        if state.step % settings.log_every == 0:
            self._log(rate)

    def _log(self, rate: float) -> None:
        self._refuse_nan()
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

    def _loss_of(self, model: Model) -> Loss:
        loss = torch.compile(model.loss) if self.settings.compile else model.loss
        enabled = self.settings.autocast == "bfloat16"

        def with_autocast(trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
            # One context a call: autocast remembers the weights it has cast, which do not outlive a backward pass.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled):
                return loss(trajectories, rng)

        return with_autocast

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
        """Write what is due into the log; return False if it was interrupted."""
        if self._samples_due():
            self._checkpoint()  # growing takes a while; if it is interrupted, all of this is done again
        step, settings = self.state.step, self.settings
        text = []
        losses = self.validation.measure(self.averaged_loss, self.device) if self._validation_due() else None
        if losses is not None:
            self.journal.record(kind="validation", step=step, fragments=self.state.fragments, **losses)
            text.append("validation " + "  ".join(f"{name} {value:.4f}" for name, value in losses.items()) + " nats")
        if self._samples_due():
            assert self.sampler is not None
            try:
                with self.interrupts.at_once():
                    shares = self.sampler(self.average.model, settings.n_samples, settings.seed)
            except KeyboardInterrupt:
                return False
            self.journal.record(kind="samples", step=step, fragments=self.state.fragments, **shares)
            text.append("samples " + "  ".join(f"{name} {value:.4g}" for name, value in shares.items()))
            name = next(name for name in CHOOSING if name in shares)
            low, high = shares.get(f"{name}_low"), shares.get(f"{name}_high")
            self._keep_if_best(name, Figure(value=shares[name], low=low, high=high, n=settings.n_samples))
        elif losses is not None and (self.sampler is None or settings.samples_every is None):
            self._keep_if_best("loss", Figure(value=losses["loss"], unit="nats"))
        self.state.measured = step
        self.display.say(f"step {step}: {'; '.join(text)}")
        self.pace.clear()
        return True

    def _keep_if_best(self, measure: str, figure: Figure) -> None:
        best = self.state.best
        better = (lambda a, b: a < b) if measure == "loss" else (lambda a, b: a > b)
        if best is None or best.measure != measure or better(figure.value, best.value):
            self.state.best = Best(self.state.step, measure, figure.value)
            self._export("best.safetensors", {measure: figure})

    # Files

    def _checkpoint(self) -> None:
        self._refuse_nan()
        if not torch.nn.utils.get_total_norm(self.model.parameters()).isfinite():
            raise IncompleteError(
                f"training: weights are no longer finite at step {self.state.step}; the checkpoint before is kept: "
                f"begin again in another folder with a smaller training.learning_rate or training.clip_norm."
            )
        self.state.log_bytes = self.journal.sync()
        self.state.sums = {name: value.item() for name, value in self.sums.items()}
        parts = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        save_checkpoint(self.out / "checkpoints", self.state, tensors)

    def _export(self, name: str, figures: dict[str, Figure] | None = None) -> None:
        card = Card(
            name=self.out.name,
            parameters=n_parameters(self.model),
            data=f"{self.data_name} {self.settings.train_split}".strip(),
            data_sha256=self.state.store_sha256,
            policy=f"{self.model.policy!r}",
            steps=self.state.step,
            fragments=self.state.fragments,
            figures=figures or {},
        )
        save_weights(self.out / name, self.average.model, self.config.model, card)

    def _resume(self, asked_for_weights: bool) -> dict[str, Tensor] | None:
        """Take over the state of the newest whole checkpoint and return its tensors, or None at a beginning."""
        found = latest_checkpoint(self.out / "checkpoints", lambda error: self.display.say(f"warning: {error}"))
        if found is None:
            return None
        state, tensors = found
        if state.run_sha256 != self.state.run_sha256:
            changed = "; ".join(_differences(state.identity, self.state.identity))
            raise UsageError(f"{self.out}: holds a run of another configuration ({changed}); take another --out.")
        if state.store_sha256 != self.state.store_sha256:
            raise UsageError(f"{self.out}: holds a run on another store; take another --out.")
        if asked_for_weights and state.init_from != self.state.init_from:
            raise UsageError(f"{self.out}: holds a run that did not begin with these weights; take another --out.")
        self.state = state
        self.display.say(f"resuming {self.out} at step {state.step}")
        return tensors

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            part, name = key.split("/", 1)
            parts[part][name] = tensor
        self.model.load_state_dict(parts["model"])
        self.average.model.load_state_dict(parts["average"])
        restore_optimizer(self.optimizer, self.model, parts["optimizer"])

    def _take_weights(self, init_from: str | Path) -> None:
        found = load_model(init_from).state_dict()
        try:
            check_tensors(init_from, self.model.state_dict(), found)
        except RefusedFileError as error:
            raise UsageError(f"--init-from: the weights belong to another `model:` section: {error}") from None
        self.model.load_state_dict(found)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise UsageError(f"training.device: {name!r} cannot be used here ({str(error).splitlines()[0]}).") from None
    return device


def _differences(before: dict[str, Any], now: dict[str, Any], path: str = "") -> list[str]:
    """Return "path: before -> now" for every field that differs."""
    found = []
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{path}{name}.")
        elif old != new:
            found.append(f"{path}{name}: {old!r} there, {new!r} here")
    return found
