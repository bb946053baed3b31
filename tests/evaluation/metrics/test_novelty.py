from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from atomweave.evaluation.metrics.novelty import SEEN, Novelty, is_seen, naming_note, smiles_hashes
from atomweave.evaluation.reference import Reference
from atomweave.evaluation.tools import tool_versions
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

TRAINING = [worked.methane(), worked.water(), worked.benzene(), worked.benzene(), worked.methyl(), internal.butane()]


def reference_of(molecules, **facts) -> Reference:
    return Reference("training", arrays=Novelty().describe(judged(molecules)).arrays, **facts)


@pytest.fixture(scope="module")
def reference():
    return reference_of(TRAINING)


@pytest.fixture(scope="module")
def sample():
    """Twelve attempts: nine valid ones, four of them known, five novel of four kinds."""
    return judged(
        [
            worked.methane(),
            worked.methane(),
            internal.butane(65),
            worked.hydrogen_cyanide(),
            worked.carbon_dioxide(),
            None,
            worked.carbon_dioxide(),
            worked.methyl(),
            worked.methane_and_water(),
            worked.benzene(),
            internal.cyclopropane(),
            worked.garbage(),
        ]
    )


def measures(sample, reference):
    return {measure.name: measure for measure in Novelty().measure(sample, reference).measures}


def test_each_share_has_its_denominator(sample, reference):
    found = measures(sample, reference)
    assert {name: (measure.count, measure.total, measure.of) for name, measure in found.items()} == {
        "novel": (5, 9, "valid"),
        "novel_valid_unique": (4, 12, "attempts"),
        "memorised/exact": (4, 9, "valid"),
        "most_frequent": (2, 9, "valid"),
    }
    assert found["novel"].better == found["memorised/exact"].better == ""
    assert found["novel"].interval is not None
    assert found["novel_valid_unique"].interval is None


def test_columns_tell_each_attempt(sample, reference):
    columns = Novelty().measure(sample, reference).columns
    assert columns["novel"] == [False, False, False, True, True, None, True, None, True, False, True, None]
    assert columns["copies"] == [2, 2, 1, 1, 2, None, 2, None, 1, 1, 1, None]


def test_the_most_frequent_molecule_is_named_as_a_chemist_would():
    found = measures(judged([worked.benzene(), worked.benzene(), worked.water()]), Reference())
    assert (found["most_frequent"].count, found["most_frequent"].note) == (2, "c1ccccc1")
    assert measures(judged([worked.benzene()]), Reference())["most_frequent"].note == ""


def test_without_a_training_split_only_repeats_are_told(sample):
    assert list(measures(sample, Reference())) == ["most_frequent"]


def test_every_training_molecule_is_known_to_its_own_reference():
    molecules = list(qm9_molecules().values())
    found = measures(judged(molecules), reference_of(molecules))
    assert (found["novel"].count, found["memorised/exact"].value) == (0, 1)


def test_stereochemistry_is_part_of_a_molecule():
    cis, trans = internal.ethylene("FH", "FH"), internal.ethylene("FH", "HF")
    assert measures(judged([cis, trans]), reference_of([trans]))["novel"].count == 1


def test_a_reference_holds_sorted_hashes_one_a_valid_molecule(reference):
    hashes = reference.arrays[SEEN]
    assert hashes.dtype == np.uint64
    assert len(hashes) == 5  # benzene twice; the methyl radical is not valid
    assert (np.diff(hashes.astype(object)) >= 0).all()
    known = int.from_bytes(hashlib.sha256(b"[H]O[H]").digest()[:8], "little")
    assert known in hashes.tolist()
    assert smiles_hashes(["[H]O[H]"]).tolist() == [known]


def test_looking_up_by_hand():
    seen = np.array([3, 5, 5, 9], np.uint64)
    assert is_seen(np.array([0, 3, 4, 5, 9, 10], np.uint64), seen).tolist() == [False, True, False, True, True, False]
    assert is_seen(np.array([1], np.uint64), np.zeros(0, np.uint64)).tolist() == [False]
    assert is_seen(np.zeros(0, np.uint64), seen).tolist() == []


def test_a_reference_file_keeps_the_hashes(tmp_path, sample, reference):
    reference.write(tmp_path / "training.safetensors")
    read = Reference.open(tmp_path / "training.safetensors")
    assert measures(sample, read)["novel"] == measures(sample, reference)["novel"]


def test_names_by_another_rdkit_come_with_a_warning(sample):
    other = reference_of(TRAINING, tools={"rdkit": "2023.3.3"})
    assert "2023.3.3" in measures(sample, other)["novel"].note
    assert naming_note(Reference(tools=tool_versions())) == ""


def test_blocks_give_the_spread(reference):
    """300 attempts in blocks of 100: all methane, then half and half, then none valid."""
    methane, novel = worked.methane(), worked.carbon_dioxide()
    blocks = [methane] * 100 + [methane] * 50 + [novel] * 50 + [None] * 100
    found = measures(judged(blocks), reference)
    spread = found["novel_valid_unique"].spread
    assert (spread.n_parts, spread.of) == (3, "blocks of 100 attempts")
    assert spread.mean == pytest.approx(0.01 / 3)
    assert spread.deviation == pytest.approx(np.std([0, 0.01, 0], ddof=1))
    assert found["most_frequent"].spread.n_parts == 2


@pytest.mark.parametrize("molecules", [[], [None, worked.methyl()]])
def test_nothing_valid_gives_empty_figures(molecules, reference):
    found = measures(judged(molecules), reference)
    assert math.isnan(found["novel"].value)
    assert found["novel_valid_unique"].count == 0
    assert found["most_frequent"].total == 0
    assert len(Novelty().describe(judged(molecules)).arrays[SEEN]) == 0
    assert measures(judged(TRAINING), reference_of(molecules))["novel"].value == 1
