"""Pairs and the rows of fragments, against loops."""

import torch

from atomweave.geometry.edges import pairs_within, prefix_rows, reception

CUTOFF = 2.0


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    positions = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(2))
    return positions, torch.tensor([6, 4, 1])


def test_pairs_are_those_within_the_cutoff() -> None:
    positions, n_atoms = _batch()
    pairs = pairs_within(positions, n_atoms, CUTOFF)
    expected = {
        (b, i, j)
        for b in range(3)
        for i in range(n_atoms[b])
        for j in range(n_atoms[b])
        if i != j and (positions[b, i] - positions[b, j]).norm() < CUTOFF
    }
    found = list(zip(pairs.molecule.tolist(), pairs.receiver.tolist(), pairs.sender.tolist(), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)
    assert 0 < len(expected) < 30 + 12
    for row, (b, i, j) in enumerate(found):
        assert pairs.index[b, i, j] == row
        assert torch.equal(pairs.vectors[row], positions[b, i] - positions[b, j])
    assert (pairs.index == len(found)).sum() == 3 * 36 - len(found)


def test_noise_moves_vectors_but_not_the_neighbour_list() -> None:
    positions, n_atoms = _batch()
    noisy = positions + 1.0
    noisy[0, 0] += 100.0
    pairs = pairs_within(noisy, n_atoms, CUTOFF, edge_positions=positions)
    clean = pairs_within(positions, n_atoms, CUTOFF)
    assert torch.equal(pairs.index, clean.index)
    assert pairs.distances.max() > 100.0


def test_edges_into_an_atom_come_from_its_fragment() -> None:
    positions, n_atoms = _batch()
    pairs = pairs_within(positions, n_atoms, CUTOFF)
    prefix = torch.tensor([[1, 3, 6], [2, 4, 0], [1, 0, 0]])
    rows = prefix_rows(prefix, 6)
    assert len(rows.molecule) == int(prefix.sum())
    molecule, decision, atom = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    read = reception(rows, pairs, molecule, decision, atom)
    edges = read.edges()
    found = set()
    columns = (edges.sender, edges.pair, read.links[edges.link], edges.receiver)
    for sender, pair, link, receiver in zip(*(column.tolist() for column in columns), strict=True):
        assert pairs.molecule[link] == pairs.molecule[pair]
        assert pairs.receiver[link] == max(pairs.receiver[pair], pairs.sender[pair])
        assert pairs.sender[link] == min(pairs.receiver[pair], pairs.sender[pair])
        assert rows.molecule[sender] == molecule[receiver] == pairs.molecule[pair]
        assert rows.decision[sender] == decision[receiver]
        assert rows.atom[sender] == pairs.sender[pair]
        assert atom[receiver] == pairs.receiver[pair]
        found.add((receiver, int(pairs.sender[pair])))
    expected = {
        (r, j)
        for r, (b, d, i) in enumerate(zip(molecule.tolist(), decision.tolist(), atom.tolist(), strict=True))
        for j in range(int(prefix[b, d]))
        if pairs.index[b, i, j] < len(pairs.molecule)
    }
    assert found == expected
    assert expected
    # What no fragment reads is not computed.
    assert set(read.pair[read.pair >= 0].tolist()) == set(edges.pair.tolist())
    assert set(range(len(read.links))) == set(edges.link.tolist())
    assert len(read.links) < len(set(edges.pair.tolist()))
