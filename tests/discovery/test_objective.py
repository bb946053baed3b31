from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atomweave.discovery.objective import Objective
from atomweave.errors import InputError, UsageError


def test_good_is_strictly_beyond_the_threshold_and_never_nan():
    values = np.array([4.4, 4.5, 4.6, np.nan])
    assert Objective("gap", "minimize", 4.5).good(values).tolist() == [True, False, False, False]
    assert Objective("gap", "maximize", 4.5).good(values).tolist() == [False, False, True, False]


def test_order_is_from_best_to_worst_with_nan_last():
    values = np.array([np.nan, 3.0, 1.0, 2.0])
    assert Objective("gap", "minimize", 4.5).order(values).tolist() == [2, 3, 1, 0]
    assert Objective("polarizability", "maximize", 91.0).order(values).tolist() == [1, 3, 2, 0]


def test_its_words():
    assert Objective("gap", "minimize", 4.5).good_words == "gap < 4.5 eV"
    assert Objective("polarizability", "maximize", 91.0).good_words == "polarizability > 91 Bohr^3"


def test_an_unknown_property_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="--minimize: there is no property 'gaps'; did you mean 'gap'"):
        Objective("gaps", "minimize", 4.5)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(UsageError, match="--threshold: got"):
        Objective("gap", "minimize", threshold)


def test_a_store_gives_its_column(store):
    assert Objective("gap", "minimize", 4.5).values(store).tolist() == store.properties["gap"].tolist()


def test_a_store_without_the_column_is_refused(store):
    with pytest.raises(InputError, match=r"hold no property 'homo'.*Known: gap, polarizability"):
        Objective("homo", "maximize", 0.0).values(store)


def test_another_unit_is_refused(store):
    with pytest.raises(InputError, match="gap is in Hartree, wanted eV"):
        Objective("gap", "minimize", 4.5).values(replace(store, units={"gap": "Hartree"}))
