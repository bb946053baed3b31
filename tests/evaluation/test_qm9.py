"""The figures of QM9 itself: whoever changes them has changed the metric."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.chemistry import openbabel
from atomweave.chemistry.gspherenet_checker import check_many
from atomweave.data.qm9 import build_qm9
from atomweave.evaluation.headline import QM9, summarise
from atomweave.evaluation.metrics.angles import Angles
from atomweave.evaluation.metrics.bispectra import Bispectra, frequent, of_environment
from atomweave.evaluation.metrics.bond_lengths import BondLengths
from atomweave.evaluation.metrics.bond_lengths_gspherenet import GSphereNetBondLengths
from atomweave.evaluation.metrics.composition import Composition
from atomweave.evaluation.metrics.environments import Environments, environments
from atomweave.evaluation.metrics.gspherenet import GSphereNet
from atomweave.evaluation.metrics.lookup import LookUp
from atomweave.evaluation.metrics.open_babel import OpenBabel
from atomweave.evaluation.metrics.torsions import Torsions
from atomweave.evaluation.published import SYMPHONY_TABLE_5_3
from atomweave.evaluation.reference import Reference, shipped_references
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.tools import tool_versions
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


@pytest.fixture(scope="module")
def shipped():
    return Reference.open(shipped_references()["qm9"])


def test_all_of_qm9_keeps_its_figures(qm9):
    headline = summarise(qm9.verdicts)
    assert headline["valid"].value >= 0.999  # published: 99.99 %, with RDKit 2023.3
    assert headline["unique"].value == pytest.approx(0.9988, abs=1e-4)
    for name, value in QM9.items():
        assert headline[name].value == pytest.approx(value, abs=1e-4)


def test_the_look_up_table_gives_what_was_published(qm9):
    found = values(LookUp(), qm9)
    assert found["lookup_valid"] == pytest.approx(127_792 / 130_831, abs=1e-4)
    assert 0.976 <= found["lookup_valid"] <= 0.977  # published: 97.60 % (thesis), 97.7 % (EDM)
    # Published: 99.0 and 95.2 %; all of the data by the published table: 99.36 and 95.28 %.
    assert found["atom_stable"] == pytest.approx(0.9936, abs=1e-4)
    assert found["atom_stable"] == pytest.approx(0.990, abs=0.005)
    assert found["molecule_stable"] == pytest.approx(0.9528, abs=1e-4)
    assert found["molecule_stable"] == pytest.approx(0.952, abs=0.001)
    assert found["lookup_unique"] == pytest.approx(0.9995, abs=2e-4)
    assert found["lookup_fragmented"] == pytest.approx(15 / 127_792, abs=5e-5)


@pytest.mark.skipif(not openbabel.available(), reason="Open Babel is an optional extra")
def test_open_babel_gives_what_its_version_gives(some):
    # 94.60 % in the thesis with 3.1.1; on this sample 95.11 % with the wheel 3.1.1.23, and 95.35 % on another.
    found = values(OpenBabel(), some)["openbabel_valid"]
    print(f"Open Babel {tool_versions(('openbabel-wheel', 'openbabel'))}: {100 * found:.2f} % of a random 10,000 valid")
    assert found == pytest.approx(0.9511, abs=0.005)
    assert 0.946 - 0.004 <= found <= 0.954 + 0.004  # two standard errors of 10,000 about what was seen


def test_the_shipped_reference_is_made_of_these_molecules(qm9, shipped):
    assert (shipped.name, shipped.n_molecules, shipped.data) == ("QM9", 130_831, build_qm9().sha256)
    whole = [*summarise(qm9.verdicts).measures, *LookUp().measure(qm9, Reference()).measures]
    for measure in whole:
        if measure.kind == "share":
            assert shipped.values[measure.name] == pytest.approx(measure.value, abs=1e-4), measure.name
            assert shipped.totals[measure.name] == measure.total, measure.name


def test_the_most_frequent_environments_are_those_of_the_thesis_in_its_order(qm9, shipped):
    published = [name for name in SYMPHONY_TABLE_5_3[0].values if name.startswith("bispectrum_mmd/")]
    found = frequent(environments(qm9.graphs).counts())
    assert [f"bispectrum_mmd/{environment}" for environment in found] == published
    assert set(shipped.of_metric("bispectra")) == set(found)
    # The directions around a CH3 hardly differ, those around a CH of three carbons do, as in the thesis's figure 5.1.
    spread = of_environment(qm9.graphs, "C: C1,H3", 1000).std(0)
    assert spread.max() < of_environment(qm9.graphs, "C: C3,H1", 1000).std(0).max() / 5


@pytest.mark.parametrize(
    "metric",
    [BondLengths(), Angles(), Torsions(), Bispectra(), Environments(), Composition(), GSphereNetBondLengths()],
    ids=lambda metric: metric.name,
)
def test_ten_thousand_of_qm9_lie_as_near_to_it_as_chance_allows(some, shipped, metric):
    found = [measure for measure in metric.measure(some, shipped).measures if measure.floor]
    assert found
    ratios = np.array([measure.value / measure.floor for measure in found])
    assert 0.6 < np.median(ratios) < 1.4
    assert ratios.max() < 3


def test_floors_are_those_of_the_thesis_s_estimator(some, shipped):
    # 1,000 values from either side, drawn with replacement: 0.005 to 0.08 a kind of bond, 0.001 to 0.1 an environment.
    for metric, low, high, mean in ((BondLengths(), 0.004, 0.12, 0.04), (Bispectra(), 0.0008, 0.15, 0.06)):
        found = {m.name: m.floor for m in metric.measure(some, shipped).measures if "_mmd/" in m.name}
        assert all(low < floor < high for floor in found.values())
        whole = next(floor for name, floor in found.items() if name.endswith("/mean"))
        assert whole == pytest.approx(mean, rel=0.25)
    jsd = {m.name: m.value for m in Environments().measure(some, shipped).measures}
    assert jsd["jsd/environments"] < 0.0015  # published for Symphony: 0.0039


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
