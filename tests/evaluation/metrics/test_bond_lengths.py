"""Bond lengths by kind, and the figures of both papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.evaluation.metrics.bond_lengths import PUBLISHED, BondLengths, bond_lengths, label
from atomweave.evaluation.published import SYMPHONY_TABLE_5_3
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.sample import Sample
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def lengths_of(*molecules: Molecule) -> dict[str, list[float]]:
    return {kind: sorted(values.tolist()) for kind, values in bond_lengths(judged(molecules).graphs).by_kind().items()}


@pytest.mark.parametrize(
    ("molecule", "expected"),
    [
        (worked.water(), {"H-O-1": [0.96] * 2}),
        (internal.ammonia(), {"H-N-1": [1.01] * 3}),
        (worked.methane(), {"C-H-1": [1.09] * 4}),
        (worked.carbon_dioxide(), {"C-O-2": [1.17] * 2}),
        (worked.hydrogen_cyanide(), {"C-H-1": [1.065], "C-N-3": [1.153]}),
        (worked.benzene(), {"C-C-1.5": [1.40] * 6, "C-H-1": [1.09] * 6}),
        (internal.ethane(), {"C-C-1": [1.53], "C-H-1": [1.09] * 6}),
        (internal.ethylene("FH", "HH"), {"C-C-2": [1.33], "C-F-1": [1.35], "C-H-1": [1.09] * 3}),
        (internal.acetylene(), {"C-C-3": [1.2], "C-H-1": [1.06] * 2}),
        (internal.hydrogen_peroxide(), {"H-O-1": [0.97] * 2, "O-O-1": [1.47]}),
        (internal.butane(), {"C-C-1": [1.53] * 3, "C-H-1": [1.09] * 10}),
        (worked.argon(), {}),
    ],
    ids=lambda value: value.formula if isinstance(value, Molecule) else "",
)
def test_lengths_worked_by_hand(molecule, expected):
    found = lengths_of(molecule)
    assert found.keys() == expected.keys()
    for kind, values in expected.items():
        assert found[kind] == pytest.approx(values)


def test_lengths_agree_with_rdkit():
    from rdkit.Chem import rdMolTransforms

    for molecule in qm9_molecules().values():
        mol = judged([molecule]).verdicts[0].perception.mol
        expected: dict[str, list[float]] = {}
        for bond in mol.GetBonds():
            ends = sorted([bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()])
            kind = f"{ends[0]}-{ends[1]}-{bond.GetBondTypeAsDouble():g}"
            value = rdMolTransforms.GetBondLength(mol.GetConformer(), bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
            expected.setdefault(kind, []).append(value)
        found = lengths_of(molecule)
        assert found.keys() == expected.keys()
        for kind, values in expected.items():
            assert found[kind] == pytest.approx(sorted(values))


def test_labels():
    kinds = ("C-H-1", "C-N-1.5", "C-O-2", "C-N-3", "C-C-4")
    assert [label(kind) for kind in kinds] == ["C–H", "C∶N (aromatic)", "C=O", "C≡N", "C–(4)–C"]


def test_the_published_kinds_are_those_of_the_table():
    published = {name for row in SYMPHONY_TABLE_5_3 for name in row.values if name.startswith("bond_mmd/")}
    assert published == {f"bond_mmd/{kind}" for kind in PUBLISHED}


def stretched(by: float, n_molecules: int, seed: int = 0) -> list[Molecule]:
    """Molecules of hydrogen peroxide, all lengths `by` Å too long, with 0.01 Å of scatter."""
    rng = np.random.default_rng(seed)
    scatter = rng.normal(by, 0.01, (n_molecules, 2))
    return [
        internal.from_internal(("O",), ("O", 0, 1.47 + a), ("H", 0, 0.97 + b, 1, 100.0), ("H", 1, 0.97, 0, 100, 2, 110))
        for a, b in scatter
    ]


def test_figures_of_a_sample_and_of_a_worse_one():
    metric = BondLengths()
    reference = Reference(arrays=metric.describe(judged(stretched(0, 1_000))).arrays)
    good, bad = (
        {measure.name: measure for measure in metric.measure(judged(stretched(by, 400, 1)), reference).measures}
        for by in (0.0, 0.05)
    )
    assert list(good) == [
        "bond_mmd/H-O-1", "bond_mmd/O-O-1", "bond_mmd/mean", "bond_w1/H-O-1", "bond_w1/O-O-1", "bond_w1/mean",
    ]  # fmt: skip
    assert bad["bond_w1/O-O-1"].value == pytest.approx(0.05, abs=0.002)
    assert bad["bond_w1/H-O-1"].value == pytest.approx(0.025, abs=0.001)  # the second hydrogen stays
    for name, measure in good.items():
        assert measure.value < 3 * measure.floor
        assert bad[name].value > 5 * bad[name].floor
        assert bad[name].total == measure.total
    assert good["bond_w1/O-O-1"].unit == "Å"
    assert good["bond_w1/O-O-1"].total == 400
    assert good["bond_mmd/O-O-1"].spread.n_parts == 10
    assert good["bond_mmd/mean"].value == pytest.approx(
        (good["bond_mmd/H-O-1"].value + good["bond_mmd/O-O-1"].value) / 2
    )


def test_the_floor_knows_that_bonds_of_one_molecule_are_alike():
    """Four equal bonds a molecule: 60 molecules are worth 60 lengths, not 240, and a perfect sample is that far off."""
    rng = np.random.default_rng(0)
    methane = worked.methane()

    def sample(n_molecules: int) -> Sample:
        return judged(
            [Molecule(methane.numbers, scale * methane.positions) for scale in rng.normal(1, 0.03, n_molecules)]
        )

    metric = BondLengths()
    reference = Reference(arrays=metric.describe(sample(4_000)).arrays)
    found = [metric.measure(sample(60), reference).measures[0] for _ in range(30)]
    assert found[0].name == "bond_mmd/C-H-1"
    values, floors = np.array([(measure.value, measure.floor) for measure in found]).T
    assert np.mean(values) == pytest.approx(np.mean(floors), rel=0.15)


def test_a_figure_is_the_same_at_every_run():
    metric, sample = BondLengths(), judged(stretched(0, 150))
    reference = Reference(arrays=metric.describe(sample).arrays)
    first = metric.measure(sample, reference).measures
    assert [measure.value for measure in metric.measure(sample, reference).measures] == [m.value for m in first]
    assert len({measure.value for measure in first if measure.name.startswith("bond_mmd/")}) == 3


def test_published_kinds_are_compared_though_others_are_more_frequent():
    """Acetylene's bonds and ethane's, one kind asked for: of the others only those that the thesis names."""
    sample = judged([internal.acetylene()] * 3 + [internal.ethane()])
    metric = BondLengths(n_kinds=1)
    reference = Reference(arrays=metric.describe(sample).arrays)
    found = [measure.name for measure in metric.measure(sample, reference).measures]
    assert found == [f"{what}/{kind}" for what in ("bond_mmd", "bond_w1") for kind in ("C-H-1", "C-C-1", "mean")]


def test_a_kind_that_the_sample_lacks_is_nan_and_said():
    metric = BondLengths()
    reference = Reference(arrays=metric.describe(judged([worked.methane(), worked.water()])).arrays)
    found = {measure.name: measure for measure in metric.measure(judged([worked.methane()]), reference).measures}
    for name in ("bond_mmd/H-O-1", "bond_w1/H-O-1"):
        assert math.isnan(found[name].value)
        assert (found[name].total, found[name].note) == (0, "no such bond in the sample")
    assert found["bond_mmd/mean"].value == 0
    assert found["bond_mmd/mean"].note == "without H-O-1: none in the sample"


def test_no_molecule_and_no_reference():
    metric = BondLengths()
    assert metric.measure(judged([worked.water()]), Reference()).measures == ()
    reference = Reference(arrays=metric.describe(judged([worked.water()])).arrays)
    for molecules in ([], [None, worked.argon()]):
        found = metric.measure(judged(molecules), reference).measures
        assert [measure.name for measure in found] == [
            "bond_mmd/H-O-1", "bond_mmd/mean", "bond_w1/H-O-1", "bond_w1/mean",
        ]  # fmt: skip
        assert all(math.isnan(measure.value) and measure.total == 0 for measure in found)
        assert not metric.describe(judged(molecules)).arrays
