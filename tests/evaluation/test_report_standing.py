"""What the page says in words, and what its tables mark; the figures are made up."""

from __future__ import annotations

import math

import pytest

from atomweave.evaluation.evaluation import Evaluation, PublishedRow, Scored, Suite
from atomweave.evaluation.measure import Spread, number, share
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.report.standing import (
    brief,
    decisions,
    ledes,
    listed,
    ordinal,
    published,
    stand,
    uncertainty_text,
)
from atomweave.evaluation.report.strip import Mark
from atomweave.evaluation.report.tables import table
from atomweave.evaluation.sample import Sample
from atomweave.evaluation.validity import Verdict

THESIS = (
    PublishedRow("QM9 itself", "all molecules", "thesis", {"valid": 0.9999, "unique": 0.9984, "bond_mmd/C-H-1": 0.01}),
    PublishedRow("Symphony", "T = 1", "thesis", {"valid": 0.8350, "unique": 0.9798, "bond_mmd/C-H-1": 0.0739}),
    PublishedRow("EDM", "1,000 steps", "thesis", {"valid": 0.8674, "unique": 0.9916, "bond_mmd/C-H-1": 0.0653}),
)
SUITE = Suite("table", "A table", (), ("valid", "unique", "bond_mmd/", "jsd/"), THESIS)


def scored(name, *measures, n_attempts=10_000):
    one = Sample(name, (Verdict(None, False, None, "no molecule"),) * n_attempts)
    return Scored(name, (one,), ({},), {measure.name: measure for measure in measures})


def evaluation(*sets, suites=(SUITE,), **values):
    return Evaluation(sets, Reference("QM9", values={"valid": 0.9999} | values), suites)


def valid(n=6690, total=10_000):
    return share("valid", "xyz2mol-valid", n, total, "attempts", better="high")


def test_the_first_sentence_compares():
    page = evaluation(scored("mine", valid()))
    ((index, name, sentences),) = ledes(page, decisions(page))
    assert (index, name) == (0, "mine")
    assert sentences == [
        (
            "66.9 % xyz2mol-valid (66.0 to 67.8; 10,000 attempts): below Symphony (83.5) and EDM (86.7); "
            "QM9 itself 99.99 %."
        ),
        "Rank among the published systems: 3rd of 3 in xyz2mol-valid.",
        "Furthest behind QM9 itself in xyz2mol-valid, by 33.1 points.",
    ]


@pytest.mark.parametrize(
    ("n", "place", "words"),
    [
        (6690, "3rd of 3", "below Symphony (83.5) and EDM (86.7)"),
        (8350, "shared 2nd of 3", "below EDM (86.7), level with Symphony (83.5)"),
        (8500, "2nd of 3", "below EDM (86.7), above Symphony (83.5)"),
        (9900, "1st of 3", "above EDM (86.7) and Symphony (83.5)"),
    ],
)
def test_the_interval_decides_what_is_ahead(n, place, words):
    found = stand(0, "mine", "valid", valid(n), published(evaluation(scored("mine", valid(n))), "valid"))
    assert found.place == place
    assert found.words == words


def test_of_a_distance_the_smaller_is_ahead():
    measure = number(
        "bond_mmd/C-H-1", "C-H", 0.07, 10_000, "bonds", better="low", spread=Spread(0.07, 0.004, 10, "draws")
    )
    found = stand(0, "mine", "C-H", measure, published(evaluation(scored("mine", measure)), measure.name))
    assert found.place == "shared 2nd of 3"
    assert found.words == "above EDM (0.0653), level with Symphony (0.0739)"


def test_a_system_published_twice_is_named_with_its_source_and_ranked_once():
    marks = [
        Mark("EDM", 0.9077, "thesis, table 5.1; T"),
        Mark("EDM", 0.919, "EDM's paper"),
        Mark("GeoLDM", 0.938, "own"),
    ]
    found = stand(0, "mine", "look-up", valid(9120), marks)
    assert found.words == "below EDM in EDM's paper (91.9) and GeoLDM (93.8), level with EDM in thesis (90.8)"
    assert found.place == "3rd of 3"


def test_many_systems_are_counted_and_the_nearest_named():
    marks = [Mark(letter, 0.5 + 0.05 * k, "") for k, letter in enumerate("ABCDE")]
    assert (
        stand(0, "mine", "valid", valid(1000), marks).words == "below A (50.0), B (55.0) and 3 more as far as E (70.0)"
    )


