"""Where a new atom may not stand: too near to a placed one, by its position, not by formulae."""

from __future__ import annotations

import math

import torch

from atomweave.geometry.frames import from_internal
from atomweave.models.heads.torsion import CLEARANCE, Surroundings, occupied

AZIMUTHS = (torch.arange(360, dtype=torch.float64) + 0.5) * math.pi / 180 - math.pi


def around(local: torch.Tensor, n_placed: list[int], clearance: torch.Tensor | None = None) -> Surroundings:
    """Return atoms (n_rows, n_atoms, 3) of which so many a row are placed."""
    placed = torch.arange(local.shape[1]) < torch.tensor(n_placed)[:, None]
    return Surroundings(local, placed, torch.full_like(local[..., 0], CLEARANCE) if clearance is None else clearance)


def test_what_is_occupied_is_what_lies_near_a_placed_atom():
    rng = torch.Generator().manual_seed(0)
    n_rows, n_atoms = 40, 12
    local = 2 * torch.rand(n_rows, n_atoms, 3, dtype=torch.float64, generator=rng) - 1
    n_placed = torch.randint(1, n_atoms + 1, (n_rows,), generator=rng).tolist()
    clearance = CLEARANCE + 0.9 * torch.rand(n_rows, n_atoms, dtype=torch.float64, generator=rng)
    d = 0.9 + 0.6 * torch.rand(n_rows, dtype=torch.float64, generator=rng)
    theta = math.pi * torch.rand(n_rows, dtype=torch.float64, generator=rng)
    found = occupied(around(local, n_placed, clearance), d, theta, AZIMUTHS)
    # Along each stretch of the circle, its ends and many places between them.
    within = (torch.linspace(-0.5, 0.5, 21, dtype=torch.float64) * math.pi / 180)[:, None] + AZIMUTHS
    axes = torch.eye(3, dtype=torch.float64).expand(within.numel(), 3, 3)
    n_near = n_full = 0
    for row in range(n_rows):
        each = torch.ones(within.numel(), dtype=torch.float64)
        new = from_internal(d[row] * each, theta[row].cos() * each, within.flatten(), axes)
        apart = torch.cdist(new, local[row, : n_placed[row]]).view(*within.shape, -1)
        near = (apart < clearance[row, : n_placed[row]]).all(0).any(1)
        if near.all():
            near = (apart < CLEARANCE).all(0).any(1)
            near &= ~near.all()
            n_full += 1
        assert torch.equal(found[row], near)
        n_near += int(near.any())
    assert n_near > n_rows // 4, "too few of the draws come near an atom to test anything"
    assert n_full > 0, "none has all the circle within the clearance of some atom"


def test_a_circle_that_is_taken_throughout_stays_open():
    on_axis = torch.tensor([[[0.0, 0.0, 1.0]]], dtype=torch.float64)
    d, theta = torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)
    assert not occupied(around(on_axis, [1]), d, theta, AZIMUTHS).any()


def test_a_hydrogen_keeps_off_its_sibling_and_nothing_else():
    angle = math.radians(109.5)
    sibling = torch.tensor([[[math.sin(angle), 0.0, math.cos(angle)]]], dtype=torch.float64) * 1.09
    d, theta = torch.tensor([1.09], dtype=torch.float64), torch.tensor([angle], dtype=torch.float64)
    taken = occupied(around(sibling, [1]), d, theta, AZIMUTHS)[0]
    half = math.degrees(2 * math.asin(CLEARANCE / 2 / (1.09 * math.sin(angle))))
    assert torch.equal(taken, AZIMUTHS.abs() < math.radians(half - 0.5))  # the far end of a degree counts
    assert 20 < half < 40
