from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.metrics.coordinates import Coordinates, element_ranks, packed, symbols_of
from atomweave.species import NUMBERS, SYMBOLS


def made() -> Coordinates:
    """Kinds "k5" and "k9" over three molecules."""
    return Coordinates.of(
        np.array([9, 5, 9, 9, 5, 9]), lambda code: f"k{code}", np.array([1.0, 2, 3, 4, 5, 6]),
        np.array([0, 0, 0, 1, 2, 2]),
    )  # fmt: skip


def test_values_are_sorted_out_by_kind():
    found = made()
    assert found.kinds == ("k5", "k9")
    assert found.rows("k5").tolist() == [1, 4]
    assert found.rows("k7").tolist() == []
    assert {kind: values.tolist() for kind, values in found.by_kind().items()} == {"k5": [2, 5], "k9": [1, 3, 4, 6]}
    assert found.most_frequent(5) == ["k9", "k5"]
    assert found.most_frequent(1) == ["k9"]
    assert found.histogram("k9", 1.0).bins.tolist() == [1, 3, 4, 6]
    assert len(found.histogram("k7", 1.0)) == 0


def test_only_some_kinds():
    found = made().only(["k5", "k7"])
    assert found.values.tolist() == [2, 5]
    assert found.molecule.tolist() == [0, 2]
    assert found.most_frequent(5) == ["k5"]


@pytest.mark.parametrize(
    ("part_of", "expected"),
    [
        ([0, 0, 0], [[1, 3, 4, 6]]),
        ([1, 0, 1], [[4], [1, 3, 6]]),
        ([-1, 1, 0], [[6], [4]]),
        ([0, -1, -1], [[1, 3]]),
        ([-1, -1, -1], []),
    ],
)
def test_parts_of_the_molecules(part_of, expected):
    found = made().split("k9", 1.0, np.array(part_of))
    assert [part.bins.tolist() for part in found] == expected


def test_a_part_without_values_is_left_out():
    assert [part.bins.tolist() for part in made().split("k5", 1.0, np.array([2, 0, 1]))] == [[5], [2]]


def test_codes_sort_as_names_do_and_can_be_read_back():
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, len(SYMBOLS), (200, 4))
    names = [[SYMBOLS[number] for number in row] for row in numbers]
    codes = packed(*element_ranks(numbers).T)
    assert [symbols_of(int(code), 4) for code in codes] == names
    assert [names[index] for index in np.argsort(codes)] == sorted(names)


def test_ranks_are_those_of_the_alphabet():
    numbers = np.array([NUMBERS[symbol] for symbol in ("H", "C", "Cl", "Br", "F")])
    assert np.argsort(element_ranks(numbers)).tolist() == [3, 1, 2, 4, 0]
