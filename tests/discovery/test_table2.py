from __future__ import annotations

import numpy as np
import pytest

from atomweave.discovery.plan import Plan
from atomweave.discovery.table2 import caveat, of_data, published

FIELDS = {"model": "m", "model_sha256": "", "data_sha256": ""}
GAP = Plan(target="gap", direction="minimize", threshold=4.5, **FIELDS)
ALPHA = Plan(target="polarizability", direction="maximize", threshold=91.0, **FIELDS)


def test_the_published_rows():
    assert [(row.system, row.mean, row.best, row.good) for row in published(GAP)] == [
        ("QM9", 6.833, 0.669, 0.0320), ("G-SchNet", 3.447, 0.583, 0.7845), ("G-SphereNet", 2.907, 0.294, 0.8273),
    ]  # fmt: skip
    assert [(row.system, row.mean, row.best, row.good) for row in published(ALPHA)] == [
        ("QM9", 75.19, 196.62, 0.0204), ("G-SchNet", 76.94, 204.04, 0.3018), ("G-SphereNet", 88.18, 349.98, 0.3549),
    ]  # fmt: skip
    assert "radicals" in caveat(GAP)


def test_the_papers_own_basis_compares_too():
    assert published(GAP.model_copy(update={"method": "b3lyp/pyscf-6-31g(2df,p)"}))


@pytest.mark.parametrize("changed", [{"threshold": 4.0}, {"direction": "maximize"}, {"target": "homo"}])
def test_another_objective_has_no_published_rows(changed):
    plan = GAP.model_copy(update=changed)
    assert published(plan) == ()
    assert caveat(plan) == ""


@pytest.mark.parametrize("method", ["gfn2-xtb", "pbe0/def2-svp"])
def test_nor_has_another_method(method):
    plan = GAP.model_copy(update={"method": method})
    assert published(plan) == ()
    assert caveat(plan).startswith(f"{method} is not the method of QM9")
    assert caveat(plan).endswith("compare with neither.")
    assert "Rounds rank data and run together" in caveat(plan.model_copy(update={"rounds": 1}))


def test_the_same_figures_of_data():
    row = of_data("data", "four", np.array([4.0, 5.0, 3.0, np.nan]), GAP.objective)
    assert (row.mean, row.best) == (4.0, 3.0)
    assert row.good == pytest.approx(2 / 3)
    assert of_data("data", "two", np.array([90.0, 95.0]), ALPHA.objective).best == 95.0
