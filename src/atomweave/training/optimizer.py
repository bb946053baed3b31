"""The optimizer, its learning rate over steps, and the exponential average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..models.base import Model
from .abreast import Abreast
from .config import AdamConfig, MuonConfig, TrainingConfig
from .muon import Muon


def learning_rate(config: TrainingConfig, step: int, from_trained: bool = False) -> float:
    """Return the learning rate of optimizer step `step` (0, 1, ...), a function of the step alone.

    Args:
        config: gives peak, schedule and number of steps.
        step: counted from 0.
        from_trained: whether the run began with trained weights, which lengthens a short warm-up: Adam's moments
            start empty and its first steps would undo what was learnt.
    """
    schedule = config.schedule
    warmup = max(schedule.warmup_steps, config.init_warmup_steps) if from_trained else schedule.warmup_steps
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if schedule.kind == "constant":
        return config.learning_rate
    progress = min(1.0, (step - warmup) / max(1, config.n_steps - 1 - warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (schedule.final_fraction + (1 - schedule.final_fraction) * cosine)


def build_optimizer(
    config: AdamConfig | MuonConfig, model: nn.Module, abreast: Abreast | None = None
) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters of `model`; its learning rate is set at every step.

    Args:
        config: which, and its decays.
        model: whose parameters.
        abreast: threads for Muon's matrices; None has them one after the other.

    Raises:
        UsageError: if the model names no hidden matrices for Muon to move.
    """
    betas = config.beta1, config.beta2
    if isinstance(config, MuonConfig):
        matrices = list(model.hidden_matrices()) if isinstance(model, Model) else []
        if not matrices:
            raise UsageError("training.optimizer.kind: this model names no hidden matrices for muon; wanted adam.")
        chosen = {id(matrix) for matrix in matrices}
        others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        return Muon(matrices, others, config.momentum, betas, config.eps, config.weight_decay, abreast)
    return torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=betas, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's state as "parameter name/quantity" -> tensor, empty before the first step."""
    return {
        f"{name}/{quantity}": tensor
        for name, parameter in model.named_parameters()
        for quantity, tensor in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, tensor in tensors.items():
        name, quantity = key.rsplit("/", 1)
        optimizer.state[parameters[name]][quantity] = tensor.to(parameters[name].device)


class AveragedWeights:
    """Exponential moving average of a model's parameters, kept in a second model that is never taught itself.

    The decay warms up as (1 + step) / (10 + step), so that the random weights of the start are soon forgotten.

    Args:
        model: the model that is taught.
        average: another of the same kind; it takes over the weights and becomes the average.
        decay: of one step.
    """

    def __init__(self, model: Model, average: Model, decay: float) -> None:
        average.load_state_dict(model.state_dict())
        average.requires_grad_(False)
        average.eval()
        self.model = average
        self.decay = decay
        self._averages: list[Tensor] = list(average.parameters())
        self._weights = [parameter.detach() for parameter in model.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after optimizer step `step` (0, 1, ...)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
