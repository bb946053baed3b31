"""Wigner matrices of edges and random rotations."""

import pytest
import torch

from atomweave.geometry.harmonics import coupling, degree_slice, spherical_harmonics
from atomweave.geometry.rotations import edge_rotations, random_rotation

EXACT = 1e-12


def _directions(n: int) -> torch.Tensor:
    drawn = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    axes = torch.eye(3, dtype=torch.float64)
    return torch.cat([drawn, axes, -axes])  # the poles are where angles lose their meaning


@pytest.mark.parametrize("degree", range(7))
def test_an_edge_turns_to_the_polar_axis(degree: int) -> None:
    directions = _directions(20)
    rotation = edge_rotations(directions, degree)[degree]
    there = (rotation @ spherical_harmonics(directions, degree)[:, degree_slice(degree), None])[..., 0]
    pole = spherical_harmonics(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), degree)[degree_slice(degree)]
    assert (there - pole).abs().max() < EXACT


def test_all_degrees_describe_one_rotation() -> None:
    rotations = edge_rotations(_directions(20), 6)
    other = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    turned = rotations[1] @ other
    for degree, rotation in enumerate(rotations):
        expected = spherical_harmonics(turned, degree)[:, degree_slice(degree)]
        found = rotation @ spherical_harmonics(other, degree)[degree_slice(degree)]
        assert (found - expected).abs().max() < EXACT


def test_random_rotations_are_proper_and_uniform() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = torch.stack([random_rotation(rng) for _ in range(4000)])
    assert (drawn @ drawn.mT - torch.eye(3, dtype=torch.float64)).abs().max() < EXACT
    assert (torch.linalg.det(drawn) - 1).abs().max() < EXACT
    # The means of the matrix and of its squared entries under the Haar measure are 0 and 1/3; five standard errors.
    assert drawn.mean(0).abs().max() < 5 * (1 / 3 / 4000) ** 0.5
    assert (drawn.square().mean(0) - 1 / 3).abs().max() < 5 * (4 / 45 / 4000) ** 0.5


@pytest.mark.parametrize("degrees", [(0, 2, 2), (1, 1, 0), (1, 1, 1), (2, 1, 3), (2, 2, 2)])
def test_coupling_is_component_normalised(degrees: tuple[int, int, int]) -> None:
    c = coupling(*degrees)
    gram = torch.einsum("abo,abp->op", c, c)
    assert (gram - torch.eye(2 * degrees[2] + 1, dtype=torch.float64)).abs().max() < 1e-7
