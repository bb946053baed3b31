"""A layer of SphereNet as one step of autograd: `DirectionalLayer` of `models.embedders.spherenet` on compiled kernels.

Its products are torch's, which has the fastest in bfloat16; in float32 `fused` saves the passes over memory between.

What is kept for the backward pass are the features and the inputs of the activations, in the precision of the products,
3 kB an edge in bfloat16; autograd would keep twice as much. Everything between is formed again from these in passing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .swish import scaled_swish, scaled_swish_gradient, swish, swish_gradient
from .triplets import run_backward, run_forward

WEIGHTS = (
    *("message.weight", "message.bias", "own.weight", "own.bias", "down", "up"),
    *("before.first.weight", "before.first.bias", "before.second.weight", "before.second.bias"),
    *("middle.weight", "middle.bias"),
    *("after.0.first.weight", "after.0.first.bias", "after.0.second.weight", "after.0.second.bias"),
    *("after.1.first.weight", "after.1.first.bias", "after.1.second.weight", "after.1.second.bias"),
)
"""Parameters of a layer in the order in which `CompiledLayer` takes them."""


@dataclass(frozen=True)
class LayerGraph:
    """Who hears whom, as `CompiledLayer` reads it."""

    tables: dict[str, Tensor]  # of the triplets, see `CompiledTripletSum`
    pair: Tensor  # (n_edges,) int64
    link: Tensor  # (n_features,) int64, link of each row of the features that come in
    row_start: Tensor  # (n_molecules + 1,) int64, first row of each molecule among these
    shared: bool  # features that come in are of pairs


class CompiledLayer(torch.autograd.Function):
    """features, radial weights, angle, torsion, both expansions, graph, `WEIGHTS` -> features of the edges."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        angle: Tensor,
        torsion: Tensor | None,
        expand_angle: Tensor,
        expand_torsion: Tensor | None,
        graph: LayerGraph,
        dtype: torch.dtype,
        *weights: Tensor,
    ) -> Tensor:
        """Return (n_edges, width) of `dtype`; see the class and `DirectionalLayer.forward`."""
        features, w = x.to(dtype), _Weights([weight.detach().to(dtype) for weight in weights])
        scale = scale.float().contiguous()
        given = {"angle": angle, "torsion": torsion, "expand_angle": expand_angle, "expand_torsion": expand_torsion}
        bases = {name: basis.contiguous() for name, basis in given.items() if basis is not None}
        z_message = w.linear("message", features)
        z_down = scaled_swish(z_message, scale, graph.link) @ w["down"].T
        z_own = w.linear("own", features)
        messages = swish(z_down).float()
        heard = run_forward({"messages": messages, **bases}, graph.tables, len(graph.pair), graph.shared).to(dtype)
        z_up = heard @ w["up"].T
        e = _first(z_up, z_own, graph)
        z_first, z_second, e = _residual(w, "before", e)
        z_middle = w.linear("middle", e)
        e = swish(z_middle, features[graph.pair] if graph.shared else features)
        z_third, z_fourth, e = _residual(w, "after.0", e)
        z_fifth, z_sixth, e = _residual(w, "after.1", e)
        ctx.save_for_backward(
            *(features, scale, z_message, z_down, z_own, heard, z_up),
            *(z_first, z_second, z_middle, z_third, z_fourth, z_fifth, z_sixth),
            *weights,
            *bases.values(),
        )
        ctx.graph, ctx.dtype, ctx.names, ctx.dtypes = graph, dtype, tuple(bases), (x.dtype, weights[0].dtype)
        return e

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Return the gradients of features, radial weights, bases, expansions and weights."""
        features, scale, z_message, z_down, z_own, heard, z_up, *saved = ctx.saved_tensors
        z_first, z_second, z_middle, z_third, z_fourth, z_fifth, z_sixth = saved[:7]
        w = _Weights([weight.detach().to(ctx.dtype) for weight in saved[7 : 7 + len(WEIGHTS)]])
        bases = dict(zip(ctx.names, saved[7 + len(WEIGHTS) :], strict=True))
        graph: LayerGraph = ctx.graph
        at_edges = features[graph.pair] if graph.shared else features

        e_first = _first(z_up, z_own, graph)
        e_before = swish(z_second, e_first)
        e_middle = swish(z_middle, at_edges)
        grad = grad.to(ctx.dtype).clone()
        _residual_gradient(w, "after.1", grad, swish(z_fourth, e_middle), z_fifth, z_sixth)
        _residual_gradient(w, "after.0", grad, e_middle, z_third, z_fourth)
        grad_edges = grad  # what goes around the middle
        grad = w.linear_gradient("middle", swish_gradient(grad, z_middle)[0], e_before)
        _residual_gradient(w, "before", grad, e_first, z_first, z_second)

        grad_up = swish_gradient(grad, z_up)[0]
        w.matrix_gradient("up", grad_up, heard)
        messages = swish(z_down).float()
        gradients = run_backward(
            (grad_up @ w["up"]).float(), {"messages": messages, **bases}, graph.tables, graph.shared
        )
        grad_down = swish_gradient(gradients["messages"].to(ctx.dtype), z_down)[0]
        grad_message, grad_scale, scaled = scaled_swish_gradient(
            grad_down @ w["down"], z_message, scale, graph.link, graph.row_start
        )
        w.matrix_gradient("down", grad_down, scaled)
        if graph.shared:
            grad, grad_edges = (to_pairs(x, graph.pair, len(features)) for x in (grad, grad_edges))
        grad_edges += w.linear_gradient("own", swish_gradient(grad, z_own)[0], features)
        grad_edges += w.linear_gradient("message", grad_message, features)
        return (
            *(grad_edges.to(ctx.dtypes[0]), grad_scale),
            *(gradients.get(name) for name in ("angle", "torsion", "expand_angle", "expand_torsion")),
            *(None, None),
            *(w.gradients[name].to(ctx.dtypes[1]) for name in WEIGHTS),
        )


class _Weights:
    """The weights by name, in the precision of the products, and their gradients as these come in."""

    def __init__(self, weights: list[Tensor]) -> None:
        self._weights = dict(zip(WEIGHTS, weights, strict=True))
        self.gradients: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._weights[name]

    def linear(self, name: str, x: Tensor) -> Tensor:
        return torch.addmm(self[f"{name}.bias"], x, self[f"{name}.weight"].T)

    def linear_gradient(self, name: str, grad: Tensor, x: Tensor) -> Tensor:
        """Note the gradients of a layer, given its input and the gradient of its output; return the input's."""
        self.note(name, grad, x)
        return grad @ self[f"{name}.weight"]

    def note(self, name: str, grad: Tensor, x: Tensor) -> None:
        self.matrix_gradient(f"{name}.weight", grad, x)
        self.gradients[f"{name}.bias"] = (grad.new_ones(1, len(grad)) @ grad)[0]

    def matrix_gradient(self, name: str, grad: Tensor, x: Tensor) -> None:
        self.gradients[name] = grad.T @ x


