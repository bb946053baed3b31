from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from atomweave.data.qm9 import build_qm9
from atomweave.data.store import MoleculeStore
from atomweave.discovery.objective import Objective
from atomweave.discovery.select import TRAIN, VALID, joined, part, select
from atomweave.errors import InputError

GAP = Objective("gap", "minimize", 4.5)


def smiles_of(store: MoleculeStore, split: str) -> set[str]:
    return {store[int(index)].properties["smiles"] for index in store.split(split)}


def test_only_good_molecules_of_the_training_split_are_learnt_from(store):
    chosen = select(store, GAP, "edm/train", "edm/valid")
    assert smiles_of(chosen, TRAIN) == {"C=CC=O", "O=CC=O", "N#CC=O", "CC(=O)C=O"}
    assert (chosen.units, chosen.citation) == (store.units, store.citation)


def test_the_loss_is_watched_on_good_molecules_of_the_validation_split(store):
    wide = Objective("gap", "minimize", 8.6)
    chosen = select(store, wide, "edm/train", "edm/valid")
    assert smiles_of(chosen, VALID) == {"CN"}
    assert not smiles_of(chosen, TRAIN) & {"CN", "CF", "OC=O"}


@pytest.mark.parametrize("split", ["edm/valid", "no such split"])
def test_without_good_ones_there_it_is_watched_on_what_is_learnt(store, split):
    chosen = select(store, GAP, "edm/train", split)
    assert smiles_of(chosen, VALID) == smiles_of(chosen, TRAIN)


def test_nothing_good_is_an_error_that_says_what_there_is(store):
    with pytest.raises(InputError, match=r"none of the 11 molecules of edm/train has gap < 1 eV.*3.4 to 13 eV"):
        select(store, Objective("gap", "minimize", 1.0), "edm/train", "edm/valid")


def test_an_unknown_split_is_an_error(store):
    with pytest.raises(InputError, match="unknown split 'train'"):
        select(store, GAP, "train", "edm/valid")


def test_part_keeps_each_molecule_as_it_is(store):
    indices = np.array([7, 2, 9])
    some = part(store, indices, {"all": np.arange(3)})
    for got, index in zip(some, indices.tolist(), strict=True):
        wanted = store[index]
        assert got.positions.tobytes() == wanted.positions.tobytes()
        assert got.numbers.tobytes() == wanted.numbers.tobytes()
        assert got.properties == wanted.properties


def test_joined_stores_keep_their_molecules_and_miss_what_one_lacks(store):
    bare = replace(part(store, np.array([0, 1]), {}), properties={"gap": np.array([1.0, 2.0])}, units={"gap": "eV"})
    both = joined([part(store, np.array([5]), {}), bare], {TRAIN: np.arange(3)})
    assert both.properties["gap"].tolist() == [5.6, 1.0, 2.0]
    assert np.isnan(both.properties["polarizability"]).tolist() == [False, True, True]
    assert "smiles" not in both[1].properties
    assert (both.citation, both.split(TRAIN).tolist()) == ("by hand", [0, 1, 2])


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("qm9pack") is None, reason="qm9pack (extra `qm9`) is not installed")
def test_what_qm9_holds():
    qm9 = build_qm9()
    gaps = GAP.values(qm9)
    assert GAP.good(gaps).sum() == 3778
    assert gaps.mean() == pytest.approx(6.858, abs=5e-4)
    assert gaps[GAP.good(gaps)].mean() == pytest.approx(4.13, abs=5e-3)
    assert len(select(qm9, GAP, "edm/train", "edm/valid").split(TRAIN)) == 2878
    alpha = Objective("polarizability", "maximize", 91.0)
    assert alpha.good(alpha.values(qm9)).mean() == pytest.approx(0.0207, abs=5e-5)
    assert len(select(qm9, alpha, "edm/train", "edm/valid").split(TRAIN)) == 2054
