"""The continuous-filter convolution of E3SchNet: filters on the distance times couplings with the harmonics.

Everything between two atoms is a small matrix a path, from the sender's components to the receiver's, times one filter
a channel; all prefixes share both. On a CPU with a C compiler `kernels.filters` streams over the fragments. Otherwise
matrices and filters form one operator a pair and channel, and a layer is one batched matrix product.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...geometry.edges import PrefixRows, Reception
from ...geometry.harmonics import coupling, degree_slice
from ...kernels.filters import CompiledFilters, compiled
from .equivariant import Features


class FilterPath(NamedTuple):
    """One coupling: degree of the sender, of the harmonic, of the result."""

    degree_in: int
    degree_harmonic: int
    degree_out: int

    @property
    def natural(self) -> bool:
        """Whether the result has natural parity; others are pseudo-tensors."""
        return sum(self) % 2 == 0


def convolve(
    sent: Features, weights: Tensor, harmonics: Tensor, read: Reception, rows: PrefixRows, paths: tuple[FilterPath, ...]
) -> Features:
    """Sum over the neighbours in each prefix.

    Args:
        sent: for each degree in (2l + 1, n_rows, filters).
        weights: (n_links_read, n_paths, filters).
        harmonics: (n_pairs, n_harmonics), of each pair's direction.
        read: every row of the fragments receives.
        rows: the fragments.
        paths: by degree in; at least one to every degree out up to the highest.

    Returns:
        For each degree out (2l + 1, n_rows, n_paths of that degree * filters).
    """
    with torch.autocast(harmonics.device.type, enabled=False):
        couplings = harmonics @ _coupling_matrix(paths, harmonics.shape[1]).to(harmonics)
    lmax_out = max(path.degree_out for path in paths)
    # Under autocast the linear maps give bfloat16; geometry and sums stay as precise as the harmonics.
    stacked, weights = torch.cat(sent).to(harmonics.dtype), weights.to(harmonics.dtype)
    if not compiled(stacked, lmax_out):
        return _convolve_densely(stacked, weights, couplings, read, rows, paths)
    received = CompiledFilters.apply(
        stacked, weights, couplings, read, tuple((path.degree_in, path.degree_out) for path in paths)
    )
    n_columns = [sum(path.degree_out == degree for path in paths) for degree in range(lmax_out + 1)]
    sizes = [(2 * degree + 1) * n for degree, n in enumerate(n_columns)]
    parts = received.split([size * stacked.shape[1] * stacked.shape[2] for size in sizes])
    return [part.view(2 * degree + 1, stacked.shape[1], -1) for degree, part in enumerate(parts)]


def _convolve_densely(
    sent: Tensor, weights: Tensor, couplings: Tensor, read: Reception, rows: PrefixRows, paths: tuple[FilterPath, ...]
) -> Features:
    n_molecules, n_decisions, n_atoms = rows.row.shape
    # The last row stands where there is no pair: index -1.
    filters = functional.pad(weights, (0, 0, 0, 0, 0, 1))[read.link]
    matrices = functional.pad(couplings, (0, 0, 0, 1))[read.pair]
    place = (rows.molecule * n_decisions + rows.decision) * n_atoms + rows.atom
    gathered: list[list[Tensor]] = [[] for _ in range(max(path.degree_out for path in paths) + 1)]
    start = 0
    for degree_in in sorted({path.degree_in for path in paths}):
        blocks, here = [], [position for position, path in enumerate(paths) if path.degree_in == degree_in]
        for position in here:
            shape = 2 * degree_in + 1, 2 * paths[position].degree_out + 1
            matrix = matrices[..., start : start + shape[0] * shape[1]].unflatten(-1, shape)
            start += shape[0] * shape[1]
            blocks.append(torch.einsum("bijf,bijxo->bfiojx", filters[:, :, :, position], matrix))
        # (n_molecules, filters, receiving, components out, sending, components in)
        operator = torch.cat(blocks, dim=3)
        part = sent[degree_slice(degree_in)]
        sources = part.new_zeros(len(part), n_molecules * n_decisions * n_atoms, part.shape[2])
        sources = sources.index_copy(1, place, part).unflatten(1, (n_molecules, n_decisions, n_atoms))
        sources = sources.permute(1, 4, 3, 0, 2).flatten(2, 3)  # (molecules, filters, sending x components, decisions)
        received = operator.flatten(4, 5).flatten(2, 3) @ sources
        received = received.unflatten(2, (n_atoms, -1)).permute(3, 0, 4, 2, 1).flatten(1, 3).index_select(1, place)
        sizes = [2 * paths[position].degree_out + 1 for position in here]
        for position, block in zip(here, received.split(sizes), strict=True):
            gathered[paths[position].degree_out].append(block)
    return [torch.cat(blocks, dim=-1) for blocks in gathered]


@functools.cache
def _coupling_matrix(paths: tuple[FilterPath, ...], n_harmonics: int) -> Tensor:
    """Return (n_harmonics, sum over paths of components in * components out), float64."""
    columns = []
    for path in paths:
        block = coupling(path.degree_in, path.degree_harmonic, path.degree_out).permute(1, 0, 2).flatten(1)
        column = block.new_zeros(n_harmonics, block.shape[1])
        column[degree_slice(path.degree_harmonic)] = block
        columns.append(column)
    return torch.cat(columns, dim=1)