def _first(z_up: Tensor, z_own: Tensor, graph: LayerGraph) -> Tensor:
    own = swish(z_own)
    return swish(z_up, own[graph.pair] if graph.shared else own)


def _residual(w: _Weights, name: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    z_first = w.linear(f"{name}.first", x)
    z_second = w.linear(f"{name}.second", swish(z_first))
    return z_first, z_second, swish(z_second, x)


def _residual_gradient(w: _Weights, name: str, grad: Tensor, x: Tensor, z_first: Tensor, z_second: Tensor) -> None:
    """Turn `grad` of a residual block's output into that of its input `x`, in place."""
    grad_second = swish_gradient(grad, z_second)[0]
    grad_first, hidden = swish_gradient(grad_second @ w[f"{name}.second.weight"], z_first)
    w.note(f"{name}.second", grad_second, hidden)
    w.note(f"{name}.first", grad_first, x)
    grad.addmm_(grad_first, w[f"{name}.first.weight"])


def to_pairs(grad: Tensor, pair: Tensor, n_pairs: int) -> Tensor:
    """Return (n_pairs, width): what edges (n_edges, width) say of the pairs that they are of, summed."""
    summed = torch.zeros(n_pairs, grad.shape[1], dtype=torch.float32)
    return summed.index_add_(0, pair, grad.float()).to(grad.dtype)
