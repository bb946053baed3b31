"""Molecules, rotations and tolerances that all law suites use."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from atomweave.geometry.rotations import random_rotation
from atomweave.growth.policies import BreadthFirstConfig, NearestConfig, build_policy
from atomweave.growth.trajectories import Trajectories
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules

RELATIVE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""How far invariance may be missed, as a share of the largest value."""

DTYPES = [torch.float32, torch.float64]
FORMULAS = ("CH4O", "H2O", "CHN", "C2H6")
ORGANIC = Species("HCNOF")


def molecules() -> list[Molecule]:
    """Return a few molecules of 3 to 8 atoms."""
    return [qm9_molecules()[formula] for formula in FORMULAS]


def trajectories(
    dtype: torch.dtype = torch.float64,
    species: Species = ORGANIC,
    policy: NearestConfig | BreadthFirstConfig = NearestConfig(),  # noqa: B008 frozen
) -> Trajectories:
    """Return one trajectory of each molecule."""
    grown, _ = build_policy(policy, species).grow_molecules(molecules(), seed=5)
    assert len(grown.n_atoms) == len(FORMULAS)
    return replace(grown, positions=grown.positions.to(dtype))


def moves() -> dict[str, Tensor]:
    """Return (3, 3) matrices under which nothing may change: a rotation, one that reflects, and the identity."""
    rotation = random_rotation(torch.Generator().manual_seed(11))
    return {"rotation": rotation, "reflection": -rotation, "translation": torch.eye(3, dtype=torch.float64)}


SHIFT = torch.tensor([0.3, -1.7, 2.1], dtype=torch.float64)
"""Å; added to the positions after every matrix of `moves`."""


def assert_close(value: Tensor, expected: Tensor) -> None:
    """Compare in the tolerance of the dtype."""
    finite = torch.isfinite(expected)
    assert torch.equal(torch.isfinite(value), finite)
    if finite.any():
        difference = (value[finite] - expected[finite]).abs().max()
        assert difference <= RELATIVE[value.dtype] * expected[finite].abs().max()


def padded(t: Trajectories, n_extra: int) -> Trajectories:
    """Return the same trajectories with `n_extra` more columns of absent atoms and decisions."""

    def pad(x: Tensor, value: int) -> Tensor:
        return torch.cat([x, x.new_full((len(x), n_extra, *x.shape[2:]), value)], dim=1)

    awaits = None if t.awaits is None else torch.nn.functional.pad(t.awaits, (0, n_extra, 0, n_extra))
    return replace(
        t,
        awaits=awaits,
        degree=None if t.degree is None else pad(t.degree, 0),
        count=None if t.count is None else pad(t.count, 0),
        closure=None if t.closure is None else pad(t.closure, -1),
        species=pad(t.species, 0),
        positions=pad(t.positions, 0),
        kind=pad(t.kind, -1),
        prefix=pad(t.prefix, 0),
        focus=pad(t.focus, 0),
        target=pad(t.target, -1),
    )


def only(t: Trajectories, molecule: int, decisions: list[int] | None = None) -> Trajectories:
    """Return one molecule with all or some of its decisions, and no column too many."""
    n = int(t.n_atoms[molecule])
    kept = [d for d in range(t.kind.shape[1]) if t.kind[molecule, d] >= 0] if decisions is None else decisions
    new_column = {decision: column for column, decision in enumerate(kept)}
    alternatives = [
        row
        for row in (t.alternative_molecule == molecule).nonzero()[:, 0].tolist()
        if int(t.alternative_decision[row]) in new_column
    ]
    columns = [new_column[int(t.alternative_decision[row])] for row in alternatives]
    row = slice(molecule, molecule + 1)
    return replace(
        t,
        species=t.species[row, :n],
        positions=t.positions[row, :n],
        n_atoms=t.n_atoms[row],
        kind=t.kind[row, kept],
        prefix=t.prefix[row, kept],
        focus=t.focus[row, kept],
        target=t.target[row, kept],
        degree=None if t.degree is None else t.degree[row, :n],
        awaits=None if t.awaits is None else t.awaits[row, kept, :n],
        count=None if t.count is None else t.count[row, kept],
        closure=None if t.closure is None else t.closure[row, :n],
        log_q=None if t.log_q is None else t.log_q[row],
        conditions=None if t.conditions is None else t.conditions[row],
        alternative_molecule=torch.zeros(len(alternatives), dtype=torch.int64),
        alternative_decision=torch.tensor(columns, dtype=torch.int64),
        alternative_focus=t.alternative_focus[alternatives],
        alternative_target=t.alternative_target[alternatives],
    )
