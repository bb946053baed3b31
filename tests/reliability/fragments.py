"""The laws of densities, over random fragments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atomweave.chemistry.radii import reach
from atomweave.geometry.rotations import random_rotation
from atomweave.growth.policies import build_policy, whole_molecules
from atomweave.growth.trajectories import Decision, Trajectories
from atomweave.models.base import Model
from atomweave.models.weights import load_model
from atomweave.molecule import Molecule
from atomweave.species import Species
from laws.fixed import DTYPES, RELATIVE, SHIFT, padded

from .counts import Count, check

REFLECTS = {"symphony-qm9": True, "gspherenet-qm9": False, "gspherenet-plus-qm9": False, "weaver-qm9": False}
"""Weights that ship -> whether the model claims that mirror images are equally likely."""

READS_ORDER = {"weaver-qm9"}
"""Models whose encoder reads the placed atoms in their order of growth: another order is another fragment to them."""

CHUNK = 7  # fragments of a part, where a batch is compared with its parts
JITTER, N_JITTERS = 4e-6, 4  # Å; what float32 leaves of a coordinate after a turn and a shift is within this
MARGIN = 0.2
"""Two grids agree on a density where they differ by less than this share of what a law allows."""
MOST_LEFT_OUT = 0.4
"""Share of fragments of which a law may say nothing: see `_Case.decided`."""

FINE, FINER = {"n_polar": 140, "n_azimuth": 280}, {"n_polar": 180, "n_azimuth": 360}
"""Grids of log Z on the sphere. Where a density is sharper than the grid, it is normalised in one direction and not in
another: the laws hold of the density itself, so they are asked of models with a fine grid, where two grids agree on the
fragment as it lies and as it was turned."""


@check(unit="fragments", small=40, large=1000)
def laws_over_random_fragments(size: int, seed: int, folder: Path) -> Count:
    """For the weights of every model that ship, in float32 (1e-4 relative) and float64 (1e-10), the log-density of the
    next decision does not change when a random fragment is turned, shifted, mirrored (where the model claims it) or its
    atoms are stored in another order (where it claims that), computed in other batches, with padding, or alone instead
    of as a prefix of its trajectory. Symphony's directions are normalised on a grid of 180 x 360 for this; on the 45 x
    90 with which it ships, a density sharper than the grid changes when it is turned (2 of 40 fragments by over 1e-4).
    """
    failures: list[str] = []
    notes: dict[str, float] = {"models": len(REFLECTS), "comparisons": 0}
    for weights in REFLECTS:
        for dtype in DTYPES:
            name = f"{weights}, {str(dtype).removeprefix('torch.')}"
            model = load_model(weights).to(dtype)
            # Atoms in another order begin with another element.
            model.set_start(torch.full((len(model.species),), 1 / len(model.species), dtype=dtype))
            coarse, model = _with_grid(model, FINE), _with_grid(model, FINER)
            whole = _trajectories(model, size, seed)
            fragments = _alone(whole)
            case = _Case(weights, model, coarse, _cut(fragments, size), torch.Generator().manual_seed(seed))
            left_out = int((~case.decided).sum())
            if left_out:
                notes[f"left out, {name}"] = left_out
            if left_out > MOST_LEFT_OUT * size:
                failures.append(f"{name}: {left_out} of {size} fragments say nothing")
            for law, asked, wrong in case.laws():
                notes["comparisons"] += asked
                failures += [f"{name}, {law}: fragment {index}" for index in wrong]
            wrong = _prefixes(model, whole, fragments)
            failures += [f"{name}, prefix: molecule {index}" for index in wrong]
    return Count(size, failures, notes)


def _with_grid(model: Model, grid: dict[str, int]) -> Model:
    """Return a model whose log Z is computed on a finer grid of the sphere; the model itself where there is none."""
    config = getattr(getattr(model, "position_head", None), "config", None)
    if not hasattr(config, "angular"):
        return model
    finer = copy.deepcopy(model)
    finer.position_head.config = config.model_copy(update={"angular": config.angular.model_copy(update=grid)})
    return finer


@dataclass
class _Case:
    """Fragments, and their densities under a model."""

    weights: str
    model: Model
    coarse: Model
    t: Trajectories
    rng: torch.Generator

    def __post_init__(self) -> None:
        self.expected = _log_prob(self.model, self.t)
        self.decided = _close(_log_prob(self.coarse, self.t), self.expected, MARGIN)
        if self.expected.dtype == torch.float32:
            # Near an edge of a bin rounding decides, and a steep density says more of rounding than of anything else.
            for _ in range(N_JITTERS):
                noise = JITTER * torch.randn(self.t.positions.shape, generator=self.rng, dtype=torch.float64)
                moved = replace(self.t, positions=(self.t.positions.double() + noise).float())
                self.decided &= _close(_log_prob(self.model, moved), self.expected)

    def laws(self) -> Iterator[tuple[str, int, list[int]]]:
        """Yield each law, of how many fragments it speaks, and those that break it."""
        changes: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
            "rotation": lambda: self._moved(random_rotation(self.rng)),
            "batches": lambda: (self._in_parts(), self.decided),
            "padding": lambda: (_log_prob(self.model, padded(self.t, 3)), self.decided),
        }
        if REFLECTS[self.weights]:
            changes["reflection"] = lambda: self._moved(-random_rotation(self.rng))
        if self.weights not in READS_ORDER:
            changes["order"] = lambda: (_log_prob(self.model, _shuffled(self.t, self.rng)), self.decided)
        for law, change in changes.items():
            value, decided = change()
            wrong = ~_close(value, self.expected) & decided
            yield law, int(decided.sum()), wrong.nonzero()[:, 0].tolist()

    def _moved(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Return the densities of the fragments turned and shifted, and where both grids agree on them there."""
        positions = (self.t.positions.double() @ matrix.T + SHIFT).to(self.t.positions.dtype)
        moved = replace(self.t, positions=positions)
        value = _log_prob(self.model, moved)
        return value, self.decided & _close(_log_prob(self.coarse, moved), value, MARGIN)

    def _in_parts(self) -> Tensor:
        n = len(self.expected)
        parts = [self.t.rows(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK)]
        return torch.cat([_log_prob(self.model, part) for part in parts])


