from __future__ import annotations

import hashlib

import numpy as np
import torch

from atomweave.chemistry.radii import COVALENT_RADII, adjacency, bonded_pairs
from reference import worked_molecules as worked


def test_the_whole_table_is_that_of_rdkit_2023_but_for_phosphorus():
    assert COVALENT_RADII.shape == (119,)
    assert COVALENT_RADII[[1, 6, 7, 8, 9, 15, 16, 17]].tolist() == [0.23, 0.68, 0.68, 0.68, 0.64, 0.95, 1.02, 0.99]
    assert (COVALENT_RADII[1:] > 0).all()
    # The hash of the values that RDKit 2023.03.3 prints, so that no digit changes unseen.
    text = " ".join(f"{radius:.2f}" for radius in [*COVALENT_RADII[:15], 0.75, *COVALENT_RADII[16:]])
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "13d5d76c6602229de41c236d27e26fbd81736c6a96f5187ac5feea92023eda0d"
    )


def test_bonds_reach_exactly_as_far_as_the_rule_says():
    limit = 1.3 * (0.68 + 0.23)
    numbers = np.array([6, 1])
    assert len(bonded_pairs(numbers, np.array([[0, 0, 0], [0, 0, limit - 1e-9]]))) == 1
    assert len(bonded_pairs(numbers, np.array([[0, 0, 0], [0, 0, limit + 1e-9]]))) == 0


def test_padded_batches_agree_with_single_molecules():
    molecules = [worked.methane(), worked.benzene(), worked.argon(), worked.garbage()]
    n_most = max(len(molecule) for molecule in molecules)
    numbers = torch.zeros(len(molecules), n_most, dtype=torch.long)
    positions = torch.zeros(len(molecules), n_most, 3, dtype=torch.float64)
    for row, molecule in enumerate(molecules):
        numbers[row, : len(molecule)] = torch.from_numpy(molecule.numbers.astype(np.int64))
        positions[row, : len(molecule)] = torch.from_numpy(molecule.positions.copy())
    bonded = adjacency(numbers, positions)
    assert torch.equal(bonded, bonded.transpose(1, 2))
    for row, molecule in enumerate(molecules):
        pairs = bonded[row].triu().nonzero().numpy()
        np.testing.assert_array_equal(pairs, bonded_pairs(molecule.numbers, molecule.positions))
