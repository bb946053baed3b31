"""What is taught: the model, the average of its weights, and the optimizer that moves them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import RefusedFileError, UsageError, printable
from ..growth.trajectories import Trajectories
from ..models.base import Model
from ..models.registry import build_model
from ..models.transfer import transfer
from ..models.weights import check_layout, check_tensors, load_model
from ..randomness import fold_in, generator
from .abreast import Abreast
from .config import RunConfig
from .distributed import ALONE, Processes
from .microbatches import Loss, accumulate, accumulate_abreast
from .optimizer import AveragedWeights, build_optimizer, optimizer_tensors, restore_optimizer

_PARTS = ("model/", "average/", "optimizer/")


class Learner:
    """A model in training.

    Args:
        config: model and training.
        device: where to compute.
        processes: that compute a batch together, each with a model of its own.
    """

    def __init__(self, config: RunConfig, device: torch.device, processes: Processes = ALONE) -> None:
        self.config, self.device, self.processes = config.training, device, processes
        apart = device.type == "cpu" and not self.config.compile  # a GPU is busy as it is
        self.abreast = Abreast(self.config.abreast if apart else 1)
        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator
            torch.manual_seed(fold_in(self.config.seed, "init"))
            self.model = build_model(config.model)

    def begin(
        self,
        start_probabilities: Tensor,
        conditions: Tensor | None,
        init_from: str | Path | None,
        transferred: bool = False,
    ) -> list[str]:
        """Make ready for the first step; return the tensors that begin untaught, in full or in part.

        Args:
            start_probabilities: (n_species,) of the first atom in the training data.
            conditions: (n_molecules, n_columns) that the training data meet, where the model can be told any.
            init_from: weights to begin with; how they scale conditions stays. Those that never heard of conditions
                begin where they ended.
            transferred: take what fits of weights that belong to another configuration.

        Raises:
            UsageError: if the weights do not fit the model.
        """
        if self.model.condition_embedding is not None and conditions is not None:
            self.model.condition_embedding.learn_range(conditions)
        untaught: list[str] = []
        if init_from is not None and transferred:
            untaught = transfer(self.model, load_model(init_from))
        elif init_from is not None:
            self._take_weights(init_from)
        self.model.set_start(start_probabilities)
        self.model.to(self.device)
        self.model.train()
        self.average = AveragedWeights(self.model, copy.deepcopy(self.model), self.config.ema_decay)
        self.optimizer = build_optimizer(self.config.optimizer, self.model, self.abreast)
        self.loss, self.averaged_loss = self._loss_of(self.model), self._loss_of(self.average.model)
        return untaught

    def compute(self, trajectories: Trajectories, step: int) -> dict[str, Tensor]:
        """Compute the gradients of step `step` (0, 1, ...); return loss terms, and the norm where it is clipped."""
        self.optimizer.zero_grad(set_to_none=True)
        rng = generator(self.config.seed, "train", step)
        batch = trajectories.to(self.device), self.config.micro_batches, rng, self.processes
        if self.abreast.n == 1:
            terms = accumulate(self.loss, *batch)
        else:
            terms = accumulate_abreast(self.loss, list(self.model.parameters()), *batch, self.abreast)
        terms = self.processes.add_up(self.model.parameters(), terms)
        if self.config.clip_norm is not None:
            terms["gradient_norm"] = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        return terms

    def move(self, step: int, rate: float) -> None:
        """Move weights and average by the gradients of step `step`."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.average.update(step)

    @property
    def finite(self) -> bool:
        """Whether all weights are finite."""
        return bool(torch.nn.utils.get_total_norm(self.model.parameters()).isfinite())

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that changes in training."""
        parts = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        return {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}

    def check_fits(self, path: Path, layout: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        """Refuse a checkpoint unless it holds the tensors of this model, its average and its optimizer.

        Args:
            path: of the checkpoint.
            layout: (type, shape) of its tensors by name.

        Raises:
            RefusedFileError: for the first that does not fit.
        """
        state, shapes = self.model.state_dict(), {name: p.shape for name, p in self.model.named_parameters()}
        parts = {part: {n[len(part) :]: e for n, e in layout.items() if n.startswith(part)} for part in _PARTS}
        if sum(map(len, parts.values())) != len(layout):
            raise RefusedFileError(f"{path}: holds tensors of neither model, average nor optimizer.")
        check_layout(path, state, parts["model/"])
        check_layout(path, state, parts["average/"])
        for key, (_, shape) in parts["optimizer/"].items():
            name = key.rpartition("/")[0]
            if name not in shapes or shape not in ((), tuple(shapes[name])):
                raise RefusedFileError(f"{path}: tensor {printable(key)[:80]} is no state of the optimizer.")

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` returned."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            part, name = key.split("/", 1)
            parts[part][name] = tensor
        self.model.load_state_dict(parts["model"])
        self.average.model.load_state_dict(parts["average"])
        restore_optimizer(self.optimizer, self.model, parts["optimizer"])

    def _loss_of(self, model: Model) -> Loss:
        loss = torch.compile(model.loss) if self.config.compile else model.loss
        enabled = self.config.autocast == "bfloat16"

        def with_autocast(trajectories: Trajectories, rng: torch.Generator | None) -> dict[str, Tensor]:
            # One context a call: autocast remembers the weights it has cast, which do not outlive a backward pass.
            # They are the process's, though: side by side one thread would clear them under another.
            cached = self.abreast.n == 1
            with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled, cache_enabled=cached):
                return loss(trajectories, rng)

        return with_autocast

    def _take_weights(self, init_from: str | Path) -> None:
        untaught = {
            name: tensor for name, tensor in self.model.state_dict().items() if name.startswith("condition_embedding.")
        }
        found = untaught | load_model(init_from).state_dict()
        try:
            check_tensors(init_from, self.model.state_dict(), found)
        except RefusedFileError as error:
            hint = "--transfer-from takes what fits of them."
            raise UsageError(f"--init-from: the weights belong to another `model:` section: {error} {hint}") from None
        self.model.load_state_dict(found)


def choose_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is a GPU where there is one.

    Raises:
        UsageError: if it cannot be used here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise UsageError(f"training.device: {name!r} cannot be used here ({str(error).splitlines()[0]}).") from None
    return device
