"""The figures of QM9 itself: whoever changes them has changed the metric."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.chemistry import openbabel
from atomweave.chemistry.gspherenet_checker import check_many
from atomweave.data.qm9 import build_qm9
from atomweave.evaluation.gspherenet import GSphereNet
from atomweave.evaluation.headline import QM9, summarise
from atomweave.evaluation.lookup import LookUp
from atomweave.evaluation.open_babel import OpenBabel
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import assess
from atomweave.molecule import Molecule

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def qm9():
    return Sample("QM9", tuple(assess(list(build_qm9()), lookup=True)))


@pytest.fixture(scope="module")
def some(qm9):
    return qm9.part(np.random.default_rng(0).choice(len(qm9), 10_000, replace=False))


def values(metric, sample):
    return {measure.name: measure.value for measure in metric.measure(sample, Reference()).measures}


def test_all_of_qm9_keeps_its_figures(qm9):
    headline = summarise(qm9.verdicts)
    assert headline["valid"].value >= 0.999
    assert headline["unique"].value == pytest.approx(0.9988, abs=1e-4)
    for name, value in QM9.items():
        assert headline[name].value == pytest.approx(value, abs=1e-4)


def test_the_look_up_table_gives_what_was_published(qm9):
    found = values(LookUp(), qm9)
    assert found["lookup_valid"] == pytest.approx(127_792 / 130_831, abs=1e-4)  # published: 97.60 to 97.7 %
    assert found["lookup_unique"] == pytest.approx(0.9995, abs=2e-4)
    assert found["lookup_fragmented"] == pytest.approx(15 / 127_792, abs=5e-5)


@pytest.mark.skipif(not openbabel.available(), reason="Open Babel is an optional extra")
def test_open_babel_gives_what_its_version_gives(some):
    # 94.60 % in the thesis with 3.1.1; on this sample 95.11 % with the wheel 3.1.1.23, and 95.35 % on another.
    assert values(OpenBabel(), some)["openbabel_valid"] == pytest.approx(0.9511, abs=0.005)


def test_the_check_of_g_spherenet_passes_qm9_cut_short_and_fails_it_shaken(qm9, some):
    assert values(GSphereNet(), qm9)["gspherenet_valid"] == pytest.approx(130_639 / 130_831, abs=1e-4)
    molecules = [verdict.molecule for verdict in some.verdicts if check_many([verdict.molecule], orders=False)[0].valid]
    for n_cut in (1, 2, 4, 8):
        cut = [Molecule(one.numbers[:-n_cut], one.positions[:-n_cut]) for one in molecules if len(one) > n_cut + 1]
        assert all(checked.valid for checked in check_many(cut, orders=False))
    rng = np.random.default_rng(0)
    for noise, low, high in ((0.01, 0.89, 0.92), (0.02, 0.32, 0.40), (0.05, 0.02, 0.05)):
        moved = [Molecule(one.numbers, one.positions + rng.normal(0, noise, one.positions.shape)) for one in molecules]
        assert low < np.mean([checked.valid for checked in check_many(moved, orders=False)]) < high
