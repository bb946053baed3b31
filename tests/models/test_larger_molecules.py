"""Molecules beyond QM9: other elements, up to 181 atoms; what the preset for them keeps, teaches and grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from atomweave.growth.grower import grow
from atomweave.growth.policies import Fate, build_policy
from atomweave.models.registry import build_model
from atomweave.models.weaver import Weaver, WeaverConfig
from atomweave.molecule import Molecule
from atomweave.training.config import load_config
from reference.weaver import SMALL, awake

PRESET = load_config("weaver-drugs")


def alkane(n_carbons: int) -> Molecule:
    """Return an unbranched alkane, stretched out along x: C-C 1.53 Å, C-H 1.09 Å."""
    index = np.arange(n_carbons)
    side = np.where(index % 2, 1.0, -1.0)
    carbons = np.stack([1.26 * index, 0.435 * side, 0 * side], 1)
    up = np.stack([0 * side, 0.63 * side, 0 * side + 0.89], 1)
    down = up * [1, 1, -1]
    ends = [carbons[0] + [-0.89, 0.63, 0], carbons[-1] + [0.89, -0.63 * side[-1], 0]]
    positions = np.concatenate([carbons, carbons + up, carbons + down, ends])
    return Molecule(np.repeat([6, 1], [n_carbons, len(positions) - n_carbons]), positions)


def tetrahedral(centre: str, *around: tuple[str, float]) -> Molecule:
    """Return an atom with up to four neighbours (symbol, distance in Å)."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    return Molecule(
        [centre, *(symbol for symbol, _ in around)],
        [np.zeros(3), *(distance * corner for (_, distance), corner in zip(around, corners, strict=False))],
    )


MOLECULES = {
    "C10H22": alkane(10),
    "CHFClBr": tetrahedral("C", ("H", 1.09), ("F", 1.35), ("Cl", 1.77), ("Br", 1.94)),
    "CH3I": tetrahedral("C", ("I", 2.14), ("H", 1.09), ("H", 1.09), ("H", 1.09)),
    "H2S": tetrahedral("S", ("H", 1.34), ("H", 1.34)),
    "POF3": tetrahedral("P", ("O", 1.44), ("F", 1.52), ("F", 1.52), ("F", 1.52)),
    "I2": Molecule(["I", "I"], [[0, 0, 0], [2.67, 0, 0]]),
}


def test_every_molecule_is_kept_and_teaches():
    torch.manual_seed(0)
    model = build_model(PRESET.model)
    t, fates = build_policy(model.policy, model.species).grow_molecules(list(MOLECULES.values()))
    assert [Fate(fate) for fate in fates] == [Fate.KEPT] * len(MOLECULES)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model.loss(t, None)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[2] < losses[1] < losses[0]
    with torch.no_grad():
        assert model.log_prob(t).isfinite().all(), "a bond lies beyond the distances that have a density"


def test_single_precision_is_enough_for_the_largest():
    """A chain of 75 Å: positions are kept to 8e-6 Å at its ends, and bonds are differences of them."""
    small = awake(Weaver(WeaverConfig.model_validate(SMALL | {"species": PRESET.model.species})))
    t, fates = build_policy(small.policy, small.species).grow_molecules([alkane(60)])
    assert (Fate(fates[0]), int(t.n_atoms)) == (Fate.KEPT, 182)
    with torch.no_grad():
        single = float(small.log_prob(t)[0])
        double = float(small.double().log_prob(replace(t, positions=t.positions.double()))[0])
    assert single == pytest.approx(double, rel=1e-4)


def test_growing_goes_on_to_the_largest_size_asked_for():
    model = build_model(PRESET.model)
    with torch.no_grad():
        # Atoms that touch nothing but their neighbours, and want as many as can be counted.
        wanted = model.species.symbols.index("H") * model.max_degree + model.max_degree - 1
        model.choice[-1].bias[: model.n_choices] = -100.0
        model.choice[-1].bias[wanted] = 100.0
        model.choice[-1].bias[model.n_choices] = -100.0  # nor has the first atom none
    grown = grow(model, 2, max_atoms=181)
    assert grown.reasons == {"no STOP after 181 atoms": 2}
    assert all(len(molecule) == 181 for molecule in grown.molecules)
