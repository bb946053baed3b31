"""`log_integral` of `geometry.sphere` in C (`sphere.c`)."""

from __future__ import annotations

import ctypes
import functools

import torch
from torch import Tensor

from .library import library, run

_POINTS = 32  # a multiple of so many, as the C source takes them


class _Arguments(ctypes.Structure):
    """`log_integral` of the C source, field by field."""

    _SIZES = ("n_rows", "n_even", "n_odd", "n_points")
    _TENSORS = ("coefficients", "harmonics", "weights", "logs", "means")
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(coefficients: Tensor) -> bool:
    """Say whether the kernel is there and made for these coefficients."""
    return coefficients.device.type == "cpu" and coefficients.dtype == torch.float32 and library() is not None


def compiled_log_integral(
    coefficients: Tensor, harmonics: Tensor, weights: Tensor, with_means: bool
) -> tuple[Tensor, Tensor | None]:
    """Return logarithms of integrals (n_rows,) and means of the harmonics under the densities (n_rows, n_harmonics).

    Args:
        coefficients: (n_rows, n_harmonics).
        harmonics: (n_harmonics, n_points) at one of each two opposite points.
        weights: (n_points,).
        with_means: whether the means are wanted.
    """
    order, n_even = _even_degrees_first(len(harmonics))
    fill = -harmonics.shape[1] % _POINTS
    inputs = {
        "coefficients": coefficients[:, order].contiguous(),
        # Copies of a point, not zeros: a zero would count in the peak, and densities far below it would underflow.
        "harmonics": torch.nn.functional.pad(harmonics[None, order], (0, fill), mode="replicate")[0],
        "weights": torch.nn.functional.pad(weights, (0, fill)),
    }
    logs = coefficients.new_empty(len(coefficients))
    means = torch.empty_like(inputs["coefficients"]) if with_means else None
    arguments = _Arguments(
        n_rows=len(coefficients),
        n_even=n_even,
        n_odd=len(order) - n_even,
        n_points=inputs["harmonics"].shape[1],
        logs=logs.data_ptr(),
        means=None if means is None else means.data_ptr(),
        **{name: tensor.data_ptr() for name, tensor in inputs.items()},
    )
    run("log_integral_rows", arguments, len(coefficients))
    return logs, None if means is None else means[:, order.argsort()]


@functools.cache
def _even_degrees_first(n_harmonics: int) -> tuple[Tensor, int]:
    degrees = [degree for degree in range(int(n_harmonics**0.5)) for _ in range(2 * degree + 1)]
    order = sorted(range(n_harmonics), key=lambda position: degrees[position] % 2)
    return torch.tensor(order), sum(degree % 2 == 0 for degree in degrees)
