from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

from atomweave.evaluation.intervals import wilson
from atomweave.evaluation.metrics.rings import Rings, has_aromatic, has_ring, rings
from atomweave.evaluation.reference import Reference
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

BY_HAND = [
    # molecule, sizes of its rings, aromatic
    ("CCC", [], False),
    ("C1CC1", [3], False),
    ("C1CCCC1", [5], False),
    ("C1CCCCCCC1", [8], False),
    (worked.benzene, [6], True),
    ("c1ccoc1", [5], True),
    ("c1ccc2ccccc2c1", [6, 6], True),
    ("C1CC2CCC1C2", [5, 5], False),  # norbornane
    ("C1CC12CC2", [3, 3], False),  # spiropentane: two rings share an atom
    (worked.bicyclopentane, [4, 4], False),
    ("C12C3C4C1C5C2C3C45", [4, 4, 4, 4, 4], False),  # cubane: 12 bonds - 8 atoms + 1 of its six faces
    ("C12C3C1C23", [3, 3, 3], False),  # tetrahedrane: three of its four faces
    ("c1ccc(cc1)C1CC1", [3, 6], True),
    (worked.methane_and_water, [], False),
    ("C1=CC=CC=CC=C1", [8], False),  # cyclooctatetraene: double bonds, but not aromatic
]


def molecule_of(source):
    return worked.embedded(source) if isinstance(source, str) else source()


@pytest.fixture(scope="module")
def sample():
    return judged([molecule_of(source) for source, *_ in BY_HAND])


def test_molecules_worked_by_hand(sample):
    graphs = sample.graphs
    found = rings(graphs)
    for molecule, (_, sizes, _) in enumerate(BY_HAND):
        assert found.counts(np.array([molecule])) == {str(size): sizes.count(size) for size in set(sizes)}
    for size in range(3, 9):
        assert has_ring(graphs, size, size).tolist() == [size in sizes for _, sizes, _ in BY_HAND]
    assert has_ring(graphs, 7).tolist() == [8 in sizes for _, sizes, _ in BY_HAND]
    assert has_aromatic(graphs).tolist() == [aromatic for *_, aromatic in BY_HAND]


def test_a_second_library_agrees(sample):
    qm9 = judged(list(qm9_molecules().values()))
    for verdict in [*sample.verdicts, *qm9.verdicts]:
        graph = nx.Graph(verdict.perception.bonds.tolist())
        expected = sorted(map(len, nx.minimum_cycle_basis(graph)))
        assert sorted(verdict.perception.rings) == expected


def test_the_metric_by_hand(sample):
    statistics = Rings().describe(sample)
    assert statistics.counts["rings"] == {"3": 7, "4": 7, "5": 4, "6": 4, "8": 2}
    reference = Reference("data", arrays=statistics.arrays, counts=statistics.counts)
    attempts = judged([molecule_of("C1CC1"), None, worked.benzene(), worked.methane(), worked.garbage()])
    result = Rings().measure(attempts, reference)
    found = {measure.name: measure for measure in result.measures}
    shares = {name: found[name].count for name in found if found[name].kind == "share"}
    assert shares == {
        "rings/none": 1, "rings/3": 1, "rings/4": 0, "rings/5": 0, "rings/6": 1, "rings/larger": 0, "rings/aromatic": 1,
    }  # fmt: skip
    assert all(found[name].total == 3 and found[name].interval == wilson(n, 3) for name, n in shares.items())
    assert found["rings/mean"].value == pytest.approx(2 / 3)
    assert found["jsd/rings"].total == 2
    assert 0 < found["jsd/rings"].value < math.log(2)
    assert result.columns == {
        "n_rings": [1, None, 1, 0, None],
        "ring_sizes": ["3", None, "6", "", None],
        "aromatic": [False, None, True, False, None],
    }


def test_ring_sizes_of_a_molecule_are_written_in_order(sample):
    columns = Rings().measure(sample, Reference()).columns
    assert columns["ring_sizes"] == [" ".join(map(str, sizes)) for _, sizes, _ in BY_HAND]
    assert columns["n_rings"] == [len(sizes) for _, sizes, _ in BY_HAND]


def test_empty_samples_and_references(sample):
    statistics = Rings().describe(sample)
    reference = Reference("data", arrays=statistics.arrays, counts=statistics.counts)
    result = Rings().measure(judged([None]), reference)
    assert {measure.value_text for measure in result.measures} == {"–"}
    ringless = Rings().measure(judged([worked.methane()]), reference).measures[0]
    assert (ringless.name, ringless.total, ringless.value_text) == ("jsd/rings", 0, "–")
    assert Rings().measure(sample, Reference()).measures[0].name == "rings/mean"  # the reference counts no rings
    assert Rings().describe(judged([])).counts == {"rings": {}}
