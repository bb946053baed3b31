"""References of a focus and internal coordinates from them: against a naive search, by hand, there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from atomweave.geometry.references import (
    LEAST_SINE,
    from_spherical,
    has_azimuth,
    reference_atoms,
    reference_positions,
    to_spherical,
)
from atomweave.geometry.rotations import random_rotation
from atomweave.growth.policies import PrimConfig, build_policy
from atomweave.growth.trajectories import Decision, Trajectories
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules
from reference.prim import dihedral, references
from reference.weaver import special_molecules

MOLECULES = qm9_molecules() | special_molecules()
PRECISION = {torch.float32: 2e-6, torch.float64: 1e-13}
"""Å and radian, relative to 1; sums of a few products."""


def trajectories() -> Trajectories:
    return build_policy(PrimConfig(), Species("HCNOF")).grow_molecules(list(MOLECULES.values()))[0]


def placements(t: Trajectories) -> tuple[torch.Tensor, ...]:
    """Return molecule, focus, prefix and target of every placement."""
    molecule, decision = (t.kind == Decision.PLACE).nonzero().unbind(1)
    return molecule, t.focus[molecule, decision], t.prefix[molecule, decision], t.target[molecule, decision]


def scene(n: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return new atom, focus, second and third of n placements, (n, 3) Å each."""
    return tuple(torch.randn(4, n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype))


def indices(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_published_references_are_those_of_a_naive_search():
    t = trajectories()
    molecule, focus, prefix, _ = placements(t)
    second, third = reference_atoms(t.positions, molecule, focus, prefix)
    assert len(second) > 100
    for row, (m, f, k) in enumerate(zip(molecule.tolist(), focus.tolist(), prefix.tolist(), strict=True)):
        grown = Molecule(np.full(int(t.n_atoms[m]), 6), t.positions[m, : int(t.n_atoms[m])].double().numpy())
        found, wanted = (int(second[row]), int(third[row])), references(grown, list(range(k)), f, k)
        if found != wanted:  # of atoms equally far, as in methyl groups, the older one is taken
            for centre, a, b in zip((f, wanted[0]), found, wanted, strict=True):
                lengths = [np.linalg.norm(grown.positions[centre] - grown.positions[atom]) for atom in (a, b)]
                assert lengths[0] == pytest.approx(lengths[1], abs=1e-5)
                assert a <= b
    assert ((second < 0) == (prefix < 2)).all()
    assert ((third < 0) == (prefix < 3)).all()


def test_references_by_hand():
    # In a row: 0 at 0 Å, 1 at 1, 2 at 2.5, 3 at 4.5.
    x = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2.5, 0, 0], [4.5, 0, 0]]])
    same = indices(0, 0, 0, 0, 0)
    found = reference_atoms(x, same, indices(0, 0, 1, 2, 3), indices(1, 2, 3, 4, 4))
    assert found[0].tolist() == [-1, 1, 0, 1, 2]
    assert found[1].tolist() == [-1, -1, 2, 0, 1]


def test_the_older_of_two_atoms_equally_far_is_the_reference():
    hydrogens = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    methane = torch.cat([torch.zeros(1, 3), hydrogens])[None]
    for seed in range(20):
        rotation = random_rotation(torch.Generator().manual_seed(seed)).float()
        second, third = reference_atoms(methane @ rotation.T, indices(0, 0), indices(0, 0), indices(4, 5))
        assert second.tolist() == [1, 1]
        assert third.tolist() == [2, 2]


def test_bonded_references_by_hand():
    # A carbon chain 0-1-2 with a hydrogen 3 on 0; atom 4 lies nearest to 2, bonded to nobody.
    x = torch.tensor([[[0.0, 0, 0], [1.5, 0, 0], [2, 1.4, 0], [-0.3, 1.0, 0], [2.6, 1.6, 0.5], [3.2, -0.2, 0]]])
    bonded = torch.zeros(1, 6, 6, dtype=torch.bool)
    for a, b in [(0, 1), (1, 2), (0, 3), (1, 5)]:
        bonded[0, a, b] = bonded[0, b, a] = True
    at = indices(0)
    assert [r.item() for r in reference_atoms(x, at, indices(2), indices(5))] == [4, 1]
    assert [r.item() for r in reference_atoms(x, at, indices(2), indices(5), bonded)] == [1, 0]
    # Nobody placed is bonded to atom 4: the nearest. Then atom 1, bonded to that.
    assert [r.item() for r in reference_atoms(x, at, indices(4), indices(5), bonded)] == [2, 1]
    # Before anything else is placed there is nothing to choose, and before that nothing at all.
    assert [r.item() for r in reference_atoms(x, at, indices(0), indices(2), bonded)] == [1, -1]
    assert [r.item() for r in reference_atoms(x, at, indices(0), indices(1), bonded)] == [-1, -1]


