"""What the placed atoms say about a torsion, once distance and angle are drawn.

Around the axis of the focus the new atom is left with a circle of radius rho at height z. A placed atom j at radius
rho_j, height z_j and azimuth phi_j then lies at

    d_j(phi)^2 = A - B cos(phi - phi_j),   A = rho^2 + rho_j^2 + (z - z_j)^2,   B = 2 rho rho_j

so whatever the network knows about this pair (closing a ring, keeping apart, staggering) is a function of phi - phi_j.
It says it as a short Fourier series around phi_j, from features of the pair and from A and B; the series of all atoms
add up to logits. A ring closes where the geometry says, not where a table of bins happened to learn it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...geometry.frames import COLLINEAR, Frames
from ...geometry.radial import N_LOG_GAUSSIANS, log_gaussians
from ..activation import silu
from ..rows import rows_at

MARKS = (1.1, 1.45, 2.5)
"""Å; a bond to hydrogen, one between heavy atoms, a distance over two bonds: at which phi is d_j one of these?"""

CLEARANCE = 0.5
"""Å; no two atoms of a molecule stand nearer (the shortest bond, H-H, measures 0.74 Å). Atoms that are not to be bonded
need more: whatever stands within a bond's length is a neighbour."""

OCCUPIED = -30.0
"""Added to the logits of places that are taken. To keep off them the network has to outweigh peaks as sharp as the
density itself; taught for 29 epochs of QM9 it still put one hydrogen in 400 on its sibling."""


@dataclass(frozen=True)
class Noted:
    """What the series reads of the placed atoms that are off the axis; those on it say nothing about a torsion."""

    row: Tensor  # (n_noted,) int64, ascending
    atom: Tensor  # (n_noted,) int64
    hidden: Tensor  # (n_noted, width), what `TorsionSeries.note` made of pair, atom and state


@dataclass(frozen=True)
class Surroundings:
    """The placed atoms as the foci of some placements see them."""

    local: Tensor  # (n_rows, n_atoms, 3) Å, in the frame of the focus; transverse parts 0 where on the axis
    placed: Tensor  # (n_rows, n_atoms) bool, whether the prefix holds the atom
    clearance: Tensor  # (n_rows, n_atoms) Å, within which the new atom cannot stand
    noted: Noted | None = None  # for the series

    @classmethod
    def of(cls, frames: Frames, at: tuple[Tensor, Tensor], prefix: Tensor, bonds: Tensor) -> Surroundings:
        """Return the surroundings of foci.

        Args:
            frames: of the molecules.
            at: (n_rows,) each, molecule and frame of the foci.
            prefix: (n_rows,) how many atoms are placed.
            bonds: (n_rows, n_atoms) Å, within which the new atom would be bonded with an atom that it is not to be
                bonded with; 0 of all others.
        """
        local = frames.directions[at] * frames.distances[at][..., None]
        index = torch.arange(local.shape[1], device=local.device)
        return cls(local, index < prefix[:, None], bonds.to(local).clamp(min=CLEARANCE))

    def turned(self, rotations: Tensor, rows: Tensor) -> Surroundings:
        """Return the same atoms, of some rows (n,) as they look after `rotations` (n, 3, 3) of their frames."""
        turned = (self.local[rows][:, :, None] * rotations[:, None]).sum(-1)  # no product: autocast would round it
        off_axis = turned[..., :2].square().sum(-1) > (COLLINEAR * COLLINEAR) * turned.square().sum(-1)
        turned = torch.cat([turned[..., :2] * off_axis[..., None], turned[..., 2:]], -1)
        return replace(self, local=self.local.index_copy(0, rows, turned))


class TorsionSeries(nn.Module):
    """Logits of the torsion from one Fourier series a placed atom.

    Args:
        features: of a decision.
        pair_features: of a pair.
        n_states: numbers that say in what state an atom is.
        width: hidden width.
        n_harmonics: of each series.
    """

    def __init__(self, features: int, pair_features: int, n_states: int, width: int, n_harmonics: int) -> None:
        super().__init__()
        self.n_harmonics = n_harmonics
        self.of_pair = nn.Linear(pair_features, width, bias=False)
        self.of_atom = nn.Linear(features, width, bias=False)
        self.of_state = nn.Linear(n_states, width, bias=False)
        self.of_decision = nn.Linear(features, width)
        self.of_circle = nn.Linear(2 * N_LOG_GAUSSIANS + len(MARKS) + 2, width, bias=False)
        self.out = nn.Linear(width, 2 * n_harmonics)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def note(
        self, around: Surroundings, at: tuple[Tensor, Tensor], pairs: Tensor, atoms: Tensor, states: Tensor
    ) -> Surroundings:
        """Return the surroundings with what is to be known of their atoms.

        Args:
            around: the surroundings, in the frames in which the torsion is measured.
            at: (n_rows,) each, molecule and frame of the foci.
            pairs: (n_molecules, n_frames, n_atoms, pair_features).
            atoms: (n_molecules, n_atoms, features), encoded.
            states: (n_rows, n_atoms, n_states).
        """
        off_axis = around.placed & (around.local[..., :2] != 0).any(-1)
        row, atom = off_axis.nonzero(as_tuple=True)
        molecule, frame = (x[row] for x in at)
        hidden = self.of_pair(rows_at(pairs, molecule, frame, atom)) + rows_at(self.of_atom(atoms), molecule, atom)
        with torch.autocast(hidden.device.type, enabled=False):
            dtype = self.out.weight.dtype
            hidden = hidden.to(dtype) + self.of_state(states[row, atom].to(dtype))
        return replace(around, noted=Noted(row, atom, hidden))

    def forward(self, decisions: Tensor, around: Surroundings, d: Tensor, theta: Tensor, azimuths: Tensor) -> Tensor:
        """Return (n_rows, n_azimuths) logits.

        Args:
            decisions: (n_rows, features).
            around: what each row sees, noted.
            d: (n_rows,) Å, distance of the new atom from the focus.
            theta: (n_rows,) its polar angle.
            azimuths: (n_azimuths,) where to evaluate.
        """
        assert around.noted is not None, "`note` comes first"
        row, local = around.noted.row, around.local[around.noted.row, around.noted.atom]
        with torch.autocast(d.device.type, enabled=False):  # sharp peaks are sums of large terms
            dtype = self.out.weight.dtype
            hidden = self.of_circle(_circle(local, d[row], theta[row]).to(dtype))
            hidden += around.noted.hidden
            hidden += rows_at(self.of_decision(decisions.to(dtype)), row)
            even, odd = self.out(silu(hidden)).chunk(2, -1)
            orders = torch.arange(1, self.n_harmonics + 1, dtype=dtype, device=d.device)
            turns = torch.atan2(local[:, 1], local[:, 0])[:, None] * orders
            cosines, sines = turns.cos(), turns.sin()
            waves = torch.cat([even * cosines - odd * sines, even * sines + odd * cosines], -1)
            waves = waves.new_zeros(len(d), waves.shape[1]).index_add(0, row, waves)
            angles = azimuths[:, None] * orders
            return waves @ torch.cat([angles.cos(), angles.sin()], -1).T


