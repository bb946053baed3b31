"""Exact densities on an interval or a circle, constant within fine bins.

Logits over bins give the probability of each; within a bin all points are alike. Where a coordinate has a volume of its
own (the polar angle on the sphere), "alike" is meant in that volume: the density there has no pole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FARTHEST = 7.0
"""Standard deviations of a smoothed target beyond which it is as good as nothing."""


@dataclass(frozen=True)
class Bins:
    """Equal bins from `low` to `high`."""

    low: float
    high: float
    n: int
    circular: bool = False

    @property
    def width(self) -> float:
        """Of one bin, in the coordinate's unit."""
        return (self.high - self.low) / self.n

    def edges(self, like: Tensor) -> Tensor:
        """Return the (n + 1,) edges in type and place of `like`."""
        return torch.linspace(self.low, self.high, self.n + 1, dtype=like.dtype, device=like.device)

    def index(self, x: Tensor) -> Tensor:
        """Return the bin of each value, the nearest where it lies outside."""
        return ((x - self.low) / self.width).floor().long().clamp(0, self.n - 1)

    def holds(self, x: Tensor) -> Tensor:
        """Return whether each value lies in a bin."""
        return (x >= self.low) & (x <= self.high)

    def targets(self, x: Tensor, smoothing: float) -> Tensor:
        """Return (..., n): a Gaussian of `smoothing` bins around each value of x (...), summing to 1."""
        if smoothing == 0:
            return torch.nn.functional.one_hot(self.index(x), self.n).to(x)
        place = (x.clamp(self.low, self.high) - self.low) / self.width
        offset = torch.arange(self.n, dtype=x.dtype, device=x.device) + 0.5 - place[..., None]
        if self.circular:
            offset = torch.remainder(offset + self.n / 2, self.n) - self.n / 2
        return torch.softmax(-0.5 * (offset / smoothing).square(), -1)

    def window(self, x: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the few bins (..., w) around each value of x (...) that `targets` gives any weight, and their shares.

        What lies beyond `FARTHEST` times the smoothing has less than 1e-10 of it. A bin outside of an interval comes as
        one at its end, with a share of zero.
        """
        if smoothing == 0:
            return self.index(x)[..., None], torch.ones_like(x)[..., None]
        half = math.ceil(FARTHEST * smoothing) + 1
        if 2 * half + 1 >= self.n:
            index = torch.arange(self.n, device=x.device).expand(*x.shape, -1)
            return index, self.targets(x, smoothing)
        place = (x.clamp(self.low, self.high) - self.low) / self.width
        index = place.floor().long()[..., None] + torch.arange(-half, half + 1, device=x.device)
        logits = -0.5 * ((index + 0.5 - place[..., None]) / smoothing).square()
        if self.circular:
            return index % self.n, logits.softmax(-1)
        inside = (index >= 0) & (index < self.n)
        return index.clamp(0, self.n - 1), logits.masked_fill(~inside, -torch.inf).softmax(-1)

    def draw(self, logits: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one bin a row of logits (n_rows, n), and where in it, by uniforms (n_rows,).

        Returns:
            (n_rows,) int64 bins, and how far into the bin, between 0 and 1, float64.
        """
        mass = logits.double().softmax(-1)
        cumulative = mass.cumsum(-1)
        wanted = uniforms.to(cumulative)[:, None] * cumulative[:, -1:]
        found = torch.searchsorted(cumulative, wanted, right=True)
        # Rounding may lead past the last bin of positive mass.
        last = self.n - 1 - (mass > 0).flip(1).to(torch.int8).argmax(1, keepdim=True)
        found = torch.minimum(found, last)
        below = cumulative.gather(1, found) - mass.gather(1, found)
        return found[:, 0], ((wanted - below) / mass.gather(1, found)).clamp(0, 1)[:, 0]


def circle(n: int) -> Bins:
    """Return n bins around a circle, in radian."""
    return Bins(-math.pi, math.pi, n, circular=True)
