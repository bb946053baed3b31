"""Batches: pure functions of (seed, step), every molecule once an epoch, prefetched without a change."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import fields
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from atomweave.data.store import MoleculeStore
from atomweave.errors import InputError
from atomweave.growth.loader import WINDOW, Batches, subsample
from atomweave.growth.policies import NearestConfig, build_policy
from atomweave.growth.trajectories import Decision, Trajectories, focus_species_targets
from atomweave.molecule import Molecule
from atomweave.species import Species
from reference.molecules import qm9_molecules

SPECIES = Species(["H", "C", "N", "O", "F"])
MOLECULES = qm9_molecules()
STORE = MoleculeStore.from_molecules(list(MOLECULES.values()) * 25)
P_VALUE = 1e-6


def batches(store: MoleculeStore = STORE, per_batch: int = 6, indices: np.ndarray | None = None, **options) -> Batches:
    policy = options.pop("policy", NearestConfig())
    indices = np.arange(len(store)) if indices is None else indices
    return Batches(store, indices, SPECIES, policy, per_batch, **options)


def equal(a: Trajectories, b: Trajectories) -> bool:
    tensors = [f.name for f in fields(a) if isinstance(getattr(a, f.name), torch.Tensor)]
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in tensors)


@pytest.mark.parametrize("decisions", [None, 3])
def test_a_batch_depends_on_seed_and_step_alone(decisions):
    first = batches(decisions_per_molecule=decisions, seed=4)
    far = first.batches_per_epoch * 2 + 1
    seven, distant = first.batch(7), first.batch(far)
    second = batches(decisions_per_molecule=decisions, seed=4)
    second.batch(far)
    second.batch(3)
    assert equal(second.batch(7), seven)
    assert equal(second.batch(far), distant)
    assert not equal(batches(decisions_per_molecule=decisions, seed=5).batch(7), seven)
    assert not equal(first.batch(8), seven)


@pytest.mark.parametrize("per_batch", [1, 6, 1000])
def test_an_epoch_visits_every_molecule_once(per_batch):
    indices = np.arange(3, 300)
    loader = batches(per_batch=per_batch, indices=indices, seed=2)
    n = loader.batches_per_epoch
    epochs = [np.concatenate([loader.molecules(epoch * n + i) for i in range(n)]) for epoch in range(2)]
    for visited in epochs:
        assert np.array_equal(np.sort(visited), indices)
    assert not np.array_equal(*epochs)


def test_a_batch_holds_the_molecules_it_says():
    loader = batches()
    for step in range(5):
        molecules = [STORE[i] for i in loader.molecules(step)]
        trajectories = loader.batch(step)
        assert trajectories.n_atoms.tolist() == [len(m) for m in molecules]
        for row, molecule in enumerate(molecules):
            n = len(molecule)
            assert sorted(trajectories.species[row, :n]) == sorted(SPECIES.indices(molecule.numbers))
            grown = trajectories.positions[row, :n].double()
            torch.testing.assert_close(
                torch.pdist(grown).sort().values,
                torch.pdist(torch.tensor(molecule.positions)).sort().values,
                rtol=0,
                atol=1e-5,
            )


def test_molecules_grow_anew_every_epoch():
    loader = batches(per_batch=len(STORE))
    starts = []
    for epoch in range(2):
        row = int(np.flatnonzero(loader.molecules(epoch) == 12)[0])  # the largest molecule, of 29 atoms
        starts.append(loader.batch(epoch).positions[row])
    assert not torch.equal(*starts)


def test_batches_of_a_window_are_of_like_size_and_shuffled():
    loader = batches(per_batch=2, seed=1)
    sizes = [STORE.sizes[loader.molecules(step)] for step in range(WINDOW)]
    ordered = sorted(sizes, key=lambda size: (size.min(), size.max()))
    assert all(small.max() <= large.min() for small, large in pairwise(ordered))
    assert [s.max() for s in sizes] != [s.max() for s in ordered]


def test_the_last_batches_of_an_epoch_are_of_equal_size():
    loader = batches(per_batch=6)
    sizes = [len(loader.molecules(step)) for step in range(loader.batches_per_epoch)]
    window, rest = sizes[:WINDOW], sizes[WINDOW:]
    assert set(window) == {6}
    assert max(rest) - min(rest) <= 1
    assert sum(sizes) == len(STORE)


def test_prefetching_changes_nothing():
    loader = batches(decisions_per_molecule=4)
    ahead = list(loader.iterate(start_step=5, n_steps=20))
    assert len(ahead) == 20
    assert all(equal(got, loader.batch(5 + i)) for i, got in enumerate(ahead))


def test_an_abandoned_iterator_ends_its_thread():
    before = set(threading.enumerate())
    iterator = batches().iterate(ahead=1)
    assert len(list(islice(iterator, 2))) == 2
    (worker,) = set(threading.enumerate()) - before
    iterator.close()
    assert not worker.is_alive()


def test_an_error_while_prefetching_reaches_the_caller():
    with pytest.raises(InputError, match="leaves out all 325 molecules"):
        next(batches(policy=NearestConfig(max_distance=0.5)).iterate())


def test_subsampled_decisions_are_part_of_all_decisions():
    full, part = batches(seed=9).batch(0), batches(seed=9, decisions_per_molecule=3).batch(0)
    assert torch.equal(full.positions, part.positions)
    assert part.kind.shape[1] == 3
    assert part.n_decisions == part.n_atoms.clamp(max=3).sum()
    q_full, q_part = focus_species_targets(full, 5), focus_species_targets(part, 5)
    for row in range(len(part.n_atoms)):
        columns = part.prefix[row][part.kind[row] != Decision.PADDING] - 1  # every prefix has one decision
        assert len(set(columns.tolist())) == min(3, int(part.n_atoms[row]))
        n = len(columns)
        for name in ("kind", "prefix", "focus", "target"):
            assert torch.equal(getattr(part, name)[row, :n], getattr(full, name)[row, columns])
        assert torch.equal(q_part[row, :n], q_full[row, columns])


def test_subsampling_is_uniform():
    policy = build_policy(NearestConfig(), SPECIES)
    trajectories, _ = policy.grow_molecules([MOLECULES["C2H6"], MOLECULES["CH4"]] * 2000)
    part = subsample(trajectories, 3, np.random.default_rng(0).random((4000, 8)))
    pairs_of_ethane = Counter(map(tuple, part.prefix[::2].tolist()))
    assert len(pairs_of_ethane) == 8 * 7 * 6 // 6
    assert chisquare(list(pairs_of_ethane.values())).pvalue > P_VALUE
    assert chisquare(np.bincount(part.prefix[1::2].flatten().numpy(), minlength=6)[1:]).pvalue > P_VALUE


def test_asking_for_more_decisions_than_there_are_takes_all():
    assert equal(batches(decisions_per_molecule=29).batch(1), batches().batch(1))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # CH4 has 1/5 C, H2O none: molecules weigh the same, whatever their size.
        (NearestConfig(), [(4 / 5 + 2 / 3) / 2, 1 / 10, 0, 1 / 6, 0]),
        (NearestConfig(heavy_first=True), [0, 1 / 2, 0, 1 / 2, 0]),
        (NearestConfig(start="H"), [1, 0, 0, 0, 0]),
        (NearestConfig(start="C"), [0, 1, 0, 0, 0]),
    ],
)
def test_start_probabilities_follow_the_start_rule(policy, expected):
    store = MoleculeStore.from_molecules([MOLECULES["CH4"], MOLECULES["H2O"]])
    loader = batches(store, policy=policy)
    torch.testing.assert_close(loader.start_probabilities, torch.tensor(expected, dtype=torch.float32))


def test_molecules_without_a_start_are_counted_and_never_visited():
    loader = batches(policy=NearestConfig(start="H"))
    assert loader.n_without_start == 50  # CF4 and N4O, 25 times each
    visited = np.concatenate([loader.molecules(i) for i in range(loader.batches_per_epoch)])
    assert len(visited) == len(STORE) - 50
    assert loader.fates() == {"kept": 275, "no_start": 50, "too_far": 0, "apart": 0, "crowded": 0}


def test_a_batch_of_which_nothing_is_kept_is_replaced_by_the_next():
    stretched = Molecule([1, 1], [[0, 0, 0], [0, 0, 2.5]])
    store = MoleculeStore.from_molecules([stretched, MOLECULES["CH4"], stretched])
    loader = batches(store, per_batch=1)
    assert [loader.batch(step).n_atoms.tolist() for step in range(6)] == [[5]] * 6
    assert loader.fates() == {"kept": 1, "no_start": 0, "too_far": 2, "apart": 0, "crowded": 0}


def test_refusals_come_before_training():
    sulphur = MoleculeStore.from_molecules([Molecule([16], [[0, 0, 0]])])
    with pytest.raises(InputError, match="elements S are not among"):
        batches(sulphur)
    with pytest.raises(InputError, match="no molecules"):
        batches(indices=np.array([], int))
    water = MoleculeStore.from_molecules([MOLECULES["H2O"]])
    with pytest.raises(InputError, match="none of the 1 molecules"):
        batches(water, policy=NearestConfig(start="C"))
