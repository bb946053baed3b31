"""Attention with pair features in C (`attention.c`): values and gradients of `models.embedders.causal.attend`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from .library import library, run

HEADS, _LANES, _PAIR_FEATURES, _MAX_STATES = 8, 16, (32, 48), 4  # as in the C source


class _Arguments(ctypes.Structure):
    """`attention` of the C source, field by field."""

    _SIZES = ("n_rows", "n_frames", "n_atoms", "depth", "n_pair", "n_states", "n_kept", "bias_stride", "bfloat16")
    _INPUTS = ("query", "key_value", "kept", "bias", "pairs", "states", "state_bias", "frame", "extent")
    _OUTPUTS = ("weights", "out")
    _GRADIENTS = ("grad", "grad_query", "grad_key_value", "grad_pairs", "grad_bias", "grad_state_bias")
    _fields_ = (
        *((name, ctypes.c_int64) for name in _SIZES),
        *((name, ctypes.c_void_p) for name in (*_INPUTS, *_OUTPUTS, *_GRADIENTS)),
    )


def compiled(pairs: Tensor, width: int, n_heads: int, n_states: int) -> bool:
    """Say whether the kernel is there and made for pair features (..., n_pair), rows of this width and so on."""
    n_pair = pairs.shape[-1]
    fits = n_heads == HEADS and width % (HEADS * _LANES) == 0 and n_pair in _PAIR_FEATURES and n_states <= _MAX_STATES
    return (
        fits and pairs.device.type == "cpu" and pairs.dtype in (torch.float32, torch.bfloat16) and library() is not None
    )


class CompiledAttention(torch.autograd.Function):
    """One pass over each row; the weights of attention are kept for the backward pass, nothing else."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key_value: Tensor,
        bias: Tensor,
        pairs: Tensor,
        extent: Tensor,
        frame: Tensor | None,
        states: Tensor | None,
        state_bias: Tensor | None,
    ) -> Tensor:
        """Return (n_molecules, n_rows, width + HEADS * (pair_features + n_states)).

        Args:
            ctx: of autograd.
            query: (n_molecules, n_rows, width), float32 or bfloat16, as all others unless said otherwise.
            key_value: (n_molecules, n_atoms, 2 * width).
            bias: (n_molecules, n_frames, n_atoms, HEADS), may be a slice of the last dimension of a wider one.
            pairs: (n_molecules, n_frames, n_atoms, pair_features).
            extent: (n_molecules, n_rows) int64, each row sees the first so many atoms; at least 1.
            frame: (n_molecules, n_rows) int64, from where; None where row i looks from frame i.
            states: (n_molecules, n_rows, n_atoms, n_states), what rows know of atoms beside; None where nothing.
            state_bias: (n_states, HEADS) float32; None as above.
        """
        tensors = {
            "query": query.contiguous(),
            "key_value": key_value.contiguous(),
            "bias": bias if _evenly_spaced(bias) else bias.contiguous(),
            "pairs": pairs.contiguous(),
            "extent": extent.contiguous(),
            "frame": None if frame is None else frame.contiguous(),
            "states": None if states is None else states.contiguous(),
            "state_bias": None if state_bias is None else state_bias.contiguous(),
        }
        out, weights = _forward(tensors)
        ctx.save_for_backward(*tensors.values(), weights)
        ctx.names = (*tensors, "weights")
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of queries, keys and values, biases, pairs and states' biases."""
        tensors = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        query, pairs, state_bias = tensors["query"], tensors["pairs"], tensors["state_bias"]
        gradients = {
            "grad_query": torch.empty_like(query),
            "grad_key_value": torch.empty_like(tensors["key_value"]),
            "grad_pairs": torch.empty_like(pairs),
            "grad_bias": pairs.new_empty(*pairs.shape[:3], HEADS),
        }
        # A molecule's own, for threads share nothing.
        per_molecule = None if state_bias is None else state_bias.new_zeros(len(query), *state_bias.shape)
        _run("attention_backward", tensors | gradients | {"grad": grad.contiguous(), "grad_state_bias": per_molecule})
        of_states = None if per_molecule is None else per_molecule.sum(0)
        query_first = ("grad_query", "grad_key_value", "grad_bias", "grad_pairs")
        return *(gradients[name] for name in query_first), None, None, None, of_states


def attended(
    query: Tensor,
    key_value: Tensor,
    kept: Tensor,
    bias: Tensor,
    pairs: Tensor,
    extent: Tensor,
    frame: Tensor | None,
    states: Tensor | None,
    state_bias: Tensor | None,
) -> Tensor:
    """Return what `CompiledAttention` does, without gradients, from keys and values that are kept with others'.

    Args:
        query: as there, like all others unless said otherwise.
        key_value: (n_kept_molecules, n_kept, 2 * width), contiguous, with room for at least n_atoms; it is not copied.
        kept: (n_molecules,) int64, which of the kept molecules each is.
        bias: as there.
        pairs: as there.
        extent: as there.
        frame: as there.
        states: as there.
        state_bias: as there.
    """
    assert key_value.shape[1] >= pairs.shape[2], "there is room for all atoms"
    tensors: dict[str, Tensor | None] = {
        "query": query.contiguous(),
        "key_value": key_value,
        "kept": kept.contiguous(),
        "bias": bias if _evenly_spaced(bias) else bias.contiguous(),
        "pairs": pairs.contiguous(),
        "extent": extent.contiguous(),
        "frame": None if frame is None else frame.contiguous(),
        "states": None if states is None else states.contiguous(),
        "state_bias": None if state_bias is None else state_bias.contiguous(),
    }
    return _forward(tensors)[0]


def _forward(tensors: dict[str, Tensor | None]) -> tuple[Tensor, Tensor]:
    """Return what is attended to, and the weights of attention."""
    query, pairs, states = (tensors[key] for key in ("query", "pairs", "states"))
    assert query is not None
    assert pairs is not None
    n_molecules, n_rows, width = query.shape
    wide = pairs.shape[-1] + (0 if states is None else states.shape[-1])
    n_atoms = pairs.shape[2]
    weights = torch.zeros(n_molecules, n_rows, n_atoms + n_atoms % 2, HEADS)  # 0 for what a row does not see
    out = query.new_empty(n_molecules, n_rows, width + HEADS * wide)
    _run("attention_forward", tensors | {"weights": weights, "out": out})
    return out, weights


def _evenly_spaced(bias: Tensor) -> bool:
    """Say whether one stride leads from atom to atom, and on to the next frame and molecule."""
    stride = bias.stride(2)
    n_frames, n_atoms = bias.shape[1:3]
    return bias.stride() == (stride * n_atoms * n_frames, stride * n_atoms, stride, 1)


def _run(name: str, tensors: dict[str, Tensor | None]) -> None:
    query, key_value, pairs, bias, states = (tensors[key] for key in ("query", "key_value", "pairs", "bias", "states"))
    assert query is not None
    assert key_value is not None
    assert pairs is not None
    assert bias is not None
    n_molecules, n_frames, n_atoms, n_pair = pairs.shape
    arguments = _Arguments(
        n_rows=query.shape[1],
        n_frames=n_frames,
        n_atoms=n_atoms,
        depth=query.shape[2] // HEADS,
        n_pair=n_pair,
        n_states=0 if states is None else states.shape[-1],
        n_kept=key_value.shape[1],
        bias_stride=bias.stride(2),
        bfloat16=query.dtype == torch.bfloat16,
        **{key: x.data_ptr() for key, x in tensors.items() if x is not None},
    )
    run(name, arguments, n_molecules)