def _log_prob(model: Model, t: Trajectories) -> Tensor:
    with torch.no_grad():
        return torch.cat([model.log_prob(t.rows(i, min(i + 100, len(t.kind)))) for i in range(0, len(t.kind), 100)])


def _close(value: Tensor, expected: Tensor, share: float = 1.0) -> Tensor:
    """Compare each, relative to itself or to 1 nat, whichever is more; `share` of the law's tolerance is allowed."""
    allowed = share * RELATIVE[expected.dtype] * expected.abs().clamp(min=1)
    return (value == expected) | ((value - expected).abs() <= allowed)


def _prefixes(model: Model, whole: Trajectories, fragments: Trajectories) -> list[int]:
    """Return the molecules whose density is not the product of those of their fragments, computed alone."""
    start = model.start_given(None)[0][whole.species[:, 0]]
    n_decisions = (whole.kind != Decision.PADDING).sum(1)
    molecule = torch.repeat_interleave(torch.arange(len(n_decisions)), n_decisions)
    each = _log_prob(model, fragments) - start[molecule]
    together = start.index_add(0, molecule, each)
    return (~_close(together, _log_prob(model, whole))).nonzero()[:, 0].tolist()


def _trajectories(model: Model, n_fragments: int, seed: int) -> Trajectories:
    """Return trajectories of random molecules with at least so many decisions."""
    policy = build_policy(whole_molecules(model.policy), model.species)
    molecules = [_molecule(model.species, np.random.default_rng([seed, i])) for i in range(n_fragments // 3 + 4)]
    grown, _ = policy.grow_molecules(molecules, seed)
    assert grown.n_decisions >= n_fragments
    return replace(grown, positions=grown.positions.to(model.start_log_probs.dtype))


def _molecule(species: Species, rng: np.random.Generator) -> Molecule:
    """Return a tree of 2 to 9 random atoms; bonds are up to a tenth shorter or longer than the radii say."""
    radii = reach(species.numbers)
    kinds, places = [int(rng.integers(len(species)))], [np.zeros(3)]
    wanted = int(rng.integers(2, 10))
    while len(kinds) < wanted:
        kind, parent = int(rng.integers(len(species))), int(rng.integers(len(kinds)))
        step = rng.normal(size=3)
        length = (radii[kind] + radii[kinds[parent]]) * rng.uniform(0.7, 0.95)
        place = places[parent] + length * step / np.linalg.norm(step)
        others = [i for i in range(len(kinds)) if i != parent]
        if all(np.linalg.norm(place - places[i]) > 1.1 * (radii[kind] + radii[kinds[i]]) for i in others):
            kinds.append(kind)
            places.append(place)
    return Molecule(species.atomic_numbers(np.array(kinds)), np.array(places))


def _alone(t: Trajectories) -> Trajectories:
    """Return every decision as a row of its own, with no atom beyond its fragment and the one that it places."""
    molecule, decision = (t.kind != Decision.PADDING).nonzero(as_tuple=True)
    kind, prefix = t.kind[molecule, decision], t.prefix[molecule, decision]
    n_atoms = prefix + (kind == Decision.PLACE)
    present = torch.arange(t.species.shape[1]) < n_atoms[:, None]

    def atoms(x: Tensor | None, absent: int = 0) -> Any:
        if x is None:
            return None
        here = present.view(*present.shape, *[1] * (x.dim() - 2))
        return torch.where(here, x[molecule], torch.full((), absent, dtype=x.dtype))

    def decisions(x: Tensor | None) -> Any:
        return None if x is None else x[molecule, decision][:, None]

    none = torch.zeros(0, dtype=torch.int64)
    return replace(
        t,
        species=atoms(t.species), positions=atoms(t.positions), n_atoms=n_atoms, degree=atoms(t.degree),
        closure=atoms(t.closure, -1), kind=kind[:, None], prefix=prefix[:, None], focus=decisions(t.focus),
        target=decisions(t.target), count=decisions(t.count), awaits=decisions(t.awaits),
        log_q=None if t.log_q is None else t.log_q[molecule],
        conditions=None if t.conditions is None else t.conditions[molecule],
        alternative_molecule=none, alternative_decision=none, alternative_focus=none, alternative_target=none,
    )  # fmt: skip


def _cut(t: Trajectories, n: int) -> Trajectories:
    """Return `n` rows, evenly from all of them."""
    rows = torch.linspace(0, len(t.kind) - 1, n).long()
    per_row = {
        name: x[rows] for name, x in vars(t).items() if isinstance(x, Tensor) and not name.startswith("alternative_")
    }
    return replace(t, **per_row)


def _shuffled(t: Trajectories, rng: torch.Generator) -> Trajectories:
    """Return the same fragments with their placed atoms stored in another order."""
    width = t.species.shape[1]
    order = torch.arange(width).repeat(len(t.kind), 1)
    for row, k in enumerate(t.prefix[:, 0].tolist()):
        order[row, :k] = torch.randperm(k, generator=rng)
    where = order.argsort(1)
    return replace(
        t,
        species=t.species.gather(1, order),
        positions=t.positions.gather(1, order[..., None].expand(-1, -1, 3)),
        focus=where.gather(1, t.focus),
        degree=None if t.degree is None else t.degree.gather(1, order),
        awaits=None if t.awaits is None else t.awaits.gather(2, order[:, None]),
    )
