from __future__ import annotations

import math

import numpy as np
import pytest

from atomweave.evaluation.metrics.novelty import Novelty, smiles_hashes
from atomweave.evaluation.metrics.rediscovery import KNOWN, Rediscovery, rate_ratio, upper_halves
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged

TRAINING = [worked.methane(), worked.water(), worked.benzene(), worked.benzene(), worked.carbon_dioxide()]
HELD_OUT = [worked.hydrogen_cyanide(), internal.cyclopropane()]


def reference_of(training, everything, **facts) -> Reference:
    arrays = {**Novelty().describe(judged(training)).arrays, **Rediscovery().describe(judged(everything)).arrays}
    return Reference("data", arrays=arrays, **facts)


@pytest.fixture(scope="module")
def reference():
    return reference_of(TRAINING, TRAINING + HELD_OUT)


def measures(molecules: list[Molecule | None], reference: Reference):
    return {measure.name: measure for measure in Rediscovery().measure(judged(molecules), reference).measures}


def test_rates_by_hand(reference):
    """Of 4 different training molecules 2 are found, of 2 held-out ones 1: the same rate. Butane is in neither."""
    sample = [worked.methane(), worked.methane(), worked.water(), worked.hydrogen_cyanide(), internal.butane(), None]
    found = measures([*sample, worked.methyl(), worked.hydrogen_cyanide(), internal.ammonia(), None], reference)
    assert (found["rediscovered"].count, found["rediscovered"].total) == (2, 7)
    rate = found["memorised/held_out_rate"]
    assert (rate.value, rate.total) == (1, 3)
    assert rate.note.startswith("1 of 2 held-out and 2 of 4 training molecules found")
    assert rate.interval[0] < 1 < rate.interval[1]


def test_a_model_that_repeats_its_training_molecules_is_at_zero(reference):
    rate = measures(TRAINING, reference)["memorised/held_out_rate"]
    assert rate.value == rate.interval[0] == 0
    assert 0 < rate.interval[1] < math.inf


def test_the_data_themselves_are_at_one(reference):
    found = measures(TRAINING + HELD_OUT, reference)
    assert found["memorised/held_out_rate"].value == 1
    assert found["rediscovered"].value == 2 / 7


def test_a_molecule_in_both_splits_counts_as_training():
    reference = reference_of(TRAINING, [*TRAINING, *HELD_OUT, worked.water()])
    assert measures([worked.water()], reference)["rediscovered"].count == 0


def test_the_column_tells_each_attempt(reference):
    sample = judged([worked.methane(), None, worked.hydrogen_cyanide(), internal.butane(), internal.cyclopropane()])
    assert Rediscovery().measure(sample, reference).columns["held_out"] == [False, None, True, False, True]


@pytest.mark.parametrize(
    "lacking",
    [
        Reference(),
        Reference(arrays=Novelty().describe(judged(TRAINING)).arrays),
        Reference(arrays=Rediscovery().describe(judged(TRAINING)).arrays),
        reference_of(TRAINING, TRAINING),
        reference_of([], TRAINING),
    ],
)
def test_without_both_splits_there_is_nothing_to_tell(lacking):
    assert measures(TRAINING, lacking) == {}


@pytest.mark.parametrize("molecules", [[], [None, worked.methyl()], [internal.butane()]])
def test_nothing_found_gives_no_rate(molecules, reference):
    rate = measures(molecules, reference)["memorised/held_out_rate"]
    assert math.isnan(rate.value)
    assert rate.interval is None
    assert rate.value_text == "–"


def test_the_interval_of_a_ratio_is_katzs():
    """Katz et al. for 20 of 100 against 40 of 160: ratio 0.8, variance of its logarithm 1/20 - 1/100 + 1/40 - 1/160."""
    value, (low, high) = rate_ratio(20, 100, 40, 160)
    assert value == pytest.approx(0.8)
    half = 1.959964 * math.sqrt(0.05 - 0.01 + 0.025 - 0.00625)
    assert (low, high) == pytest.approx((0.8 * math.exp(-half), 0.8 * math.exp(half)))


def test_intervals_hold_a_rate_of_one_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1_000):
        _, (low, high) = rate_ratio(int(rng.binomial(3_000, 0.005)), 3_000, int(rng.binomial(10_000, 0.005)), 10_000)
        held += low <= 1 <= high
    assert 0.93 <= held / 1_000 <= 0.98


def test_a_reference_holds_four_bytes_a_molecule_and_keeps_them(tmp_path, reference):
    array = reference.arrays[KNOWN]
    assert array.dtype == np.uint32
    assert len(array) == 6
    assert (np.diff(array.astype(np.int64)) > 0).all()
    whole = smiles_hashes(["[H]O[H]"])
    assert int(upper_halves(whole)[0]) == int(whole[0]) >> 32
    reference.write(tmp_path / "data.safetensors")
    read = Reference.open(tmp_path / "data.safetensors")
    assert measures(TRAINING + HELD_OUT, read) == measures(TRAINING + HELD_OUT, reference)


def test_names_by_another_rdkit_come_with_a_warning():
    other = reference_of(TRAINING, TRAINING + HELD_OUT, tools={"rdkit": "2023.3.3"})
    assert "2023.3.3" in measures(TRAINING, other)["memorised/held_out_rate"].note
