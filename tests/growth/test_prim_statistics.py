"""Figures of Prim's orders and of their references on 1,500 molecules of QM9.

The expected values were measured with G-SphereNet's published code, which takes bonds from the files' own tables and
another subset of QM9; the tolerances are about three standard deviations of 1,500 molecules.
"""

from __future__ import annotations

import importlib.util
import math

import pytest
import torch

from atomweave.chemistry.radii import adjacency
from atomweave.data.qm9 import build_qm9
from atomweave.geometry.references import reference_atoms, reference_positions, to_spherical
from atomweave.growth.policies import Fate, PrimConfig, build_policy
from atomweave.growth.trajectories import Decision, Trajectories
from atomweave.species import Species

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qm9pack") is None, reason="qm9pack (extra `qm9`) is not installed"
)
SPECIES = Species("HCNOF")
CUTOFF = 5.0
"""Å, within which G-SphereNet's embedder has edges."""


@pytest.fixture(scope="module")
def grown() -> Trajectories:
    store = build_qm9()
    molecules = [store[int(index)] for index in store.split("edm/train")[:1500]]
    trajectories, fate = build_policy(PrimConfig(), SPECIES).grow_molecules(molecules)
    assert (fate == Fate.KEPT).all()
    return trajectories


def placements(t: Trajectories) -> tuple[torch.Tensor, ...]:
    """Return molecule, focus, prefix and target of every placement, and what the atoms await (n, n_atoms)."""
    molecule, decision = (t.kind == Decision.PLACE).nonzero().unbind(1)
    at = molecule, decision
    return molecule, t.focus[at], t.prefix[at], t.target[at], t.awaits[at]


def mean(condition: torch.Tensor) -> float:
    return float(condition.double().mean())


def test_sizes_of_the_fragments(grown):
    molecule, _, prefix, *_ = placements(grown)
    n_molecules = len(grown.n_atoms)
    assert len(molecule) / n_molecules == pytest.approx(17.0, abs=0.25)
    assert int(prefix.sum()) / n_molecules == pytest.approx(157.5, abs=4)
    index = torch.arange(grown.species.shape[1])
    present = index < grown.n_atoms[:, None]
    near = torch.cdist(grown.positions, grown.positions) < CUTOFF
    near &= present[:, :, None] & present[:, None, :] & (index != index[:, None])
    # Of atom a in fragment k + 1: neighbours within the cutoff, which is not asked of the whole molecule.
    degree = near.cumsum(1) * (index <= index[:, None]) * (index < grown.n_atoms[:, None] - 1)[:, :, None]
    assert int(degree.sum()) / n_molecules == pytest.approx(1650, abs=60)
    assert int((degree * (degree - 1)).sum()) / n_molecules == pytest.approx(18_600, rel=0.06)


def test_who_can_be_the_focus(grown):
    molecule, focus, prefix, _, awaits = placements(grown)
    placed = torch.arange(awaits.shape[1]) < prefix[:, None]
    assert mean((awaits == 0)[placed]) == pytest.approx(0.82, abs=0.01)
    candidates = placed & (awaits > 0) & (grown.species[molecule] != 0)
    n_candidates = candidates.sum(1)
    assert (n_candidates > 0).all()
    assert mean(n_candidates == 1) == pytest.approx(0.505, abs=0.015)
    is_candidate = candidates[torch.arange(len(focus)), focus]
    assert mean(is_candidate) > 0.999
    assert mean(is_candidate / n_candidates) == pytest.approx(0.726, abs=0.01), "drawn alike, as in growing"
    newest = torch.where(candidates, torch.arange(awaits.shape[1]), -1).amax(1)
    assert mean(newest == focus) == pytest.approx(0.949, abs=0.01)


def test_references_and_torsions(grown):
    t = grown
    molecule, focus, prefix, target, _ = placements(t)
    second, third = reference_atoms(t.positions, molecule, focus, prefix)
    assert mean(t.species[molecule, second][second >= 0] == 0) == pytest.approx(0.48, abs=0.015)
    whole = third >= 0
    atoms = reference_positions(t.positions, molecule, focus, second, third)
    _, angle, torsion = to_spherical(t.positions[molecule, target], *atoms)
    from_seam = torch.minimum(torsion, 2 * math.pi - torsion)[whole]
    assert mean(from_seam < math.radians(10)) == pytest.approx(0.097, abs=0.008)
    assert mean(from_seam < math.radians(30)) == pytest.approx(0.136, abs=0.01)
    assert mean(angle[whole] > math.radians(170)) == pytest.approx(0.022, abs=0.004)


def test_bonded_references_are_more_often_off_the_axis(grown):
    t = grown
    molecule, focus, prefix, *_ = placements(t)
    numbers = torch.tensor(SPECIES.numbers)[t.species]
    bonded = adjacency(torch.where(torch.arange(numbers.shape[1]) < t.n_atoms[:, None], numbers, 0), t.positions)
    shares = []
    for rule in (None, bonded):
        second, third = reference_atoms(t.positions, molecule, focus, prefix, rule)
        f, c, e = reference_positions(t.positions, molecule, focus, second, third)
        area = torch.linalg.cross(e - c, f - c).norm(dim=1)
        sine = area / ((e - c).norm(dim=1) * (f - c).norm(dim=1))
        shares.append(mean(sine[third >= 0] < 0.05))
    assert shares[0] == pytest.approx(0.0155, abs=0.004)
    assert shares[1] < shares[0] / 3
