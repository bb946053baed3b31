"""The equivariant convolution of NequIP in the frame of each edge (eSCN, Passaro and Zitnick 2023).

A message from sender to receiver turns the sender's features so that the edge lies along y, multiplies each path
(degree in, degree out, |m|) by its weight, and turns the result back. With natural parities the product is diagonal in
m, with one real weight for +m and -m.

The gradient is written out, because what the chain rule would store is n_degrees_in times the features of every edge:
here both directions stream over chunks of receivers, and the backward pass computes the messages again. On a CPU with a
C compiler, `kernels.convolution` does the same several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...geometry.edges import FragmentEdges, Reception
from ...kernels.convolution import CompiledConvolution, compiled

EDGES_PER_CHUNK = 2048
"""Edges convolved at a time, so that the messages of a chunk stay in the last-level cache."""

Path = tuple[int, int, int]


def convolution_paths(lmax_in: int, lmax_out: int) -> list[Path]:
    """Return (degree in, degree out, |m|) of every weight, sorted."""
    return [
        (degree_in, degree_out, m)
        for degree_in in range(lmax_in + 1)
        for degree_out in range(lmax_out + 1)
        for m in range(min(degree_in, degree_out) + 1)
    ]


def convolve(features: Tensor, weights: Tensor, rotations: Tensor, read: Reception, lmax_out: int) -> list[Tensor]:
    """Send features along the edges of all fragments and sum them at the receivers.

    Args:
        features: (n_components, n_rows, channels), degrees 0..lmax_in one after the other.
        weights: (n_links_read, n_paths, channels), in the order of `convolution_paths`.
        rotations: (n_pairs, n_entries), matrices into the frame of the pair, of degrees up to at least the higher lmax,
            one after the other.
        read: who receives from whom, across which pair and link.
        lmax_out: highest degree of the result.

    Returns:
        For each degree out (2l + 1, n_receivers, n_degrees_in * channels).
    """
    # Under autocast the linear maps give bfloat16; geometry and sums stay as precise as the rotations.
    features, weights = features.to(rotations.dtype), weights.to(rotations.dtype)
    kernel = CompiledConvolution if compiled(features, lmax_out) else StreamedConvolution
    received = kernel.apply(features, weights, rotations, read, lmax_out)
    return received.split([2 * degree + 1 for degree in range(lmax_out + 1)])


class StreamedConvolution(torch.autograd.Function):
    """The convolution in torch, on any device."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        rotations: Tensor,
        read: Reception,
        lmax_out: int,
    ) -> Tensor:
        """Return (components out, n_receivers, n_degrees_in * channels); arguments as in `convolve`."""
        features = features.transpose(0, 1).contiguous()
        edges, n_receivers = read.edges(), len(read.atom)
        ctx.save_for_backward(features, weights, rotations)
        ctx.edges, ctx.lmax_out, ctx.n_receivers = edges, lmax_out, n_receivers
        width = int(features.shape[1] ** 0.5) * features.shape[2]
        summed = features.new_zeros(n_receivers, (lmax_out + 1) ** 2 * width)
        for table in _tables(edges, n_receivers):
            chunk = _Chunk(table, features, weights, rotations, lmax_out)
            summed[table.receivers] = torch.cat([chunk.receive(degree) for degree in range(lmax_out + 1)], dim=1)
        return summed.unflatten(1, (-1, width)).transpose(0, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of features and weights."""
        features, weights, rotations = ctx.saved_tensors
        grad_features, grad_weights = torch.zeros_like(features), torch.zeros_like(weights)
        grad = grad.transpose(0, 1).flatten(1)
        degrees_in = int(features.shape[1] ** 0.5)
        sizes = [(2 * degree + 1) * degrees_in * features.shape[2] for degree in range(ctx.lmax_out + 1)]
        for table in _tables(ctx.edges, ctx.n_receivers):
            chunk = _Chunk(table, features, weights, rotations, ctx.lmax_out)
            for degree, part in enumerate(grad[table.receivers].split(sizes, dim=1)):
                chunk.send_back(degree, part)
            real = table.real.flatten()
            sent = chunk.features_gradient()
            if not bool(real.all()):
                keep = real.nonzero()[:, 0]
                grad_features.index_add_(0, table.sender.flatten()[keep], sent[keep])
                grad_weights.index_add_(0, table.link.flatten()[keep], chunk.grad_weights[keep])
            else:
                grad_features.index_add_(0, table.sender.flatten(), sent)
                grad_weights.index_add_(0, table.link.flatten(), chunk.grad_weights)
        return grad_features.transpose(0, 1), grad_weights, None, None, None


@dataclass(frozen=True)
class _Table:
    """Receivers with their edges in rows of equal length; the rows of receivers with fewer are filled up."""

    receivers: Tensor  # (n_receivers,) int64
    sender: Tensor  # (n_receivers, n_neighbours) int64; 0 where not real
    pair: Tensor  # (n_receivers, n_neighbours) int64; 0 where not real
    link: Tensor  # (n_receivers, n_neighbours) int64; 0 where not real
    real: Tensor  # (n_receivers, n_neighbours) bool


def _tables(edges: FragmentEdges, n_receivers: int) -> list[_Table]:
    """Group receivers with about equally many neighbours, at most `EDGES_PER_CHUNK` edges a group; no lone atoms."""
    n_neighbours = torch.bincount(edges.receiver, minlength=n_receivers)
    first = n_neighbours.cumsum(0) - n_neighbours
    order = torch.argsort(n_neighbours, stable=True)
    counts = n_neighbours[order].tolist()
    tables, start = [], sum(count == 0 for count in counts)
    while start < len(counts):
        stop = start + 1
        while stop < len(counts) and (stop + 1 - start) * counts[stop] <= EDGES_PER_CHUNK:
            stop += 1
        members = order[start:stop]
        column = torch.arange(counts[stop - 1], device=order.device)
        real = column < n_neighbours[members, None]
        edge = torch.where(real, first[members, None] + column, first[members, None])
        tables.append(_Table(members, edges.sender[edge], edges.pair[edge], edges.link[edge], real))
        start = stop
    return tables


class _Chunk:
    """The edges of one table: features in their frames, and both directions of the product."""

    def __init__(self, table: _Table, features: Tensor, weights: Tensor, rotations: Tensor, lmax_out: int) -> None:
        self.shape, self.channels = table.pair.shape, features.shape[2]
        self.degrees_in = int(features.shape[1] ** 0.5)
        pair = table.pair.flatten()
        sizes = [(2 * degree + 1) ** 2 for degree in range(max(self.degrees_in - 1, lmax_out) + 1)]
        flat = rotations[pair].split([*sizes, rotations.shape[1] - sum(sizes)], dim=1)
        self.rotations = [part.unflatten(1, (2 * degree + 1, 2 * degree + 1)) for degree, part in enumerate(flat[:-1])]
        # Filled-up places receive nothing, because their weights are zero.
        self.weights = weights[table.link.flatten()] * table.real.flatten()[:, None, None]
        sent = features[table.sender.flatten()]
        self.turned = [
            self.rotations[degree] @ sent[:, degree**2 : (degree + 1) ** 2] for degree in range(self.degrees_in)
        ]
        self.paths: dict[tuple[int, int], int] = {}
        for position, (degree_in, degree_out, m) in enumerate(convolution_paths(self.degrees_in - 1, lmax_out)):
            if m == 0:
                self.paths[degree_in, degree_out] = position

    def receive(self, degree_out: int) -> Tensor:
        """Return (n_receivers, (2l + 1) * n_degrees_in * channels) summed messages of one degree."""
        m_max = min(degree_out, self.degrees_in - 1)  # no input reaches |m| beyond
        product = self.weights.new_zeros(len(self.weights), 2 * m_max + 1, self.degrees_in, self.channels)
        for degree_in in range(self.degrees_in):
            first, m = self.paths[degree_in, degree_out], min(degree_in, degree_out)
            turned = self.turned[degree_in]
            target = product[:, m_max - m : m_max + m + 1, degree_in]
            torch.mul(turned[:, degree_in], self.weights[:, first], out=target[:, m])
            if m:
                weight = self.weights[:, first + 1 : first + m + 1]
                torch.mul(turned[:, degree_in + 1 : degree_in + m + 1], weight, out=target[:, m + 1 :])
                torch.mul(turned[:, degree_in - m : degree_in], weight.flip(1), out=target[:, :m])
        back = self._back(degree_out, m_max)
        return (back.mT @ product.view(self.shape[0], -1, self.degrees_in * self.channels)).flatten(1)

    def _back(self, degree_out: int, m_max: int) -> Tensor:
        """Return (n_receivers, n_neighbours * (2 m_max + 1), 2l + 1): turns messages back and sums over neighbours."""
        rows = self.rotations[degree_out][:, degree_out - m_max : degree_out + m_max + 1]
        return rows.reshape(self.shape[0], -1, 2 * degree_out + 1)

    def send_back(self, degree_out: int, grad: Tensor) -> None:
        """Add the gradient through one degree: (n_receivers, (2l + 1) * n_degrees_in * channels)."""
        if not hasattr(self, "grad_weights"):
            self.grad_weights = torch.zeros_like(self.weights)
            self.grad_turned = [torch.zeros_like(turned) for turned in self.turned]
        m_max = min(degree_out, self.degrees_in - 1)
        back = self._back(degree_out, m_max)
        product = back @ grad.view(self.shape[0], 2 * degree_out + 1, -1)
        product = product.view(len(self.weights), 2 * m_max + 1, self.degrees_in, self.channels)
        for degree_in in range(self.degrees_in):
            first, m = self.paths[degree_in, degree_out], min(degree_in, degree_out)
            turned, grad_turned = self.turned[degree_in], self.grad_turned[degree_in]
            part = product[:, m_max - m : m_max + m + 1, degree_in]
            self.grad_weights[:, first] += part[:, m] * turned[:, degree_in]
            grad_turned[:, degree_in] += part[:, m] * self.weights[:, first]
            if m:
                plus, minus = part[:, m + 1 :], part[:, :m].flip(1)
                turned_plus = turned[:, degree_in + 1 : degree_in + m + 1]
                turned_minus = turned[:, degree_in - m : degree_in].flip(1)
                weight = self.weights[:, first + 1 : first + m + 1]
                self.grad_weights[:, first + 1 : first + m + 1] += plus * turned_plus + minus * turned_minus
                grad_turned[:, degree_in + 1 : degree_in + m + 1] += plus * weight
                grad_turned[:, degree_in - m : degree_in] += (minus * weight).flip(1)

    def features_gradient(self) -> Tensor:
        """Return (n_edges, n_components, channels), the gradient of the features sent."""
        return torch.cat(
            [rotation.mT @ grad for rotation, grad in zip(self.rotations, self.grad_turned, strict=False)], dim=1
        )
