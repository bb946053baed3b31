from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from atomweave.evaluation.metrics.divergence import (
    Tally,
    chance,
    described,
    design_effect,
    divergence,
    jensen_shannon,
    joined,
)
from atomweave.evaluation.reference import Reference


def tally(*molecules: str) -> Tally:
    """One letter a thing, one text a molecule."""
    things = np.array(list("".join(molecules)), "U1")
    return Tally.of(things, np.repeat(np.arange(len(molecules)), [*map(len, molecules)]), len(molecules))


def test_distributions_worked_by_hand():
    assert jensen_shannon({"a": 3, "b": 1}, {"a": 30, "b": 10}) == 0
    assert jensen_shannon({"a": 5}, {"b": 2}) == pytest.approx(math.log(2))
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): (ln 4/3 + (ln 2/3 + ln 2) / 2) / 2
    assert jensen_shannon({"a": 1}, {"a": 1, "b": 1}) == pytest.approx(0.75 * math.log(4 / 3))
    # half of the weight is shared, half lies on labels that the other does not know
    assert jensen_shannon({"a": 1, "b": 1}, {"a": 1, "c": 1}) == pytest.approx(math.log(2) / 2)


@pytest.mark.parametrize("seed", range(12))
def test_a_second_library_agrees(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.poisson(3, (2, 20)) * (rng.random((2, 20)) < 0.7)
    first, second = ({str(label): int(n) for label, n in enumerate(counts) if n} for counts in (p, q))
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)
    assert jensen_shannon(second, first) == pytest.approx(jensen_shannon(first, second), abs=1e-15)


def test_nothing_diverges_from_nothing_by_no_number():
    assert math.isnan(jensen_shannon({}, {"a": 1}))
    assert math.isnan(jensen_shannon({"a": 1}, {}))
    assert math.isnan(jensen_shannon({}, {}))


def test_counts_of_all_and_of_some_molecules():
    found = tally("COO", "CHHHH", "OHH", "", "C")
    assert found.counts() == {"C": 3, "H": 6, "O": 3}
    assert found.counts(np.array([0, 2])) == {"C": 1, "H": 2, "O": 3}
    assert found.counts(np.array([4, 1])) == {"C": 2, "H": 4}
    assert found.counts(np.array([3])) == found.counts(np.zeros(0, np.int64)) == {}


def test_design_effect_of_known_clusters():
    rng = np.random.default_rng(0)
    singles = [*rng.choice(list("abcd"), 4000, p=[0.4, 0.3, 0.2, 0.1])]
    assert design_effect(tally(*singles)) == pytest.approx(1, rel=1e-3)  # one thing a molecule: independent
    assert design_effect(tally(*(5 * thing for thing in singles))) == pytest.approx(5, rel=1e-3)  # five copies of one
    independent = rng.choice(list("abcd"), (4000, 6), p=[0.4, 0.3, 0.2, 0.1])
    assert design_effect(tally(*map("".join, independent))) == pytest.approx(1, abs=0.05)
    assert design_effect(tally("ab", "ab", "ba")) <= 1 / 6  # always one of each: more even than any draw
    assert design_effect(tally("aa", "a")) == design_effect(tally("ab")) == design_effect(tally()) == 1


def test_the_floor_is_what_two_draws_of_clustered_molecules_give():
    rng = np.random.default_rng(3)
    pool = ["".join(rng.choice(list("abcdef"), 3, p=[0.3, 0.3, 0.2, 0.1, 0.06, 0.04])) * 2 for _ in range(20_000)]
    found = tally(*pool)
    effect = design_effect(found)
    assert effect == pytest.approx(2, rel=0.05)
    pairs = [np.split(rng.permutation(len(pool))[:1500], [500]) for _ in range(60)]
    drawn = np.mean([jensen_shannon(found.counts(first), found.counts(second)) for first, second in pairs])
    expected = chance(found.counts(), 500 * 6, 1000 * 6, effect, rng)
    assert expected == pytest.approx(drawn, rel=0.3)  # 20 draws of 5 degrees of freedom: 14 % standard error
    assert chance(found.counts(), 500 * 6, 1000 * 6, 1.0, rng) < 0.75 * drawn  # taken for independent: too low


def reference_of(found: Tally) -> Reference:
    statistics = described("letters", found)
    return Reference("data", arrays=statistics.arrays, counts=statistics.counts)


def test_a_measure_says_what_it_compared():
    rng = np.random.default_rng(0)
    data = tally(*map("".join, rng.choice(list("abc"), (3000, 2))))
    sample = tally(*map("".join, rng.choice(list("abc"), (1000, 2), p=[0.5, 0.3, 0.2])))
    (found,) = divergence(sample, reference_of(data), "letters", "letters", "letters", "letters of the sample")
    assert found.name == "jsd/letters"
    assert found.value == jensen_shannon(sample.counts(), data.counts())
    assert (found.total, found.of, found.unit, found.better) == (2000, "letters of the sample", "nats", "low")
    assert 0 < found.floor < 0.1 * found.value
    assert found.spread.n_parts == 10
    assert found.spread.of == "blocks of 100 molecules"
    assert found.spread.mean == pytest.approx(found.value, rel=0.3)
    assert 0 < found.spread.deviation < found.spread.mean


def test_parts_decide_the_value_and_the_spread():
    data, sample = tally("ab", "ab"), tally("ab", "aa", "bb", "ab")
    parts = [np.array([1]), np.array([2])]
    (found,) = divergence(sample, reference_of(data), "letters", "letters", "letters", "letters", parts)
    # both parts give p = (1, 0) or (0, 1) against (1/2, 1/2)
    assert found.value == found.spread.mean == pytest.approx(0.75 * math.log(4 / 3))
    assert found.spread.deviation == pytest.approx(0, abs=1e-12)
    assert found.total == 2


def test_what_the_reference_lacks_is_not_measured():
    assert divergence(tally("ab"), Reference(), "letters", "letters", "letters", "letters") == ()


def test_an_empty_sample_has_a_row_without_a_value():
    (found,) = divergence(tally(), reference_of(tally("ab", "b")), "letters", "letters", "letters", "letters")
    assert math.isnan(found.value)
    assert (found.total, found.floor, found.spread, found.value_text) == (0, None, None, "–")


def test_statistics_are_joined():
    both = joined(described("one", tally("ab")), described("two", tally("c")))
    assert both.counts == {"one": {"a": 1, "b": 1}, "two": {"c": 1}}
    assert set(both.arrays) == {"jsd/design_effect/one", "jsd/design_effect/two"}
