from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.evaluation.metrics.bispectra import KEPT, Bispectra, frequent, of_environment
from atomweave.evaluation.metrics.bispectrum import PSEUDOSCALAR, bispectra
from atomweave.evaluation.metrics.mmd import thesis_mmd
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def shaken(molecule: Molecule, n: int, seed: int, scale: float = 0.01) -> list[Molecule]:
    rng = np.random.default_rng(seed)
    return [Molecule(molecule.numbers, molecule.positions + rng.normal(0, scale, (len(molecule), 3))) for _ in range(n)]


def reference_of(metric, sample) -> Reference:
    statistics = metric.describe(sample)
    return Reference("data", arrays=statistics.arrays, counts=statistics.counts)


@pytest.fixture(scope="module")
def ethanol():
    return worked.embedded("CCO")


@pytest.fixture(scope="module")
def reference(ethanol):
    return reference_of(Bispectra(), judged(shaken(ethanol, 150, seed=1)))


def test_rows_are_the_frequent_environments_with_two_neighbour_elements(reference):
    kept = reference.of_metric("bispectra")
    assert set(kept) == {"C: C1,H3", "C: C1,H2,O1", "O: C1,H1"}  # of one element: "H: C1", "H: O1"
    assert all(array.shape == (150, 15) and array.dtype == np.float16 for array in kept.values())
    assert frequent({"C: C2,H2": 5, "H: C1": 90, "N: C2,H1": 9, "C: C1,H3": 5, "He:": 7, "C: O2": 8}, 3) == [
        "N: C2,H1",
        "C: C1,H3",
        "C: C2,H2",
    ]


def test_a_reference_keeps_a_bounded_random_part():
    sample = judged(shaken(worked.embedded("CCC"), KEPT // 2 + 50, seed=0))
    kept = Bispectra().describe(sample).arrays["bispectra/C: C1,H3"]
    assert len(kept) == KEPT
    everything = of_environment(sample.graphs, "C: C1,H3").astype(np.float16)
    assert len(everything) == KEPT + 100
    assert set(map(bytes, kept)) < set(map(bytes, everything))


@pytest.mark.parametrize("name", list(qm9_molecules()))
def test_directions_are_those_to_the_bonded_neighbours(name):
    sample = judged([qm9_molecules()[name]])
    mol = sample.verdicts[0].perception.mol
    for environment in frequent(dict.fromkeys(labels_of(mol), 1)):
        expected = []
        for atom in mol.GetAtoms():
            if label_of(atom) == environment:
                rows = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
                directions = sample.graphs.positions[rows] - sample.graphs.positions[atom.GetIdx()]
                expected.append(bispectra(directions, np.array([0, len(rows)]))[0])
        np.testing.assert_allclose(of_environment(sample.graphs, environment), expected, atol=1e-14)


def labels_of(mol) -> list[str]:
    return [label_of(atom) for atom in mol.GetAtoms()]


def label_of(atom) -> str:
    symbols = [neighbour.GetSymbol() for neighbour in atom.GetNeighbors()]
    around = ",".join(f"{symbol}{symbols.count(symbol)}" for symbol in sorted(set(symbols)))
    return f"{atom.GetSymbol()}: {around}"


def test_the_same_distribution_lies_at_the_floor_and_another_above(ethanol, reference):
    same = Bispectra().measure(judged(shaken(ethanol, 150, seed=2)), reference).measures
    looser = Bispectra().measure(judged(shaken(ethanol, 150, seed=2, scale=0.02)), reference).measures
    assert [measure.name for measure in same][-1] == "bispectrum_mmd/mean"
    for near, far in zip(same, looser, strict=True):
        assert near.value < 2 * near.floor
        assert far.value > near.value
        assert near.better == "low"
    assert looser[-1].value > 3 * looser[-1].floor
    assert same[0].total == 150


def test_the_value_is_the_mmd_of_the_environments(ethanol, reference):
    sample = judged(shaken(ethanol, 120, seed=3))
    found = {measure.name: measure for measure in Bispectra().measure(sample, reference).measures}
    for environment, kept in reference.of_metric("bispectra").items():
        x = of_environment(sample.graphs, environment)
        expected, values = thesis_mmd(x, kept.astype(float), np.random.default_rng(5), repeats=40)
        noise = values.std(ddof=1) * math.sqrt(1 / 40 + 1 / 10)
        assert found[f"bispectrum_mmd/{environment}"].value == pytest.approx(expected, abs=5 * noise)
    values = [measure.value for name, measure in found.items() if not name.endswith("/mean")]
    assert found["bispectrum_mmd/mean"].value == pytest.approx(np.mean(values))


def test_a_random_part_of_the_molecules_and_the_spread_over_others(ethanol, reference):
    sample = judged(shaken(ethanol, 130, seed=2))
    some = Bispectra(molecules=40).measure(sample, reference).measures
    assert {measure.total for measure in some[:-1]} == {40}
    for measure in some:
        assert (measure.spread.n_parts, measure.spread.of) == (3, "blocks of 40 molecules")
        assert measure.spread.mean == pytest.approx(measure.value, rel=0.9)
    everything = Bispectra(molecules=None).measure(sample, reference).measures
    assert {measure.total for measure in everything[:-1]} == {130}
    again = Bispectra(molecules=40).measure(sample, reference).measures
    assert again == some  # seeded


def test_without_the_pseudoscalar_nothing_depends_on_it(ethanol, reference):
    sample = judged(shaken(ethanol, 100, seed=2))
    arrays = {name: array.copy() for name, array in reference.arrays.items()}
    for array in arrays.values():
        array[:, PSEUDOSCALAR] += 0.1
    shifted = Reference("data", arrays=arrays)
    ours, ours_shifted, published, published_shifted = (
        Bispectra(components=components).measure(sample, data).measures
        for components in (14, 15)
        for data in (reference, shifted)
    )
    assert ours == ours_shifted
    for near, far in zip(published, published_shifted, strict=True):
        assert far.value > 10 * near.value


def test_an_environment_that_the_sample_lacks_has_no_value(reference):
    found = Bispectra().measure(judged([worked.embedded("CC"), worked.water()]), reference).measures
    totals = {measure.name: measure.total for measure in found}
    assert totals == {
        "bispectrum_mmd/C: C1,H3": 2,
        "bispectrum_mmd/C: C1,H2,O1": 0,
        "bispectrum_mmd/O: C1,H1": 0,
        "bispectrum_mmd/mean": 1,
    }
    assert found[-1].value == next(measure.value for measure in found if measure.total == 2)
    assert found[-1].note == "2 of the 3 do not occur in the sample"


def test_empty_samples_and_references(ethanol, reference):
    for measure in Bispectra().measure(judged([None]), reference).measures:
        assert math.isnan(measure.value)
        assert (measure.total, measure.spread) == (0, None)
    assert Bispectra().measure(judged([ethanol]), Reference()).measures == ()
    assert Bispectra().describe(judged([])).arrays == {}
    alone = reference_of(Bispectra(), judged([ethanol]))  # one environment of a kind: nothing to split
    assert Bispectra().measure(judged([ethanol]), alone).measures[0].floor is None


def test_a_heat_map_takes_a_few(ethanol):
    graphs = judged(shaken(ethanol, 30, seed=0)).graphs
    few = of_environment(graphs, "O: C1,H1", at_most=8)
    assert few.shape == (8, 15)
    assert set(map(bytes, few)) < set(map(bytes, of_environment(graphs, "O: C1,H1")))
    assert of_environment(graphs, "P: F5").shape == (0, 15)
