from __future__ import annotations

import math

import numpy as np
import pytest
from rdkit import Chem

from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.metrics.groups import BEYOND_CHANCE, GROUPS, Groups, held_groups, label, z_two_shares
from atomweave.evaluation.reference import Reference
from reference import worked_molecules as worked
from reference.judged import judged

BY_HAND = {
    "C": "",
    "CCO": "alcohol",
    "c1ccccc1O": "enol_or_phenol aromatic_ring",
    "C=CO": "enol_or_phenol alkene",
    "COC": "ether",
    "COCO": "ether alcohol acetal",
    "C1CO1": "epoxide",
    "C=O": "aldehyde",
    "CC=O": "aldehyde",
    "CC(C)=O": "ketone",
    "CC(=O)O": "carboxylic_acid",
    "OC=O": "carboxylic_acid",
    "CC(=O)OC": "ester",
    "NC=O": "amide",
    "CC(=O)N(C)C": "amide",
    "NC(N)=O": "carbonic_derivative",
    "COC(=O)OC": "carbonic_derivative",
    "CN": "primary_amine",
    "CNC": "secondary_amine",
    "CN(C)C": "tertiary_amine",
    "N": "",
    "C1CN1": "aziridine",
    "CC(C)=NC": "imine",
    "C=N": "imine",
    "CC(N)=N": "amidine",
    "CC(=N)OC": "imidate",
    "CC=NO": "oxime",
    "CC#N": "nitrile",
    "C=C": "alkene",
    "CC#CC": "alkyne",
    "C=C=C": "alkene cumulene",
    "C=C=O": "cumulene",
    "C1CC1": "cyclopropane",
    "c1ccoc1": "aromatic_ring heteroaromatic_ring",
    "c1ccncc1": "aromatic_ring heteroaromatic_ring",
    "CF": "fluoride",
    "CNO": "hydroxylamine",
    "CNNC": "hydrazine",
    "CC=NNC": "hydrazine",
    "CN=NC": "azo",
    "COOC": "peroxide",
    "C[N+](=O)[O-]": "charges",
    "CCCC(O)C#N": "alcohol nitrile",
    "NCC(=O)C1CC1": "primary_amine ketone cyclopropane",
}


def held(smiles: str) -> set[str]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return set(np.array(list(GROUPS))[held_groups([mol.ToBinary()])[0]])


@pytest.mark.parametrize("smiles", BY_HAND)
def test_molecules_worked_by_hand(smiles):
    assert held(smiles) == set(BY_HAND[smiles].split())


def test_every_group_is_found_and_missed_by_hand():
    seen = [set(expected.split()) for expected in BY_HAND.values()]
    for group in GROUPS:
        assert 0 < sum(group in expected for expected in seen) < len(seen)


@pytest.mark.parametrize(
    "smiles",
    ["CCO", "c1ccccc1O", "CC(C)=O", "NC=O", "CC(N)=N", "CC#N", "C1CO1", "c1ccncc1", "CC(=O)OC", "C=C=O", "CNNC"],
)
def test_molecules_perceived_from_positions_hold_the_same(smiles):
    found = held_groups([judged([worked.embedded(smiles)]).verdicts[0].perception.binary])[0]
    assert set(np.array(list(GROUPS))[found]) == set(BY_HAND[smiles].split())


def test_a_zwitterion_is_charged():
    (found,) = held_groups([judged([worked.glycine_zwitterion()]).verdicts[0].perception.binary])
    assert found[list(GROUPS).index("charges")]


def test_the_two_proportion_test():
    assert z_two_shares(6, 12, 10, 20) == pytest.approx(0)
    first, second = np.arcsin(np.sqrt([9.375 / 12.75, 6.375 / 24.75]))
    assert z_two_shares(9, 12, 6, 24) == pytest.approx(2 * (first - second) / np.sqrt(1 / 12 + 1 / 24))
    assert z_two_shares(6, 24, 9, 12) == pytest.approx(-z_two_shares(9, 12, 6, 24))
    # where counts are large it is the test with the pooled share
    pooled = (3000 + 4200) / 25_000
    classical = (0.3 - 0.28) / np.sqrt(pooled * (1 - pooled) * (1 / 10_000 + 1 / 15_000))
    assert z_two_shares(3000, 10_000, 4200, 15_000) == pytest.approx(classical, rel=2e-3)
    assert z_two_shares(1, 1000, 0, 130_000) == pytest.approx(2, abs=0.3)  # as the docstring says
    assert math.isnan(z_two_shares(0, 0, 5, 10))
    assert math.isnan(z_two_shares(5, 10, 0, 0))


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.5])
def test_chance_alone_passes_the_limit_as_seldom_as_the_normal_law_says(share):
    counts = np.random.default_rng(0).binomial([2000, 100_000], share, (40_000, 2))
    z = np.abs([z_two_shares(int(a), 2000, int(b), 100_000) for a, b in counts])
    assert 0.2 * 0.05 < np.mean(z > 1.96) < 1.6 * 0.05  # counts of 0, 1, 2, ... cannot meet 5 % exactly
    assert np.mean(z > BEYOND_CHANCE) < 0.0015  # 0.0005 by the normal law


@pytest.fixture(scope="module")
def reference():
    sample = judged([worked.methane()] * 60 + [worked.benzene()] * 20)
    return Reference("data", counts=Groups().describe(sample).counts)


def test_the_metric_by_hand(reference):
    assert reference.counts["groups"]["aromatic_ring"] == 20
    assert reference.counts["groups_total"] == {"valid": 80}
    sample = judged([worked.benzene()] * 30 + [None] * 5 + [worked.embedded("CCO"), worked.embedded("CCO")])
    result = Groups().measure(sample, reference)
    found = {measure.name.removeprefix("groups/"): measure for measure in result.measures}
    assert list(found) == list(GROUPS)
    aromatic = found["aromatic_ring"]
    assert (aromatic.count, aromatic.total, aromatic.of) == (30, 32, "valid")
    assert aromatic.interval == wilson(30, 32)
    z = z_two_shares(30, 32, 20, 80)
    assert aromatic.note == f"more often than in data, beyond chance ({z:+.1f} standard errors)"
    assert found["alcohol"].count == 2
    assert found["alcohol"].note == ""  # 2 of 32 against 0 of 80: 2.4 errors, chance
    assert found["ketone"].value == 0
    assert result.columns["groups"] == ["aromatic ring"] * 30 + [None] * 5 + ["alcohol"] * 2


def test_too_few_is_said_too(reference):
    found = Groups().measure(judged([worked.methane()] * 60), reference).measures
    note = next(measure.note for measure in found if measure.name == "groups/aromatic_ring")
    assert note.startswith("less often than in data, beyond chance (-")


def test_empty_samples_and_references(reference):
    result = Groups().measure(judged([None]), reference)
    assert {measure.value_text for measure in result.measures} == {"–"}
    assert result.columns == {"groups": [None]}
    alone = Groups().measure(judged([worked.benzene()]), Reference()).measures
    assert {measure.note for measure in alone} == {""}
    assert sum(measure.count for measure in alone) == 1


def test_labels_are_words():
    assert label("aromatic_ring") == "aromatic ring"
    assert label("peroxide") == "peroxide (O–O)"
    assert len({label(name) for name in GROUPS}) == len(GROUPS)