@pytest.mark.parametrize(("aside", "expected"), [(0.05, 3), (0.5, 2)])
def test_a_bonded_reference_is_not_collinear_where_another_is_not(aside, expected):
    # Focus 0 - 1 - 2 in a row but for `aside`; atom 3 is farther, off the axis, and bonded to nobody.
    x = torch.tensor([[[0.0, 0, 0], [1.2, 0, 0], [2.6, aside, 0], [1.0, 3.0, 0]]])
    bonded = torch.zeros(1, 4, 4, dtype=torch.bool)
    for a, b in [(0, 1), (1, 2)]:
        bonded[0, a, b] = bonded[0, b, a] = True
    second, third = reference_atoms(x, indices(0), indices(0), indices(4), bonded)
    assert (second.item(), third.item()) == (1, expected)
    published = reference_atoms(x, indices(0), indices(0), indices(4))
    assert published[1].item() == 2
    # All in a row: the nearest, whatever it is bonded to.
    row = torch.tensor([[[0.0, 0, 0], [1.2, 0, 0], [4.0, 0, 0], [2.6, 0.01, 0]]])
    assert reference_atoms(row, indices(0), indices(0), indices(4), bonded)[1].item() == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_positions_come_back(n, dtype):
    new, *atoms = scene(n, dtype)
    distance, angle, torsion = to_spherical(new, *atoms)
    assert ((angle >= 0) & (angle <= math.pi)).all()
    assert ((torsion > 0) & (torsion <= np.float32(2 * math.pi))).all()
    back = from_spherical(distance, angle, torsion, *atoms)
    torch.testing.assert_close(back, new, rtol=0, atol=10 * PRECISION[dtype])


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_coordinates_come_back(n):
    _, *atoms = scene(n)
    draws = torch.rand(3, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = 0.5 + draws[0], 0.01 + 3.12 * draws[1], 0.01 + 6.26 * draws[2]
    for found, value in zip(to_spherical(from_spherical(*wanted, *atoms), *atoms), wanted, strict=True):
        torch.testing.assert_close(found, value, rtol=0, atol=1e-11)


def test_real_placements_come_back():
    t = trajectories()
    molecule, focus, prefix, target = placements(t)
    atoms = reference_positions(t.positions, molecule, focus, *reference_atoms(t.positions, molecule, focus, prefix))
    new = t.positions[molecule, target]
    back = from_spherical(*to_spherical(new, *atoms), *atoms)
    torch.testing.assert_close(back, new, rtol=0, atol=10 * PRECISION[torch.float32])


def test_torsion_is_minus_the_dihedral():
    corner = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]])
    assert dihedral(*corner) == pytest.approx(math.pi / 2), "IUPAC's sign"
    new, f, c, e = scene(200)
    distance, angle, torsion = to_spherical(new, f, c, e)
    for row in range(200):
        wanted = -dihedral(*(x[row].numpy() for x in (e, c, f, new)))
        assert math.remainder(float(torsion[row]) - wanted, 2 * math.pi) == pytest.approx(0, abs=1e-10)
        a, b = (c - f)[row], (new - f)[row]
        assert float(angle[row]) == pytest.approx(math.acos(float(a @ b / (a.norm() * b.norm()))), abs=1e-7)
        assert float(distance[row]) == pytest.approx(float(b.norm()))


def test_torsion_is_the_published_one():
    new, f, c, e = scene(200, seed=2)
    u, _, torsion = f - c, *to_spherical(new, f, c, e)[1:]
    p1, p2 = torch.linalg.cross(u, new - c), torch.linalg.cross(u, e - c)
    published = torch.atan2((torch.linalg.cross(p1, p2) * u).sum(1) / u.norm(dim=1), (p1 * p2).sum(1))
    published = torch.where(published <= 0, published + 2 * math.pi, published)
    torch.testing.assert_close(torsion, published, rtol=0, atol=1e-9)


