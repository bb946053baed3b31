"""Drawing a point of a fine grid on the sphere in C (`directions.c`)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from .library import library, run

_LANES = 16  # as in the C source


class _Arguments(ctypes.Structure):
    """`point_draw` of the C source, field by field."""

    _SIZES = ("n_rows", "channels", "n_rings", "n_orders", "n_azimuths")
    _TENSORS = ("series", "waves", "real", "ring_weights", "uniforms", "ring", "azimuth")
    _fields_ = (*((name, ctypes.c_int64) for name in _SIZES), *((name, ctypes.c_void_p) for name in _TENSORS))


def compiled(coefficients: Tensor) -> bool:
    """Say whether the kernel is there and made for these coefficients."""
    return coefficients.device.type == "cpu" and coefficients.dtype == torch.float32 and library() is not None


def draw_points(series: Tensor, waves: Tensor, ring_weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a ring and an azimuth a row, (n_rows,) each, from the sum over channels of exp(series @ waves).

    Args:
        series: (n_rows, channels, n_rings, n_orders) Fourier coefficients in the azimuth.
        waves: (n_orders, n_azimuths).
        ring_weights: (n_rings,), of each point of a ring.
        uniforms: (n_rows,) in (0, 1).
    """
    fill = -waves.shape[1] % _LANES
    n_rows, channels, n_rings, n_orders = series.shape
    ring = torch.empty(n_rows, dtype=torch.int64)
    tensors = {
        "series": series.contiguous(),
        "waves": torch.nn.functional.pad(waves, (0, fill)),
        "real": torch.nn.functional.pad(torch.ones(waves.shape[1]), (0, fill)),
        "ring_weights": ring_weights.contiguous(),
        "uniforms": uniforms.double().contiguous(),
        "ring": ring,
        "azimuth": torch.empty_like(ring),
    }
    arguments = _Arguments(
        n_rows=n_rows,
        channels=channels,
        n_rings=n_rings,
        n_orders=n_orders,
        n_azimuths=waves.shape[1] + fill,
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
    )
    run("draw_points", arguments, n_rows)
    return ring, tensors["azimuth"]
