"""A layer of SphereNet in float32 as two passes over its features and edges, in C (`fused.c`), around the triplets.

    messages  features of pairs or edges -> act(W_down (act(L_kj x) * scale)), and L_ji x
    triplets  messages -> what every edge hears (`triplets`)
    edges     heard, L_ji x, features -> new features of the edges

A few dozen rows pass through all products of a pass while they are in the cache, instead of each product passing over
all rows in memory; so do their gradients. As in `directional`, where bfloat16 is done, the inputs of the activations
are kept for the backward pass, and nothing where no gradient is asked for.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from .directional import WEIGHTS, LayerGraph, to_pairs
from .library import library, run
from .swish import swish
from .triplets import run_backward, run_forward

_LANES, _N_PLANES = 16, 8  # as in the C source


class _Arguments(ctypes.Structure):
    """`layer` of the C source, field by field."""

    _SIZES = ("width", "narrow", "n_features", "n_edges", "n_chunks")
    _TENSORS = (
        *("chunk", "pair", "link", "weights", "features", "scale", "z_message", "z_own", "z_down", "messages"),
        *("heard", "z", "out", "grad", "grad_heard", "grad_around", "grad_own", "grad_messages", "grad_features"),
        *("grad_scale", "grad_weights"),
    )
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(width: int, narrow: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether the kernel is there and made for features of this width, and messages of the narrow one."""
    fits = width % _LANES == 0 and narrow % _LANES == 0 and narrow <= width
    return fits and device.type == "cpu" and dtype == torch.float32 and library() is not None


class FusedLayer(torch.autograd.Function):
    """features, radial weights, angle, torsion, expansions, graph, teaching, `WEIGHTS` -> features of the edges."""

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
        teaching: bool,
        *weights: Tensor,
    ) -> Tensor:
        """Return (n_edges, width) float32; see the class and `DirectionalLayer.forward`.

        What is needed for gradients is kept where `teaching` says so.
        """
        given = {"angle": angle, "torsion": torsion, "expand_angle": expand_angle, "expand_torsion": expand_torsion}
        bases = {name: basis.contiguous() for name, basis in given.items() if basis is not None}
        narrow, width = weights[WEIGHTS.index("down")].shape
        n_features, n_edges = len(x), len(graph.pair)
        tensors = {
            **_places(graph),
            "features": x.contiguous(),
            "scale": scale.contiguous(),
            "weights": torch.cat([weight.detach().t().flatten() for weight in weights]),
            "z_own": x.new_empty(n_features, width),
            "messages": x.new_empty(n_features, narrow),
            "out": x.new_empty(n_edges, width),
        }
        if teaching:
            tensors["z_message"], tensors["z_down"] = x.new_empty(n_features, width), x.new_empty(n_features, narrow)
            tensors["z"] = x.new_empty(_N_PLANES, n_edges, width)
        _run("fused_messages", tensors, graph)
        heard = run_forward({"messages": tensors["messages"], **bases}, graph.tables, n_edges, graph.shared)
        _run("fused_edges", tensors | {"heard": heard}, graph)
        if teaching:
            kept = {name: tensors[name] for name in ("features", "scale", "z_own", "z_message", "z_down", "z")}
            kept |= {"heard": heard, **bases}
            ctx.save_for_backward(*kept.values(), *weights)
            ctx.graph, ctx.kept, ctx.bases = graph, tuple(kept), tuple(bases)
        return tensors["out"]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Return the gradients of features, radial weights, bases, expansions and weights."""
        graph: LayerGraph = ctx.graph
        kept = dict(zip(ctx.kept, ctx.saved_tensors, strict=False))
        weights = ctx.saved_tensors[len(kept) :]
        bases = {name: kept.pop(name) for name in ctx.bases}
        places = _places(graph)
        flat = torch.cat([weight.detach().flatten() for weight in weights])
        tensors = {
            **places,
            **kept,
            "weights": flat,
            "grad": grad.contiguous(),
            "grad_heard": torch.empty_like(kept["heard"]),
            "grad_around": torch.empty_like(grad),
            "grad_own": torch.empty_like(grad),
            "grad_features": torch.empty_like(kept["features"]),
            "grad_scale": torch.zeros_like(kept["scale"]),
            "grad_weights": flat.new_zeros(len(places["chunk"]) - 1, len(flat)),
        }
        _run("fused_edges_backward", tensors, graph)
        messages = swish(kept["z_down"])
        gradients = run_backward(tensors["grad_heard"], {"messages": messages, **bases}, graph.tables, graph.shared)
        tensors["grad_messages"] = gradients["messages"]
        if graph.shared:
            for name in ("grad_around", "grad_own"):
                tensors[name] = to_pairs(tensors[name], graph.pair, len(kept["features"]))
        _run("fused_messages_backward", tensors, graph)
        of_weights = tensors["grad_weights"].sum(0).split([weight.numel() for weight in weights])
        return (
            *(tensors["grad_features"], tensors["grad_scale"]),
            *(gradients.get(name) for name in ("angle", "torsion", "expand_angle", "expand_torsion")),
            *(None, None),
            *(part.view(weight.shape) for part, weight in zip(of_weights, weights, strict=True)),
        )


def _places(graph: LayerGraph) -> dict[str, Tensor]:
    """Return where the kernel finds features and links, and each thread's share: whole molecules, for their links."""
    n_molecules = len(graph.row_start) - 1
    n_chunks = min(torch.get_num_threads(), n_molecules)
    first = [n_molecules * chunk // n_chunks for chunk in range(n_chunks + 1)]
    places = {"chunk": graph.row_start[first], "link": graph.link}
    return places | ({"pair": graph.pair} if graph.shared else {})


def _run(name: str, tensors: dict[str, Tensor], graph: LayerGraph) -> None:
    n_features, width = tensors["features"].shape
    n_chunks = len(tensors["chunk"]) - 1
    narrow = (tensors["heard"] if "heard" in tensors else tensors["messages"]).shape[1]
    arguments = _Arguments(
        width=width,
        narrow=narrow,
        n_features=n_features,
        n_edges=len(graph.pair),
        n_chunks=n_chunks,
        **{key: tensor.data_ptr() for key, tensor in tensors.items()},
    )
    run(name, arguments, n_chunks)
