from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.discovery.novelty import Seen, diversity, mean_distance
from atomweave.discovery.work import Work
from atomweave.evaluation.validity import assess


def test_mean_distance_by_hand():
    # |1 and 2| / |1 or 2| = 1/3, |1 and 3| = 0, |2 and 3| / |2 or 3| = 1/3
    bits = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.float32)
    assert mean_distance(bits) == pytest.approx(1 - (1 / 3 + 0 + 1 / 3) / 3)
    assert mean_distance(np.zeros((2, 4), np.float32)) == 0
    assert math.isnan(mean_distance(bits[:1]))


def test_how_varied_a_set_is():
    found = diversity(["c1ccccc1C", "c1ccccc1O", "CCO", "CCO"], [True, False, True, True])
    assert (found.n, found.distinct, found.scaffolds, found.novel) == (4, 3, 2, 3)
    assert 0 < found.distance < 1
    assert diversity(["C"], [None]).novel is None
    assert diversity([], []).n == 0


@pytest.mark.parametrize("split", ["edm/train", "edm/valid"])
def test_novel_is_what_the_split_does_not_hold(store, tmp_path, split):
    path = tmp_path / "store.safetensors"
    store.write(path)
    seen = Seen.of(path, store, split, Work(workers=1))
    names = [verdict.smiles for verdict in assess(list(store), workers=1)]
    inside = set(store.split(split).tolist())
    assert [seen.novel(name) for name in names] == [index not in inside for index in range(len(store))]


def test_where_nothing_is_known_nothing_is_said():
    assert Seen().novel("[H]C([H])([H])[H]") is None
