"""Some rows of a tensor, for work that only few pairs of atoms need."""

from __future__ import annotations

from torch import Tensor


def rows_at(x: Tensor, *index: Tensor) -> Tensor:
    """Return `x[index]`, (n, features) of x (..., features), one index (n,) int64 a leading dimension.

    The gradient of plain indexing takes several times as long on a CPU.
    """
    place = index[0]
    for size, along in zip(x.shape[1 : len(index)], index[1:], strict=True):
        place = place * size + along
    return x.flatten(0, len(index) - 1).index_select(0, place)