def occupied(around: Surroundings, d: Tensor, theta: Tensor, azimuths: Tensor) -> Tensor:
    """Return (n_rows, n_azimuths) bool: where a placed atom would not have the clearance that it needs.

    A place is the stretch of the circle around an azimuth, and all of it must be too near. Where all the circle would
    be, distance and angle have decided already who is bonded, and only what lies within `CLEARANCE` is closed;
    nothing, where that were all the circle.

    Args:
        around: what each row sees.
        d: (n_rows,) Å, distance of the new atom from the focus.
        theta: (n_rows,) its polar angle.
        azimuths: (n_azimuths,) ascending at equal distances around the circle.
    """
    taken = _too_near(around, around.clearance, d, theta, azimuths)
    full = taken.all(1).nonzero()[:, 0]
    if len(full):  # next to none
        seen = replace(around, local=around.local[full], placed=around.placed[full], noted=None)
        touched = _too_near(seen, around.clearance.new_full((), CLEARANCE), d[full], theta[full], azimuths)
        taken[full] = touched & ~touched.all(1, keepdim=True)
    return taken


def _too_near(around: Surroundings, limit: Tensor, d: Tensor, theta: Tensor, azimuths: Tensor) -> Tensor:
    """Return (n_rows, n_azimuths) bool: where all of a place lies within a limit, Å, of some placed atom.

    What an atom takes is one arc, |phi - phi_j| < arccos((A - limit^2) / B). Only its ends are marked, +1 and -1, and
    a running sum around the circle covers what lies between them.
    """
    a, b = _distances(around.local, d[:, None], theta[:, None])
    excess = a - limit.square()
    row, atom = (around.placed & (excess < b)).nonzero(as_tuple=True)
    rows, row = row.unique_consecutive(return_inverse=True)  # few rows have an atom so near
    excess, b, x, y = excess[rows[row], atom], b[rows[row], atom], *around.local[rows[row], atom, :2].unbind(-1)
    n, step = len(azimuths), 2 * math.pi / len(azimuths)
    centre = (torch.atan2(y, x) - azimuths[0]) / step
    half = torch.arccos((excess / b).clamp(-1, 1)) / step - 0.5  # of the middles of places that are taken throughout
    everywhere = excess < -b
    first = torch.where(everywhere, 0, (centre - half).floor().long() + 1)
    last = torch.where(everywhere, n - 1, (centre + half).ceil().long() - 1)
    n_taken = (last - first + 1).clamp(0, n)
    first = first % n  # and on beyond the end of the circle, which comes round to its beginning
    marks = torch.zeros(len(rows), 2 * n + 1, dtype=torch.int32, device=d.device)
    one = marks.new_ones(len(row))
    marks.index_put_((row, first), one, accumulate=True)
    marks.index_put_((row, first + n_taken), -one, accumulate=True)
    cover = marks[:, :-1].cumsum(1, dtype=torch.int32)
    nowhere = torch.zeros(len(d), n, dtype=torch.bool, device=d.device)
    return nowhere.index_copy(0, rows, (cover[:, :n] + cover[:, n:]) > 0)


def _distances(local: Tensor, d: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return A and B of the module's docstring, Å^2, (...) each, of atoms at `local` (..., 3)."""
    radius, height = d * theta.sin(), d * theta.cos()
    radius_j = local[..., :2].square().sum(-1).sqrt()
    return radius.square() + radius_j.square() + (height - local[..., 2]).square(), 2 * radius * radius_j


def _circle(local: Tensor, d: Tensor, theta: Tensor) -> Tensor:
    """Return (n, ...) how near and how far atoms (n, 3) come as the torsion turns, and where it is when."""
    a, b = _distances(local, d, theta)
    radius, radius_j = d * theta.sin(), local[:, :2].square().sum(-1).sqrt()
    nearest, farthest = (a - b).clamp(min=0).sqrt(), (a + b).sqrt()
    cosines = [((a - mark**2) / b.clamp(min=1e-3)).clamp(-1.5, 1.5) for mark in MARKS]
    parts = [log_gaussians(nearest), log_gaussians(farthest), torch.stack([radius_j, radius, *cosines], -1)]
    return torch.cat(parts, -1)
