from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from atomweave.evaluation.metrics.divergence import jensen_shannon
from atomweave.evaluation.metrics.environments import Environments, environments, n_neighbour_elements, random_parts
from atomweave.evaluation.reference import Reference
from atomweave.species import SYMBOLS
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

BY_HAND = {
    worked.methane: {"C: H4": 1, "H: C1": 4},
    worked.water: {"O: H2": 1, "H: O1": 2},
    worked.carbon_dioxide: {"C: O2": 1, "O: C1": 2},
    worked.hydrogen_cyanide: {"H: C1": 1, "C: H1,N1": 1, "N: C1": 1},
    worked.benzene: {"C: C2,H1": 6, "H: C1": 6},
    worked.bicyclopentane: {"C: C3,H1": 2, "C: C2,H2": 3, "H: C1": 8},
    worked.methane_and_water: {"C: H4": 1, "H: C1": 4, "O: H2": 1, "H: O1": 2},
    worked.glycine_zwitterion: {"N: C1,H3": 1, "C: C1,H2,N1": 1, "C: C1,O2": 1, "O: C1": 2, "H: N1": 3, "H: C1": 2},
    "CCO": {"C: C1,H3": 1, "C: C1,H2,O1": 1, "O: C1,H1": 1, "H: C1": 5, "H: O1": 1},
    "NC=O": {"C: H1,N1,O1": 1, "N: C1,H2": 1, "O: C1": 1, "H: C1": 1, "H: N1": 2},
    "CC#N": {"C: C1,H3": 1, "C: C1,N1": 1, "N: C1": 1, "H: C1": 3},
    "COC": {"C: H3,O1": 2, "O: C2": 1, "H: C1": 6},
    "C1CN1": {"C: C1,H2,N1": 2, "N: C2,H1": 1, "H: C1": 4, "H: N1": 1},
    "FC(Cl)Br": {"C: Br1,Cl1,F1,H1": 1, "F: C1": 1, "Cl: C1": 1, "Br: C1": 1, "H: C1": 1},
}


def molecule_of(source):
    return worked.embedded(source) if isinstance(source, str) else source()


@pytest.mark.parametrize("source", BY_HAND, ids=lambda source: getattr(source, "__name__", source))
def test_molecules_worked_by_hand(source):
    assert environments(judged([molecule_of(source)]).graphs).counts() == BY_HAND[source]


def test_many_molecules_at_once_are_each_alone():
    graphs = judged([molecule_of(source) for source in BY_HAND]).graphs
    found = environments(graphs)
    for molecule, expected in enumerate(BY_HAND.values()):
        assert found.counts(np.array([molecule])) == expected
    assert found.counts() == dict(sum(map(Counter, BY_HAND.values()), Counter()))


def test_a_loop_over_atoms_agrees_on_molecules_of_qm9():
    sample = judged(list(qm9_molecules().values()))
    expected: Counter[str] = Counter()
    for verdict in sample.verdicts:
        for atom in verdict.perception.mol.GetAtoms():
            around = Counter(neighbour.GetSymbol() for neighbour in atom.GetNeighbors())
            expected[f"{atom.GetSymbol()}: " + ",".join(f"{symbol}{around[symbol]}" for symbol in sorted(around))] += 1
    assert len(expected) > 20
    assert environments(sample.graphs).counts() == dict(expected)


def test_an_atom_without_bonds_is_named_alone():
    methane = worked.methane()
    neon = type(methane)([*methane.symbols, "Ne"], np.vstack([methane.positions, [[9, 0, 0]]]))
    assert environments(judged([neon]).graphs).counts() == {"C: H4": 1, "H: C1": 4, "Ne:": 1}


