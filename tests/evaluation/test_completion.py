from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.completion import BENCHMARKS, Cases, SplitResult, shuffled
from atomweave.evaluation.validity import assess
from reference.worked_molecules import benzene, embedded, methane


def test_every_hydrogen_is_removed_in_turn():
    molecules = [embedded("CO"), embedded("FC#N"), methane()]
    cases = Cases.of(BENCHMARKS["symphony-table-5.4"], molecules)
    assert cases.source.tolist() == [0] * 4 + [2] * 4
    assert [fragment.formula for fragment in cases.fragments] == ["CH3O"] * 4 + ["CH3"] * 4
    assert len({fragment.positions.tobytes() for fragment in cases.fragments}) == 8


@pytest.mark.parametrize(
    ("smiles", "left"),
    [("CC", ["CH3"] * 2), ("C", []), ("CCO", ["CH3O"]), ("CC(C)O", ["C2H5O"] * 2), ("c1ccccc1", []), ("CN", ["H2N"])],
)
def test_every_methyl_group_is_removed_in_turn(smiles, left):
    assert [fragment.formula for fragment in Cases.of(BENCHMARKS["methyl"], [embedded(smiles)]).fragments] == left


@pytest.mark.parametrize(
    ("smiles", "left"),
    [
        ("c1ccccc1", ["C5H5"] * 6),
        ("CCO", []),
        ("C1CC1O", ["C2H4O", "C2H4O"]),  # the carbon that bears the oxygen has three heavy neighbours
        ("C1CCC2CC12", ["C5H8"] * 4),  # of bicyclohexane: four atoms with two heavy neighbours
        ("C1CC1C1CC1", ["C5H8"] * 4),
        ("C1CC1CC1CC1", ["C6H10"] * 4),  # not the carbon between the rings
    ],
)
def test_every_ring_is_opened_in_turn(smiles, left):
    assert [fragment.formula for fragment in Cases.of(BENCHMARKS["ring"], [embedded(smiles)]).fragments] == left


@pytest.mark.parametrize(
    ("smiles", "left"),
    [
        ("CC1CC1", []),
        ("CC1CC1O", ["C3H4"]),
        ("CC1C(O)C1N", ["C3H5N", "C3H4O", "C4H6"]),
        ("CCO", []),
        ("CCC1CC1CC(=O)O", ["C3H4"]),
    ],
)
def test_every_two_side_chains_of_a_scaffold_are_removed_in_turn(smiles, left):
    formulas = [fragment.formula for fragment in Cases.of(BENCHMARKS["scaffold"], [embedded(smiles)]).fragments]
    assert sorted(formulas) == sorted(left)


def test_shuffling_keeps_the_atoms():
    molecule = embedded("CCO")
    first, again, other = shuffled(molecule, 0, 0), shuffled(molecule, 0, 0), shuffled(molecule, 0, 1)
    rows = [tuple(row) for row in np.c_[molecule.numbers, molecule.positions]]
    found = [tuple(row) for row in np.c_[first.numbers, first.positions]]
    assert sorted(found) == sorted(rows)
    assert found != rows
    assert first.positions.tobytes() == again.positions.tobytes() != other.positions.tobytes()


def test_shares_count_every_completion_and_their_interval_every_molecule():
    molecules = [benzene(), embedded("CO")]
    cases = Cases.of(BENCHMARKS["symphony-table-5.4"], molecules)
    # Benzene comes back whole from every fragment; methanol once, thrice not at all, and once it is never finished.
    completed = [molecules[0]] * 6 + [molecules[1], *cases.fragments[7:9], molecules[1]]
    finished = [True] * 9 + [False]
    result = SplitResult.of(cases, assess(completed, finished, workers=1), workers=1)
    counts = {measure.name: (measure.count, measure.total) for measure in result.measures}
    assert counts == {"finished": (9, 10), "valid": (7, 10), "strict": (7, 10), "formula": (7, 10)}
    assert (result.n_molecules, result.intact) == (2, 1.0)
    assert sum(result.reasons.values()) == 3
    low, high = result["valid"].interval
    assert 0 < low < 0.7 < high < 1
    assert high - low > 0.55, "ten completions of two molecules are not ten independent trials"


def test_another_molecule_is_valid_but_not_the_same():
    cases = Cases.of(BENCHMARKS["methyl"], [embedded("CCO")])
    result = SplitResult.of(cases, assess([embedded("CO")], workers=1), workers=1)
    assert (result["valid"].count, result["formula"].count) == (1, 0)