def test_drawn_values_beyond_their_range_go_the_other_way():
    _, *atoms = scene(5)
    one = torch.ones(5, dtype=torch.float64)
    opposite = from_spherical(-1.5 * one, 0.4 * one, 1.0 * one, *atoms)
    torch.testing.assert_close(opposite, from_spherical(1.5 * one, (math.pi - 0.4) * one, (1 + math.pi) * one, *atoms))
    turned = from_spherical(1.5 * one, -0.4 * one, 1.0 * one, *atoms)
    torch.testing.assert_close(turned, from_spherical(1.5 * one, 0.4 * one, (1 + math.pi) * one, *atoms))


def test_rotations_and_translations_leave_them_alone_and_reflections_turn_the_torsion():
    points = scene(100)
    rotation = random_rotation(torch.Generator().manual_seed(5))
    moved = [x @ rotation.T + torch.tensor([1.0, -2.0, 0.5]) for x in points]
    before, after = to_spherical(*points), to_spherical(*moved)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    placed = from_spherical(*before, *moved[1:])
    torch.testing.assert_close(placed, moved[0], rtol=0, atol=1e-10)
    mirrored = to_spherical(*(x * torch.tensor([1.0, 1.0, -1.0]) for x in points))
    torch.testing.assert_close(mirrored[:2], before[:2], rtol=0, atol=1e-10)
    torch.testing.assert_close(mirrored[2], 2 * math.pi - before[2], rtol=0, atol=1e-10)


@pytest.mark.parametrize("missing", ["collinear", "nearly", "third", "both", "coincident"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_missing_and_collinear_references_are_harmless(missing, dtype):
    new, f, c, e = scene(50, dtype)
    third = {"collinear": f + 2.5 * (c - f), "nearly": f + 2.5 * (c - f) + 1e-5 * new, "coincident": c}.get(missing, f)
    atoms = f, f if missing == "both" else c, third
    assert not has_azimuth(*atoms).any()
    assert has_azimuth(f, c, e).all()
    spherical = to_spherical(new, *atoms)
    assert all(x.isfinite().all() for x in spherical)
    back = from_spherical(*spherical, *atoms)
    torch.testing.assert_close(back, new, rtol=0, atol=10 * PRECISION[dtype])
    if missing != "both":
        torch.testing.assert_close(spherical[:2], to_spherical(new, f, c, e)[:2], rtol=1e-5, atol=1e-5)


def test_barely_off_the_axis_the_azimuth_is_exact():
    f, c = torch.zeros(1, 3), torch.tensor([[1.2, 0.3, -0.4]])
    across = torch.tensor([[0.3, -1.2, 0.0]]) / 1.2369
    new = torch.tensor([[-0.5, 0.9, 0.8]])
    for sine in (1.01 * LEAST_SINE, 0.99 * LEAST_SINE):
        e = 2 * c + sine * 1.3 * across
        assert has_azimuth(f, c, e).item() == (sine > LEAST_SINE)
        back = from_spherical(*to_spherical(new, f, c, e), f, c, e)
        torch.testing.assert_close(back, new, rtol=0, atol=10 * PRECISION[torch.float32])


def test_missing_references_lie_on_the_focus():
    x = torch.arange(12.0).view(1, 4, 3)
    same = indices(0, 0, 0)
    found = reference_positions(x, same, indices(1, 1, 1), indices(-1, 0, 2), indices(-1, -1, 3))
    assert torch.equal(found[0], x[0, [1, 1, 1]])
    assert torch.equal(found[1], x[0, [1, 0, 2]])
    assert torch.equal(found[2], x[0, [1, 1, 3]])


def test_a_free_direction_is_uniform():
    n = 20_000
    draws = torch.rand(2, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    f = torch.zeros(n, 3, dtype=torch.float64)
    c = f + torch.tensor([0.3, -0.5, 0.8])
    for second in (f, c):
        new = from_spherical(f[:, 0] + 1, torch.acos(2 * draws[0] - 1), 2 * math.pi * draws[1], f, second, f)
        # Mean and second moments of the uniform direction, with a spread of about 1/sqrt(n).
        torch.testing.assert_close(new.mean(0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=5 / n**0.5)
        moments = new.T @ new / n
        torch.testing.assert_close(moments, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=5 / n**0.5)