def test_uniqueness_of_few_molecules_is_not_compared():
    few = share("valid_unique", "valid × unique", 290, 300, "attempts", interval=False, better="high")
    many = share("valid_unique", "valid × unique", 9_000, 10_000, "attempts", interval=False, better="high")
    found = decisions(evaluation(scored("few", few, n_attempts=300)))[0]
    assert found.standings[0].words == ""
    assert found.notes == ["falls with the number of molecules: not comparable with published values, of 10,000"]
    found = decisions(evaluation(scored("many", many)))[0]
    # 83.50 x 97.98 and 86.74 x 99.16 percent
    assert found.standings[0].words == "above EDM (86.0) and Symphony (81.8)"
    assert found.notes == []


def test_a_figure_without_a_value_is_left_out():
    nothing = share("valid", "xyz2mol-valid", 0, 0, "attempts")
    assert math.isnan(nothing.value)
    assert decisions(evaluation(scored("empty", nothing))) == []


def test_level_with_the_reference_where_it_lies_in_the_interval():
    page = evaluation(scored("data", valid(9_999)), suites=())
    ((_, _, sentences),) = ledes(page, decisions(page))
    assert sentences[-1] == "Level with QM9 itself in xyz2mol-valid."


def test_numbers_in_words():
    assert [brief(valid(), value) for value in (0.669, 0.99988, 0.0042, 1.0)] == [
        "66.9 %",
        "99.99 %",
        "0.42 %",
        "100.00 %",
    ]
    length = number("bond_w1/C-H-1", "C-H", 0.0123456, 10, "bonds", "Å")
    assert brief(length, length.value) == "0.0123 Å"
    assert brief(length, 1234.5, unit=False) == "1,234"
    assert uncertainty_text(valid()) == "66.0 to 67.8"
    spread = number("jsd/atoms", "atoms", 0.01, 10, "atoms", spread=Spread(0.01, 0.002, 10, "blocks of 1,000"))
    assert uncertainty_text(spread) == "± 0.00200 over 10 blocks of 1,000"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th",
    ]  # fmt: skip
    assert [listed(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def cells(page, name):
    found = table(page, page.suites[0])
    row = next(row for group in found.groups for row in group.rows if row.name == name)
    return {column.heading: cell for column, cell in zip(found.columns, row.cells, strict=True)}


def test_the_best_of_a_row_is_marked_and_the_data_do_not_compete():
    page = evaluation(scored("one", valid()), scored("two", valid(8674)))
    row = cells(page, "valid")
    assert [heading for heading, cell in row.items() if cell.best] == ["two", "EDM"]  # equal as shown
    assert row["QM9"].text == "99.99 %"
    assert row["one"].below == ("65.97 – 67.82",)
    assert row["Symphony"].text == "83.50 %"


def test_the_lowest_distance_is_best_and_the_floor_stands_beside():
    def measured(value, floor):
        return number("bond_mmd/C-H-1", "C-H", value, 10, "bonds", better="low", floor=floor)

    page = evaluation(scored("one", measured(0.06, 0.02)), scored("two", measured(0.09, 0.03)))
    row = cells(page, "bond_mmd/C-H-1")
    assert [heading for heading, cell in row.items() if cell.best] == ["one"]
    assert row["floor"].text == "0.0200 – 0.0300"
    assert not row["QM9 itself"].best  # 0.01 is lower, but it is the reference


def test_denominators_that_differ_stand_with_their_values():
    page = evaluation(scored("one", valid(200, 300)), scored("two", valid(100, 400)))
    row = cells(page, "valid")
    assert row["one"].below[-1] == "200 of 300"
    assert row["two"].below[-1] == "100 of 400"


def test_notes_of_one_row_stand_in_it_and_shared_or_long_ones_below_the_table():
    shared, long = (
        "a random 1,000 molecules",
        "a sentence that is so long that it would make the row of the table far too high",
    )
    rows = [
        number("jsd/a", "a, divergence", 0.1, 10, "atoms", note=shared),
        number("jsd/b", "b, divergence", 0.1, 10, "atoms", note=shared),
        number("jsd/c", "c, divergence", 0.1, 10, "atoms", note="short"),
        number("jsd/d", "d, divergence", 0.1, 10, "atoms", note=long),
    ]
    found = table(evaluation(scored("one", *rows)), SUITE)
    assert found.notes == (shared, long)
    (group,) = found.groups
    assert group.heading == "Jensen-Shannon divergence"
    assert [row.label for row in group.rows] == ["a", "b", "c", "d"]
    assert [row.notes for row in group.rows] == [(1,), (1,), (), (2,)]
    assert [row.note for row in group.rows] == ["", "", "short", ""]


def test_a_suite_that_nothing_was_measured_for_gives_no_table():
    assert table(evaluation(scored("one")), SUITE) is None
