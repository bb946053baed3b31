from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from scipy.stats import norm

from atomweave.evaluation.metrics.composition import (
    Composition,
    atoms,
    bonds,
    element_counts,
    formulas,
    heavy_atoms,
    mean,
    sizes,
)
from atomweave.evaluation.reference import Reference
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

BY_HAND = [
    # molecule, formula, bonds
    (worked.methane, "CH4", {"C-H-1": 4}),
    (worked.water, "H2O", {"H-O-1": 2}),
    (worked.carbon_dioxide, "CO2", {"C-O-2": 2}),
    (worked.hydrogen_cyanide, "CHN", {"C-H-1": 1, "C-N-3": 1}),
    (worked.benzene, "C6H6", {"C-C-1.5": 6, "C-H-1": 6}),
    (worked.methane_and_water, "CH6O", {"C-H-1": 4, "H-O-1": 2}),
    (worked.bicyclopentane, "C5H8", {"C-C-1": 6, "C-H-1": 8}),
    ("C=O", "CH2O", {"C-H-1": 2, "C-O-2": 1}),
    ("CC#N", "C2H3N", {"C-C-1": 1, "C-H-1": 3, "C-N-3": 1}),
    ("NC=O", "CH3NO", {"C-H-1": 1, "C-N-1": 1, "C-O-2": 1, "H-N-1": 2}),
    ("CN=C", "C2H5N", {"C-H-1": 5, "C-N-1": 1, "C-N-2": 1}),
    ("FC(Cl)Br", "CHBrClF", {"Br-C-1": 1, "C-Cl-1": 1, "C-F-1": 1, "C-H-1": 1}),
    ("NF", "FH2N", {"F-N-1": 1, "H-N-1": 2}),
]


def molecule_of(source):
    return worked.embedded(source) if isinstance(source, str) else source()


@pytest.fixture(scope="module")
def graphs():
    return judged([molecule_of(source) for source, *_ in BY_HAND]).graphs


def test_formulas_worked_by_hand(graphs):
    assert formulas(element_counts(graphs), len(graphs)) == [formula for _, formula, _ in BY_HAND]


def test_bonds_worked_by_hand(graphs):
    found = bonds(graphs)
    for molecule, (_, _, expected) in enumerate(BY_HAND):
        assert found.counts(np.array([molecule])) == expected


def test_sizes_and_elements_worked_by_hand(graphs):
    assert sizes(graphs).counts() == dict(Counter(["5", "3", "3", "3", "12", "8", "13", "4", "6", "6", "8", "5", "4"]))
    assert heavy_atoms(graphs).counts() == {"1": 2, "2": 4, "3": 4, "4": 1, "5": 1, "6": 1}
    assert atoms(graphs).counts() == {"C": 22, "H": 43, "N": 5, "O": 6, "F": 2, "Cl": 1, "Br": 1}


def test_a_second_library_agrees_on_molecules_of_qm9():
    sample = judged(list(qm9_molecules().values()))
    mols = [verdict.perception.mol for verdict in sample.verdicts]
    assert len(mols) >= 10
    assert formulas(element_counts(sample.graphs), len(mols)) == list(map(CalcMolFormula, mols))
    expected: Counter[str] = Counter()
    for mol in mols:
        for bond in mol.GetBonds():
            ends = sorted([bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()])
            expected[f"{ends[0]}-{ends[1]}-{bond.GetBondTypeAsDouble():g}"] += 1
    assert bonds(sample.graphs).counts() == dict(expected)
    assert atoms(sample.graphs).counts() == dict(Counter(atom.GetSymbol() for mol in mols for atom in mol.GetAtoms()))
    assert sizes(sample.graphs).counts() == dict(Counter(str(mol.GetNumAtoms()) for mol in mols))
    assert heavy_atoms(sample.graphs).counts() == dict(Counter(str(mol.GetNumHeavyAtoms()) for mol in mols))


def test_a_mean_has_an_interval_that_covers():
    values = np.array([4.0, 6.0, 5.0, 9.0])
    found = mean("composition/atoms", "atoms", values)
    half = norm.ppf(0.975) * math.sqrt(14 / 3) / 2  # squares of -2, 0, -1, 3 over n - 1, over the root of n
    assert found.value == 6
    assert found.interval == pytest.approx((6 - half, 6 + half))
    assert mean("x", "x", np.array([3])).interval is None
    rng = np.random.default_rng(0)
    intervals = [mean("x", "x", rng.poisson(9, 200)).interval for _ in range(2000)]
    assert np.mean([low < 9 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.02)


@pytest.fixture(scope="module")
def reference():
    sample = judged([worked.methane()] * 30 + [worked.water()] * 10)
    statistics = Composition().describe(sample)
    return Reference("data", arrays=statistics.arrays, counts=statistics.counts)


def test_the_metric_by_hand(reference):
    assert reference.counts["atoms"] == {"C": 30, "H": 140, "O": 10}
    assert reference.counts["sizes"] == {"3": 10, "5": 30}
    assert reference.counts["heavy_atoms"] == {"1": 40}
    assert reference.counts["bonds"] == {"C-H-1": 120, "H-O-1": 20}
    sample = judged([worked.methane(), None, worked.hydrogen_cyanide(), worked.garbage()])
    result = Composition().measure(sample, reference)
    found = {measure.name: measure for measure in result.measures}
    assert list(found) == [
        "jsd/atoms", "jsd/sizes", "jsd/heavy_atoms", "jsd/bonds", "composition/atoms", "composition/heavy_atoms",
        "composition/C", "composition/H", "composition/N", "composition/O",
    ]  # fmt: skip
    means = {name.partition("/")[2]: found[name].value for name in found if name.startswith("composition/")}
    assert means == {"atoms": 4, "heavy_atoms": 1.5, "C": 1, "H": 2.5, "N": 0.5, "O": 0}
    # sizes: p = (1/2, 1/2) on 3 and 5, q = (1/4, 3/4), m = (3/8, 5/8)
    expected = (math.log(4 / 3) + math.log(4 / 5)) / 4 + (math.log(2 / 3) / 4 + 3 * math.log(6 / 5) / 4) / 2
    assert found["jsd/sizes"].value == pytest.approx(expected)
    assert (found["jsd/sizes"].total, found["jsd/atoms"].total, found["jsd/bonds"].total) == (2, 8, 6)
    assert result.columns == {"formula": ["CH4", None, "CHN", None]}


def test_the_data_do_not_diverge_from_themselves(reference):
    sample = judged([worked.methane()] * 30 + [worked.water()] * 10)
    for measure in Composition().measure(sample, reference).measures[:4]:
        assert measure.value == pytest.approx(0, abs=1e-15)


def test_empty_samples_and_references(reference):
    result = Composition().measure(judged([None]), reference)
    assert {measure.value_text for measure in result.measures} == {"–"}
    assert result.columns == {"formula": [None]}
    alone = Composition().measure(judged([worked.water()]), Reference()).measures
    assert [measure.name for measure in alone] == [
        "composition/atoms", "composition/heavy_atoms", "composition/H", "composition/O",
    ]  # fmt: skip
    assert Composition().describe(judged([])).counts == {"atoms": {}, "sizes": {}, "heavy_atoms": {}, "bonds": {}}
