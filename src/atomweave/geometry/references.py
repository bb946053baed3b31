"""References of a focus, and positions as distance, angle and torsion from them (Luo and Ji, ICLR 2022, section 3.2).

A new atom r is measured from the focus f, its nearest placed atom c and the placed atom e nearest to c:

    d = |r - f|,    theta = angle c-f-r in [0, pi],    phi in (0, 2 pi]

phi is the right-handed rotation about c -> f that takes r to e: minus the IUPAC dihedral e-c-f-r, as in the published
code (the paper prints [-pi, pi]). It is signed: rotations and translations leave (d, theta, phi) alone, a reflection
takes phi to 2 pi - phi. That is why the paper's "any orthogonal Q" (appendix A) holds for det Q = 1 only.

What is missing. Without c (one placed atom) the direction is free: draw cos(theta) uniform in (-1, 1) and phi uniform
in (0, 2 pi], density 1/(4 pi) a unit of solid angle. Without e (two placed atoms), or where e, c and f are collinear
(`has_azimuth` is False), the azimuth alone is free: phi uniform, density 1/(2 pi). `to_spherical` and `from_spherical`
then measure from arbitrary but fixed axes, so that they still are each other's inverse; with such axes a fixed phi is
not invariant, but a uniform one is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .frames import COLLINEAR, frame_axes

TIE = 1e-5
"""Squared distances (Å^2) that differ by no more are equal, and the older atom is taken: float32 holds the coordinates
of a small molecule to some 1e-6 Å, and rounding must not choose among the hydrogens of a methyl group."""

LEAST_SINE = 1e-3
"""Sine of the angle e-c-f up to which the three are collinear: below, rounding would turn the azimuth."""


def reference_atoms(
    positions: Tensor, molecule: Tensor, focus: Tensor, prefix: Tensor, bonded: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the second and the third reference beside each focus, growth indices; -1 where the prefix is too small.

    As published the second is the placed atom nearest to the focus, and the third the one nearest to the second. Often
    these are hydrogens that hang on the focus, or all three are collinear. With `bonded` they follow the bonds: the
    second is the nearest placed atom bonded to the focus, if there is one. The third is bonded to focus or second,
    else any placed atom, and not collinear with them (sine of the angle e-c-f above `COLLINEAR`); the nearest to the
    second of those; and where all are collinear, the nearest of all.

    Args:
        positions: (n_molecules, n_atoms, 3) Å, in growth order.
        molecule: (n,) row of `positions`.
        focus: (n,) growth index.
        prefix: (n,) how many of the atoms are placed.
        bonded: (n_molecules, n_atoms, n_atoms) bool; None takes the published references.
    """
    index = torch.arange(positions.shape[1], device=positions.device)
    x = positions[molecule]
    placed = (index < prefix[:, None]) & (index != focus[:, None])
    from_focus = _vectors(x, focus)
    near_focus = from_focus.square().sum(-1)
    classes = [placed] if bonded is None else [placed & bonded[molecule, focus], placed]
    second = _nearest(near_focus, classes)

    known = second.clamp(min=0)
    from_second = _vectors(x, known)
    placed = placed & (index != second[:, None])
    near_second = from_second.square().sum(-1)
    classes = [placed]
    if bonded is not None:
        to_focus = torch.take_along_dim(from_second, focus[:, None, None], 1)
        off_axis = placed & (_sine(from_second, to_focus) > COLLINEAR)
        near_bonds = bonded[molecule, focus] | bonded[molecule, known]
        classes = [off_axis & near_bonds, off_axis, placed]
    return second, _nearest(near_second, classes)


