from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from atomweave.chemistry.bonds import perceive
from atomweave.evaluation.metrics.fingerprints import WIDTH, Fingerprints
from reference import worked_molecules as worked

SMILES = [
    "C",
    "CC",
    "CCO",
    "CC(=O)N",
    "C1CC1O",
    "c1ccccc1",
    "c1ccoc1",
    "C#CCO",
    "NCC(=O)O",
    "FC(F)CO",
    "CC=CC",
    "CCC=O",
]


def bits_of(*rows: list[int]) -> Fingerprints:
    offsets = np.cumsum([0, *map(len, rows)])
    return Fingerprints(np.array([bit for row in rows for bit in row], np.int64), offsets)


def rows_of(fingerprints: Fingerprints) -> list[list[int]]:
    return [part.tolist() for part in np.split(fingerprints.bits, fingerprints.offsets[1:-1])]


def test_bits_and_similarities_are_rdkits():
    generator = GetMorganGenerator(radius=2, fpSize=WIDTH)
    expected = [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    found = Fingerprints.of([perceive(worked.embedded(smiles)).mol for smiles in SMILES])
    assert rows_of(found) == [list(bits.GetOnBits()) for bits in expected]
    half = len(SMILES) // 2
    first, second = expected[:half], expected[half:]
    best = [max(DataStructs.BulkTanimotoSimilarity(bits, second)) for bits in first]
    parts = [bits_of(*rows_of(found)[:half]), bits_of(*rows_of(found)[half:])]
    np.testing.assert_allclose(parts[0].nearest(parts[1]), best)
    assert 0 < max(best) < 1


def test_similarity_by_hand():
    queries = bits_of([1, 2, 3], [7], [1, 2, 3, 4, 5, 6], [])
    others = bits_of([2, 3, 4], [3], [1, 2, 3, 4], [900])
    np.testing.assert_allclose(queries.nearest(others), [3 / 4, 0, 4 / 6, 0])


def test_without_others_there_is_no_nearest():
    assert np.isnan(bits_of([1, 2]).nearest(bits_of())).all()
    assert bits_of().nearest(bits_of([1])).shape == (0,)


def test_hydrogen_has_a_fingerprint_and_says_nothing(capfd):
    hydrogen = Chem.AddHs(Chem.MolFromSmiles("[H][H]"))
    assert len(Fingerprints.of([hydrogen])) == 1
    assert capfd.readouterr() == ("", "")


def test_gaps_are_written_by_hand():
    """Bits 3 and 258 of the first molecule, bit 0 of the second: steps of 3, 255 and 1024 - 258 = 766 = 3 x 255 + 1."""
    packed = bits_of([3, 258], [0]).packed
    assert packed.tolist() == [3, 255, 0, 255, 255, 255, 1]
    assert rows_of(Fingerprints.unpack(packed)) == [[3, 258], [0]]


@given(st.lists(st.sets(st.integers(0, WIDTH - 1), min_size=0, max_size=30), max_size=20))
def test_packing_keeps_every_bit(rows):
    ordered = [sorted(row) for row in rows] + [[5]]  # one without bits at the very end would be lost
    fingerprints = bits_of(*ordered)
    assert fingerprints.packed.dtype == np.uint8
    assert rows_of(Fingerprints.unpack(fingerprints.packed)) == ordered


def test_no_fingerprints_pack_to_nothing():
    assert len(Fingerprints.unpack(bits_of().packed)) == 0


def test_equal_fingerprints_are_kept_once():
    assert rows_of(bits_of([1, 2], [3], [1, 2], [3], [3, 4]).distinct) == [[1, 2], [3], [3, 4]]
    assert len(bits_of().distinct) == 0


@pytest.mark.parametrize("n", [1, 2])
def test_a_molecule_is_its_own_nearest(n):
    found = Fingerprints.of([perceive(worked.embedded(smiles)).mol for smiles in SMILES[:n]])
    assert found.nearest(found).tolist() == [1.0] * n
