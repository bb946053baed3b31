from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from toy import Toy, ToyConfig

from atomweave.data.store import MoleculeStore
from atomweave.growth.loader import Batches
from atomweave.models.registry import ModelConfig, build_model
from atomweave.models.weaver import Weaver
from atomweave.training.abreast import Abreast
from atomweave.training.distributed import ALONE
from atomweave.training.microbatches import accumulate, accumulate_abreast, split
from reference.molecules import qm9_molecules
from reference.tiny import G_SPHERENET, SYMPHONY, WEAVER
from reference.weaver import awake


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
    model = Toy(ToyConfig())
    gradients = []
    for n_parts in (1, 4):
        model.zero_grad()
        terms = accumulate(model.loss, trajectories, n_parts, torch.Generator())
        gradients.append((terms["loss"], [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("model", [SYMPHONY, WEAVER, G_SPHERENET], ids=lambda model: model["kind"])
def test_noise_does_not_depend_on_the_parts(model):
    """Every random number of teaching: noise, mirrors, rotations, what is told, and the noise on one-hot types."""
    torch.manual_seed(0)
    model = build_model(TypeAdapter(ModelConfig).validate_python(model))
    if isinstance(model, Weaver):
        awake(model)
    store = MoleculeStore.from_molecules([m for m in qm9_molecules().values() if len(m) < 13])
    indices = np.arange(len(store))
    batch = Batches(store, indices, model.species, model.policy, 8, conditions=model.conditions).batch(0)
    whole, parts, other = (
        accumulate(model.loss, batch, n_parts, torch.Generator().manual_seed(seed))
        for n_parts, seed in ((1, 0), (3, 0), (1, 1))
    )
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)
    assert (other["loss"] - whole["loss"]).abs() > 1e-3


def test_processes_share_the_parts_of_a_batch(trajectories):
    """Six processes of ten molecules, four parts wanted: six parts, one each; twelve leave two without any."""
    torch.manual_seed(0)
    model = Toy(ToyConfig())
    whole = accumulate(model.loss, trajectories, 4, torch.Generator())
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    for size in (6, 12):
        model.zero_grad()
        shares = [
            accumulate(model.loss, trajectories, 4, torch.Generator(), SimpleNamespace(rank=rank, size=size))
            for rank in range(size)
        ]
        torch.testing.assert_close({name: sum(share[name] for share in shares) for name in whole}, whole)
        torch.testing.assert_close([parameter.grad for parameter in model.parameters()], expected)
        assert sum(share["loss"] == 0 for share in shares) == max(0, size - len(trajectories.n_atoms))


@pytest.fixture
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize("n_parts", [1, 2])
def test_parts_side_by_side_add_up_too(trajectories, n_parts):
    torch.manual_seed(0)
    model, abreast = Toy(ToyConfig(noise=0.1)), Abreast(3)
    assert abreast.n == 2, "torch has no more"
    parameters = list(model.parameters())
    whole = accumulate(model.loss, trajectories, 1, torch.Generator().manual_seed(5))
    wanted = [parameter.grad.clone() for parameter in parameters]
    runs = []
    for _ in range(2):
        rng = torch.Generator().manual_seed(5)
        terms = accumulate_abreast(model.loss, parameters, trajectories, n_parts, rng, ALONE, abreast)
        runs.append((terms["loss"], [parameter.grad.clone() for parameter in parameters]))
    assert torch.get_num_threads() == 2
    torch.testing.assert_close(runs[0], (whole["loss"], wanted))
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=0)