def reference_positions(
    positions: Tensor, molecule: Tensor, focus: Tensor, second: Tensor, third: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where focus, second and third lie, (n, 3) Å each; a reference that is missing lies on the focus.

    Args:
        positions: (n_molecules, n_atoms, 3) Å.
        molecule: (n,) row of `positions`.
        focus: (n,) growth index.
        second: (n,) growth index, or -1, as `third`.
        third: see above.
    """
    second, third = (torch.where(atoms >= 0, atoms, focus) for atoms in (second, third))
    return positions[molecule, focus], positions[molecule, second], positions[molecule, third]


def has_azimuth(focus: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Return where the references fix the azimuth of a new atom, (n,) bool: all are there, and not collinear.

    Args:
        focus: (n, 3) Å, as the others; see `reference_positions`.
        second: see above.
        third: see above.
    """
    return _sine(third - second, focus - second) > LEAST_SINE


def to_spherical(new: Tensor, focus: Tensor, second: Tensor, third: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return distance (Å), angle in [0, pi] and torsion in (0, 2 pi] (radian) of new atoms, (n,) each.

    A new atom exactly on the axis has the torsion 2 pi.

    Args:
        new: (n, 3) Å, as the others.
        focus: see `reference_positions`, as the others; the module's docstring says what a missing one does.
        second: see above.
        third: see above.
    """
    vectors = new - focus
    x, y, z = (_axes(focus, second, third) * vectors[:, None, :]).sum(-1).unbind(-1)
    torsion = torch.atan2(y, x)
    torsion = torch.where(torsion > 0, torsion, torsion + 2 * math.pi)
    return _length(vectors), torch.atan2((x.square() + y.square()).sqrt(), z), torsion


def from_spherical(
    distance: Tensor, angle: Tensor, torsion: Tensor, focus: Tensor, second: Tensor, third: Tensor
) -> Tensor:
    """Return the positions (n, 3) that `to_spherical` takes apart.

    A negative distance goes the other way, an angle outside of [0, pi] to the other side: an affine flow draws both.

    Args:
        distance: (n,) Å.
        angle: (n,) radian, as `torsion`.
        torsion: see above.
        focus: (n, 3) Å, as `second` and `third`; see `to_spherical`.
        second: see above.
        third: see above.
    """
    sine = angle.sin()
    local = torch.stack([sine * torsion.cos(), sine * torsion.sin(), angle.cos()], -1)
    return focus + distance[:, None] * (_axes(focus, second, third) * local[:, :, None]).sum(1)


def _axes(focus: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Return (n, 3, 3) unit vectors x (across, towards e), y and z (towards c), right-handed."""
    # On the focus itself, the third atom fixes no axis.
    third = torch.where(has_azimuth(focus, second, third)[:, None], third, focus)
    x, _, z = frame_axes(focus, second, third).unbind(1)
    # Nearly collinear references leave so little across that its rounding shows: once more.
    x = x - (x * z).sum(-1, keepdim=True) * z
    x = x / _length(x)[:, None]
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)


def _vectors(x: Tensor, atoms: Tensor) -> Tensor:
    """Return vectors (n, n_atoms, 3) from atoms (n,) to all those of `x` (n, n_atoms, 3)."""
    return x - torch.take_along_dim(x, atoms[:, None, None], 1)


def _nearest(square: Tensor, classes: list[Tensor]) -> Tensor:
    """Return the nearest atom (n,) of the first class that has any, -1 where none has; ties by index.

    Args:
        square: (n, n_atoms) squared distances, Å^2.
        classes: (n, n_atoms) bool each.
    """
    chosen = torch.full_like(classes[0], fill_value=False)
    for members in classes:
        chosen = torch.where(chosen.any(1, keepdim=True), chosen, members)
    square = torch.where(chosen, square, torch.inf)
    nearest = (square <= square.amin(1, keepdim=True) + TIE).int().argmax(1)  # the first of equals
    return torch.where(chosen.any(1), nearest, -1)


def _sine(a: Tensor, b: Tensor) -> Tensor:
    """Return the sine of the angle between vectors (..., 3); 0 where one has no length."""
    area = _length(torch.linalg.cross(*torch.broadcast_tensors(a, b)))
    return area / (_length(a) * _length(b)).clamp(min=1e-12)


def _length(vectors: Tensor) -> Tensor:
    # `linalg.vector_norm` over three numbers is several times slower on a CPU.
    return vectors.square().sum(-1).sqrt()
