from __future__ import annotations

import json
import math

import pytest

from atomweave.evaluation.measure import Measure, Spread, number, share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123 Å"),
        (4e-5, "4.0e-05 Å"),
        (123.456, "123.5 Å"),
        (0.0, "0 Å"),
        (-0.5, "-0.5000 Å"),
        (math.nan, "–"),
    ],
)
def test_numbers_keep_digits_that_tell_them_from_zero(value, text):
    assert number("bond_w1/mean", "mean", value, 10, "bonds", "Å").value_text == text


def test_shares_are_percent_with_wilsons_interval():
    valid = share("valid", "valid", 5, 10, "attempts")
    assert (valid.value_text, valid.interval_text, valid.count_text) == (
        "50.00 %",
        "23.66 – 76.34",
        "5 of 10 attempts",
    )


def test_nothing_measured_is_a_dash_and_null():
    empty = share("unique", "unique", 0, 0, "valid")
    assert empty.value_text == "–"
    assert empty.as_dict()["value"] is None
    assert empty.interval_text == "–"
    json.dumps(empty.as_dict(), allow_nan=False)


def test_a_spread_stands_where_there_is_no_interval():
    mmd = number("m", "m", 0.3, 100, "bonds", spread=Spread(0.31, 0.02, 10, "blocks"))
    assert mmd.interval_text == "± 0.0200"
    assert number("m", "m", 0.3, 100, "bonds", spread=Spread(0.3, 2e-5, 10, "blocks")).interval_text == "± 2.0e-05"
    unique = share("unique", "unique", 9, 10, "valid", interval=False, spread=Spread(0.95, 0.01, 10, "blocks"))
    assert unique.interval_text == "± 1.00"


def test_counts_show_their_number_alone():
    attempted = Measure("attempted", "attempted", 10_000.0, 10_000, 10_000, "", kind="count")
    assert (attempted.value_text, attempted.number_text(1234.0)) == ("10,000", "1,234")
