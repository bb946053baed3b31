"""Floors, spreads, means and gaps of a family of distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.evaluation.measure import Measure
from atomweave.evaluation.metrics.comparison import Family
from atomweave.evaluation.metrics.coordinates import Coordinates
from atomweave.evaluation.metrics.distances import wasserstein
from atomweave.evaluation.metrics.mmd import gspherenet_mmd
from atomweave.evaluation.reference import Reference

LINE = Family("lengths", "length_w1", "bond", str.upper, 1e-3, wasserstein, "W1", "Å")
SQUARED = Family("lengths", "length_mmd", "bond", str.upper, 1e-3, gspherenet_mmd, "MMD²", power=1.0)


def alike_within_molecules(n_molecules: int, seed: int, shift: float = 0.0) -> Coordinates:
    """Six values of kind "a" a molecule that are nearly one, and one of kind "b" in every second molecule."""
    rng = np.random.default_rng(seed)
    of_molecule = rng.normal(1.5 + shift, 0.1, n_molecules)
    a = of_molecule[:, None] + rng.normal(0, 0.01, (n_molecules, 6))
    b = rng.normal(1.2 + shift, 0.05, n_molecules // 2)
    molecules = np.concatenate([np.repeat(np.arange(n_molecules), 6), np.arange(0, n_molecules, 2)])
    kind = np.concatenate([np.zeros(a.size, np.int64), np.ones(b.size, np.int64)])
    return Coordinates(("a", "b"), kind, np.concatenate([a.ravel(), b]), molecules)


def figures(family: Family, sample: Coordinates, n_molecules: int, reference: Reference) -> dict[str, Measure]:
    found = family.measures(sample, n_molecules, reference, family.most_frequent(reference))
    return {measure.name: measure for measure in found}


def described(family: Family, n_molecules: int) -> Reference:
    statistics = family.statistics(alike_within_molecules(n_molecules, seed=0), n_molecules, 40, seed=0)
    return Reference(arrays=statistics.arrays)


@pytest.mark.parametrize("family", [LINE, SQUARED], ids=["distance", "squared discrepancy"])
@pytest.mark.parametrize("n_molecules", [200, 3_000])
def test_the_floor_is_what_perfect_samples_get(family, n_molecules):
    """Values of one molecule are alike: single values drawn at random would promise less than half of this floor."""
    reference = described(family, 20_000)
    drawn = [
        figures(family, alike_within_molecules(n_molecules, seed), n_molecules, reference) for seed in range(1, 61)
    ]
    for name in (f"{family.prefix}/a", f"{family.prefix}/b", f"{family.prefix}/mean"):
        floor = drawn[0][name].floor
        assert floor == pytest.approx(np.mean([found[name].value for found in drawn]), rel=0.25)
    rng = np.random.default_rng(0)
    sample, whole = alike_within_molecules(n_molecules, 1), family.most_frequent(reference)["a"]
    single = [family.distance(type(whole).of(whole.draw(len(sample.rows("a")), rng), 1e-3), whole) for _ in range(20)]
    assert np.mean(single) < 0.5 * drawn[0][f"{family.prefix}/a"].floor


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_block_is_nearer_to_the_whole_that_it_is_part_of(power):
    """Ten blocks of 100 molecules are each 1 away from all 1,000; they would be farther from 1,000 others."""
    family = Family("lengths", "length", "bond", str.upper, 1e-3, lambda *_: 1.0, "always 1", power=power)
    floor = figures(family, alike_within_molecules(800, 1), 800, described(family, 1_000))["length/a"].floor
    assert floor == pytest.approx((1 / 800 / (1 / 100 - 1 / 1_000)) ** power)


def test_a_shift_is_measured_in_its_unit():
    reference = described(LINE, 5_000)
    found = figures(LINE, alike_within_molecules(2_000, 1, shift=0.2), 2_000, reference)
    assert found["length_w1/a"].value == pytest.approx(0.2, abs=0.01)
    assert found["length_w1/b"].value == pytest.approx(0.2, abs=0.01)
    assert found["length_w1/mean"].value == pytest.approx((found["length_w1/a"].value + found["length_w1/b"].value) / 2)
    assert (found["length_w1/a"].label, found["length_w1/a"].unit, found["length_w1/a"].of) == ("A, W1", "Å", "A bonds")
    assert (found["length_w1/a"].total, found["length_w1/b"].total, found["length_w1/mean"].total) == (
        12_000, 1_000, 13_000,
    )  # fmt: skip
    assert {measure.better for measure in found.values()} == {"low"}


def test_the_spread_is_over_disjoint_blocks_of_molecules():
    reference, sample = described(LINE, 5_000), alike_within_molecules(2_000, 1)
    found = figures(LINE, sample, 2_000, reference)["length_w1/a"].spread
    target = LINE.most_frequent(reference)["a"]
    values = sample.values[: 6 * 2_000].reshape(10, -1)  # the molecules stand in order
    expected = [wasserstein(type(target).of(block, 1e-3), target) for block in values]
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.deviation == pytest.approx(np.std(expected, ddof=1))
    assert (found.n_parts, found.of) == (10, "blocks of 200 molecules")
    assert figures(LINE, alike_within_molecules(150, 1), 150, reference)["length_w1/a"].spread is None


def test_what_the_sample_lacks_is_said_and_not_counted():
    reference = described(LINE, 5_000)
    sample = alike_within_molecules(400, 1).only(["a"])
    found = figures(LINE, sample, 400, reference)
    assert math.isnan(found["length_w1/b"].value)
    assert (found["length_w1/b"].total, found["length_w1/b"].note) == (0, "no such bond in the sample")
    assert found["length_w1/mean"].value == found["length_w1/a"].value
    assert found["length_w1/mean"].note == "without b: none in the sample"
    assert found["length_w1/mean"].floor == found["length_w1/a"].floor


def test_an_empty_sample_has_empty_figures():
    nothing = Coordinates((), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    found = figures(LINE, nothing, 0, described(LINE, 5_000))
    assert found.keys() == {"length_w1/a", "length_w1/b", "length_w1/mean"}
    for measure in found.values():
        assert math.isnan(measure.value)
        assert (measure.total, measure.floor, measure.spread) == (0, None, None)
    assert LINE.statistics(nothing, 0, 40, seed=0).arrays == {}


def test_a_small_reference_promises_no_floor():
    found = figures(LINE, alike_within_molecules(200, 1), 200, described(LINE, 999))
    assert [measure.floor for measure in found.values()] == [None] * 3
    assert found["length_w1/a"].value > 0


def test_a_reference_keeps_the_most_frequent():
    sample = alike_within_molecules(2_000, 0)
    arrays = LINE.statistics(sample, 2_000, 1, seed=0).arrays
    assert set(arrays) == {"lengths/a", "lengths_scatter/a"}
    assert arrays["lengths/a"][1].sum() == 12_000
    assert sample.most_frequent(2) == ["a", "b"]
    assert list(LINE.most_frequent(described(LINE, 2_000), 1)) == ["a"]
