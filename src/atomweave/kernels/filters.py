"""The continuous-filter convolution in C (`filters.c`): values and gradients of `models.embedders.filters.convolve`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .library import library, run

if TYPE_CHECKING:
    from ..geometry.edges import Reception

_LANES, _MAX_DEGREE = 16, 4  # as in the C source


class _Arguments(ctypes.Structure):
    """`filter_convolution` of the C source, field by field."""

    _SIZES = ("filters", "n_paths", "n_atoms", "n_rows", "coupling_size")
    _TENSORS = (
        *("sent", "weights", "couplings", "pair", "link", "order", "molecule_start", "atom", "prefix", "first_row"),
        *("degree_in", "degree_out", "coupling_start", "place", "width"),
        *("received", "grad_received", "grad_sent", "grad_weights"),
    )
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(sent: Tensor, lmax_out: int) -> bool:
    """Say whether the kernel is there and made for what is sent, (components, n_rows, filters)."""
    fits = sent.shape[2] % _LANES == 0 and lmax_out <= _MAX_DEGREE
    return fits and sent.device.type == "cpu" and sent.dtype == torch.float32 and library() is not None


class CompiledFilters(torch.autograd.Function):
    """Streams over fragments: nothing is stored per edge."""

    @staticmethod
    def forward(
        ctx: Any,
        sent: Tensor,
        weights: Tensor,
        couplings: Tensor,
        read: Reception,
        paths: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Return, flat, for each degree out (2l + 1, n_rows, n_paths of that degree * filters).

        Args:
            ctx: as autograd gives it.
            sent: (components in, n_rows, filters).
            weights: (n_links_read, n_paths, filters).
            couplings: (n_pairs, sum over paths of components in * components out).
            read: who receives what; every row of the fragments, in order.
            paths: (degree in, degree out) of each.
        """
        order, molecule_start = read.by_molecule
        tables = _path_tables(tuple(paths), sent.shape[1], sent.shape[2])
        inputs = {
            "sent": sent.contiguous(),
            "weights": weights.contiguous(),
            "couplings": couplings.contiguous(),
            "order": order,
            "molecule_start": molecule_start,
            **{name: getattr(read, name).contiguous() for name in ("pair", "link", "atom", "prefix", "first_row")},
            **tables,
        }
        ctx.names = tuple(inputs)
        ctx.save_for_backward(*inputs.values())
        received = sent.new_empty(sum((2 * out + 1) for _, out in paths) * sent.shape[1] * sent.shape[2])
        _run("filters_forward", inputs | {"received": received})
        return received

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of what is sent and of the weights."""
        inputs = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        outputs = {"grad_sent": torch.zeros_like(inputs["sent"]), "grad_weights": torch.zeros_like(inputs["weights"])}
        _run("filters_backward", inputs | outputs | {"grad_received": grad.contiguous()})
        return outputs["grad_sent"], outputs["grad_weights"], None, None, None


def _path_tables(paths: tuple[tuple[int, int], ...], n_rows: int, filters: int) -> dict[str, Tensor]:
    starts, size, columns, n_columns = [], 0, [], dict.fromkeys(range(_MAX_DEGREE + 1), 0)
    for degree_in, degree_out in paths:
        starts.append(size)
        size += (2 * degree_in + 1) * (2 * degree_out + 1)
        columns.append(n_columns[degree_out])
        n_columns[degree_out] += 1
    begin, place_of = 0, {}
    for degree, n in n_columns.items():
        place_of[degree] = begin
        begin += (2 * degree + 1) * n_rows * n * filters
    rows = {
        "degree_in": [degree_in for degree_in, _ in paths],
        "degree_out": [degree_out for _, degree_out in paths],
        "coupling_start": starts,
        "place": [place_of[out] + column * filters for (_, out), column in zip(paths, columns, strict=True)],
        "width": [n_columns[out] * filters for _, out in paths],
    }
    return {name: torch.tensor(values, dtype=torch.int64) for name, values in rows.items()}


def _run(name: str, tensors: dict[str, Tensor]) -> None:
    arguments = _Arguments(
        filters=tensors["sent"].shape[2],
        n_paths=tensors["weights"].shape[1],
        n_atoms=tensors["pair"].shape[1],
        n_rows=tensors["sent"].shape[1],
        coupling_size=tensors["couplings"].shape[1],
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
    )
    run(name, arguments, len(tensors["pair"]))
