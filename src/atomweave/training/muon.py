"""Muon: momentum of hidden matrices, made orthogonal before it moves them; all other parameters go by Adam.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the scale by which one learning rate
serves both kinds of parameters is that of J. Liu et al., "Muon is scalable for LLM training" (2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from .abreast import Abreast

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial a x + b x^3 + c x^5 that, applied again and again, drives all singular values to 1 (Jordan)."""

N_ITERATIONS = 5
"""Applications of the polynomial; singular values then lie between 0.7 and 1.2."""

ADAM_STEP = 0.2
"""Root mean square of Adam's usual step, in learning rates (Liu); an orthogonal matrix is scaled to the same."""


class Muon(torch.optim.Optimizer):
    """Steps of orthogonal matrices for `matrices`, of Adam for `others`; see the module's docstring.

    Args:
        matrices: weights of hidden linear layers, two dimensions each.
        others: embeddings, biases, gains, and layers that give logits or read few numbers.
        momentum: decay of the mean gradient of the matrices.
        betas: decays of Adam.
        eps: of Adam.
        weight_decay: decoupled, of both, per step times the learning rate.
        abreast: threads that take the matrices shape by shape; None has them one after the other.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        momentum: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        abreast: Abreast | None = None,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "orthogonal": True},
            {"params": list(others), "orthogonal": False},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": 0.0})
        self.momentum, self.betas, self.eps, self.weight_decay = momentum, betas, eps, weight_decay
        self.abreast = Abreast(1) if abreast is None else abreast

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all parameters that have a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._move_matrices if group["orthogonal"] else self._move_others)(parameters, group["lr"])

    def _move_matrices(self, parameters: list[Tensor], rate: float) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        largest_first = sorted(by_shape.values(), key=lambda alike: len(alike) * alike[0].numel(), reverse=True)
        for _ in self.abreast.map(lambda alike: self._move_alike(alike, rate), largest_first):
            pass

    @torch.no_grad()  # which is a thread's own
    def _move_alike(self, alike: list[Tensor], rate: float) -> None:
        gradients = torch.stack(_gradients(alike))
        means = [self._state(parameter, "momentum") for parameter in alike]
        torch._foreach_lerp_(means, list(gradients.unbind()), 1 - self.momentum)
        steps = orthogonal(gradients.lerp(torch.stack(means), self.momentum))  # Nesterov's
        length = rate * ADAM_STEP * max(alike[0].shape) ** 0.5
        for parameter, step in zip(alike, steps.unbind(), strict=True):
            parameter.mul_(1 - rate * self.weight_decay).sub_(step, alpha=length)

    def _move_others(self, parameters: list[Tensor], rate: float) -> None:
        adamw(
            parameters,
            _gradients(parameters),
            [self._state(parameter, "exp_avg") for parameter in parameters],
            [self._state(parameter, "exp_avg_sq") for parameter in parameters],
            [],
            [self._state(parameter, "step", torch.zeros(())) for parameter in parameters],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=self.eps,
            maximize=False,
        )

    def _state(self, parameter: Tensor, name: str, zero: Tensor | None = None) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter) if zero is None else zero.to(parameter.device)
        return state[name]


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def orthogonal(matrices: Tensor) -> Tensor:
    """Return U V^T, nearly, of the singular value decompositions U S V^T of `matrices` (n, rows, columns)."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.float().square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-7).bfloat16()
    for _ in range(N_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
