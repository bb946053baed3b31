"""A local frame on every atom of a growing molecule, and positions as distance, angle and torsion in it.

Atom i's polar axis points to its parent: the nearest atom placed before it (for the first atom, the second). Its
azimuth is measured from the third atom: the nearest one placed before it that is not collinear with the two, or, where
there is none, the first one placed after it that is not. So a frame never changes once it is whole, it is whole as soon
as a prefix holds what it needs, and it reads nothing else.

Directions within `COLLINEAR` of the axis count as lying on it: their transverse components are zero, exactly. While
atom i lacks a third atom, all others of the prefix are of that kind, by definition, so what they look like from atom i
does not depend on a frame that a later atom will complete. That is why one computation for the whole molecule serves
every prefix of it, linear chains included.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COLLINEAR = 0.1
"""Sine of the angle to the polar axis up to which an atom lies on it: 5.7 degrees."""

INDEX_WEIGHT = 1e-3
"""Å that an atom's distance counts for more per place in the order of growth: symmetric molecules have equal distances,
and rounding must not choose between them."""


@dataclass(frozen=True)
class References:
    """Which atoms make each frame, and since when."""

    parent: Tensor  # (n_molecules, n_frames) int64; 0 where there is none
    third: Tensor  # (n_molecules, n_frames) int64; 0 where there is none
    axis_from: Tensor  # (n_molecules, n_frames) int64, size of the smallest prefix that holds atom and parent
    azimuth_from: Tensor  # (n_molecules, n_frames) int64, and the third atom; beyond any prefix where there is none


@dataclass(frozen=True)
class Frames:
    """The atoms of a molecule as all or some of them see it."""

    centres: Tensor  # (n_molecules, n_frames) int64, the atoms that look
    references: References
    distances: Tensor  # (n_molecules, n_frames, n_atoms) Å, 0 to itself
    # (n_molecules, n_frames, n_atoms, 3), direction of every atom along x (towards the third atom), y and z (towards
    # the parent); 0 of itself, and the transverse components 0 where an atom lies on the axis.
    directions: Tensor


def local_frames(positions: Tensor, n_atoms: Tensor, centres: Tensor | None = None) -> Frames:
    """Return the frames of molecules in growth order.

    Args:
        positions: (n_molecules, n_atoms, 3) Å.
        n_atoms: (n_molecules,) how many of the atoms are real.
        centres: (n_molecules, n_frames) whose frames; None takes every atom's.
    """
    n = positions.shape[1]
    index = torch.arange(n, device=positions.device)
    if centres is None:
        centres = index.expand(len(positions), -1)
    present = index < n_atoms[:, None]
    earlier = index < centres[:, :, None]
    vectors = positions[:, None, :, :] - torch.take_along_dim(positions, centres[:, :, None], 1)[:, :, None, :]
    distances = _norm(vectors)
    units = vectors / distances.clamp(min=1e-6)[..., None]

    near = distances + INDEX_WEIGHT * index
    parent = torch.where(earlier, near, torch.inf).argmin(2)
    is_first, has_second = centres == 0, (n_atoms > 1)[:, None]
    parent = torch.where(is_first, has_second.long(), parent)
    axis_from = torch.where(is_first, 2, centres + 1)

    z = torch.take_along_dim(units, parent[:, :, None, None], 2)[:, :, 0]
    z = torch.where((~is_first | has_second)[..., None], z, z.new_tensor([0.0, 0.0, 1.0]))
    along = (units * z[:, :, None]).sum(-1)
    across = units - along[..., None] * z[:, :, None]
    sine = _norm(across)
    off_axis = (sine > COLLINEAR) & present[:, None, :]

    before = torch.where(earlier & off_axis, near, torch.inf)
    has_before = torch.isfinite(before).any(2)
    after = torch.where(off_axis & ~earlier, index, n)
    third = torch.where(has_before, before.argmin(2), after.amin(2))
    azimuth_from = torch.where(has_before, centres + 1, third + 1)
    third = torch.where(azimuth_from <= n, third, 0)

    x = torch.take_along_dim(across, third[:, :, None, None], 2)[:, :, 0]
    x = torch.where((azimuth_from <= n)[..., None], x, _perpendicular(z))
    x = x / _norm(x).clamp(min=1e-6)[..., None]
    y = torch.linalg.cross(z, x)
    transverse = off_axis.to(units)
    directions = torch.stack(
        [(units * x[:, :, None]).sum(-1) * transverse, (units * y[:, :, None]).sum(-1) * transverse, along], -1
    )
    references = References(parent, third, axis_from, azimuth_from)
    return Frames(centres, references, distances, directions)


def frame_axes(positions: Tensor, parent: Tensor, third: Tensor) -> Tensor:
    """Return (n, 3, 3) axes of atoms; rows are the unit vectors x, y and z of `Frames.directions`.

    Args:
        positions: (n, 3) Å of the atoms.
        parent: (n, 3) Å of their parents; where one is the atom itself, any axis stands in.
        third: (n, 3) Å of their third atoms; where one lies on the axis, any perpendicular stands in.
    """
    z = parent - positions
    length = _norm(z)[..., None]
    z = torch.where(length > 1e-6, z / length.clamp(min=1e-6), z.new_tensor([0.0, 0.0, 1.0]))
    x = third - positions
    x = x - (x * z).sum(-1, keepdim=True) * z
    x = torch.where(_norm(x)[..., None] > 1e-4, x, _perpendicular(z))
    x = x / _norm(x)[..., None]
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def turn_towards(local: Tensor) -> Tensor:
    """Return (n, 3, 3) rotations into the frames whose polar axis points to `local` (n, 3), given in frames of old.

    The old polar axis gives the azimuth of the new one; where the two lie along each other, the old x axis does.
    """
    z = local / _norm(local).clamp(min=1e-6)[..., None]
    old = torch.eye(3, dtype=local.dtype, device=local.device)
    aside = z[..., :2].square().sum(-1, keepdim=True).sqrt() > COLLINEAR
    x = torch.where(aside, old[2], old[0])
    x = x - (x * z).sum(-1, keepdim=True) * z
    x = x / _norm(x)[..., None]
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def to_internal(vectors: Tensor, axes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return distance (Å), cosine of the polar angle and azimuth (radian, within pi of 0) of vectors (n, 3)."""
    distance = _norm(vectors)
    local = (axes * vectors[:, None, :]).sum(-1)
    cosine = (local[:, 2] / distance.clamp(min=1e-6)).clamp(-1, 1)
    return distance, cosine, torch.atan2(local[:, 1], local[:, 0])


def from_internal(distance: Tensor, cosine: Tensor, azimuth: Tensor, axes: Tensor) -> Tensor:
    """Return the vectors (n, 3) that `to_internal` takes apart."""
    sine = (1 - cosine.square()).clamp(min=0).sqrt()
    local = torch.stack([sine * azimuth.cos(), sine * azimuth.sin(), cosine], -1)
    return distance[:, None] * (axes * local[:, :, None]).sum(1)


def _norm(vectors: Tensor) -> Tensor:
    # `linalg.vector_norm` over three numbers is several times slower on a CPU.
    return vectors.square().sum(-1).sqrt()


def _perpendicular(z: Tensor) -> Tensor:
    """Return some vector across each of `z` (..., 3): the coordinate axis that is farthest from it, made orthogonal."""
    axis = torch.nn.functional.one_hot(z.abs().argmin(-1), 3).to(z)
    return axis - (axis * z).sum(-1, keepdim=True) * z