def test_a_zoo_of_elements_needs_no_giant_codes():
    # One atom of each of 60 elements, each with neighbours of its own: packed into one number they would overflow.
    sample = judged([worked.methane()])
    numbers = np.arange(1, 61, dtype=np.uint8)
    pairs = np.array([(a, b) for a in range(60) for b in range(a + 1, min(a + 8, 60))])
    graphs = type(sample.graphs)(
        numbers, np.zeros((60, 3)), np.array([0, 60]), pairs, np.ones(len(pairs)), np.array([0, len(pairs)]),
        np.zeros(0, np.int64), np.array([0, 0]),
    )  # fmt: skip
    found = environments(graphs)
    for atom in range(60):
        neighbours = sorted(SYMBOLS[numbers[b]] for b in range(60) if 0 < abs(b - atom) < 8)
        expected = f"{SYMBOLS[numbers[atom]]}: " + ",".join(f"{symbol}1" for symbol in neighbours)
        assert found.labels[found.codes[atom]] == expected


def test_numbers_of_neighbour_elements():
    given = {"C: C2,H2": 2, "C: C1,H2,O1": 3, "H: C1": 1, "C: Br1,Cl1,F1,H1": 4, "He:": 0}
    assert {name: n_neighbour_elements(name) for name in given} == given


def test_random_parts_are_disjoint_and_of_equal_size():
    parts = random_parts(2567, 200, np.random.default_rng(0))
    assert [len(part) for part in parts] == [200] * 10  # no more than ten
    assert len(np.unique(np.concatenate(parts))) == 2000
    assert np.concatenate(parts).max() > 2000  # not the first ones alone
    assert all((np.diff(part) > 0).all() for part in parts)
    assert [len(part) for part in random_parts(450, 200, np.random.default_rng(0))] == [200, 200]
    for size in (5, 9, None):
        assert [part.tolist() for part in random_parts(5, size, np.random.default_rng(0))] == [[0, 1, 2, 3, 4]]
    first, again, other = (random_parts(99, 9, np.random.default_rng(seed))[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.fixture(scope="module")
def mixed():
    """Forty methanes and ten benzenes, shuffled."""
    order = np.random.default_rng(0).permutation(50)
    molecules = [worked.methane()] * 40 + [worked.benzene()] * 10
    return judged([molecules[index] for index in order])


def test_the_metric_takes_as_many_molecules_from_either_side(mixed):
    metric = Environments(molecules=20)
    statistics = metric.describe(mixed)
    counts = statistics.counts
    assert counts["environments"] == {"C: H4": 40, "H: C1": 220, "C: C2,H1": 60}
    assert counts["environments_some"]["C: H4"] + counts["environments_some"]["C: C2,H1"] / 6 == 20
    reference = Reference("data", arrays=statistics.arrays, counts=counts)
    some, everything = metric.measure(mixed, reference).measures
    assert (some.name, everything.name) == ("jsd/environments", "jsd/environments_all")
    assert everything.value == pytest.approx(0, abs=1e-15)
    parts = random_parts(50, 20, np.random.default_rng(metric.seed))
    found = environments(mixed.graphs)
    values = [jensen_shannon(found.counts(part), counts["environments_some"]) for part in parts]
    assert some.value == values[0]
    assert some.total == sum(found.counts(parts[0]).values())
    assert some.spread.mean == pytest.approx(np.mean(values))
    assert "20 random molecules" in some.note


def test_other_molecules_diverge_more_than_chance(mixed):
    statistics = Environments().describe(mixed)
    reference = Reference("data", arrays=statistics.arrays, counts=statistics.counts)
    other = judged([worked.methane()] * 10 + [worked.benzene()] * 40)
    some, everything = Environments().measure(other, reference).measures
    assert some.value == everything.value > 10 * everything.floor > 0


def test_an_empty_sample_and_an_empty_reference(mixed):
    statistics = Environments().describe(mixed)
    reference = Reference("data", arrays=statistics.arrays, counts=statistics.counts)
    for measure in Environments().measure(judged([None, worked.argon()]), reference).measures:
        assert (measure.total, measure.value_text) == (0, "–")
    assert Environments().measure(mixed, Reference()).measures == ()
    assert Environments().describe(judged([])).counts == {"environments": {}, "environments_some": {}}
