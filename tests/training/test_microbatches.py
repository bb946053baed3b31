from __future__ import annotations

import pytest
import torch
from toy import Toy, ToyConfig

from atomweave.growth.loader import Batches
from atomweave.training.microbatches import accumulate, split


@pytest.fixture
def trajectories(store):
    model = Toy(ToyConfig())
    return Batches(store, store.splits["edm/train"], model.species, model.policy, 10).batch(0)


@pytest.mark.parametrize("n_parts", [1, 3, 10, 50])
def test_parts_hold_the_whole(trajectories, n_parts):
    parts = split(trajectories, n_parts)
    assert len(parts) == min(n_parts, len(trajectories.n_atoms))
    sizes = [len(part.n_atoms) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert torch.cat([part.positions for part in parts]).equal(trajectories.positions)
    first, molecules, targets = 0, [], []
    for part, size in zip(parts, sizes, strict=True):
        molecules.append(part.alternative_molecule + first)
        targets.append(part.alternative_target)
        first += size

    def pairs(molecule, target):
        return sorted(zip(molecule.tolist(), target.tolist(), strict=True))

    assert pairs(torch.cat(molecules), torch.cat(targets)) == pairs(
        trajectories.alternative_molecule, trajectories.alternative_target
    )


def test_gradients_add_up_to_the_whole(trajectories):
    torch.manual_seed(0)
    model = Toy(ToyConfig(noise=0.0))
    gradients = []
    for n_parts in (1, 4):
        model.zero_grad()
        terms = accumulate(model.loss, trajectories, n_parts, torch.Generator())
        gradients.append((terms["loss"], [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1])
