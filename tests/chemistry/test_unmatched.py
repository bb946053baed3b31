"""Maximum matchings against networkx, by their definition."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import torch

from atomweave.chemistry.unmatched import lacking, unmatched
from atomweave.kernels import matching


@pytest.fixture(params=["compiled", "python"])
def kernel(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(matching, "compiled", lambda: False)
    elif not matching.compiled():
        pytest.skip("there is no compiler")


def n_matched(nodes, edges) -> int:
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return len(nx.max_weight_matching(graph, maxcardinality=True))


def by_definition(lacks, bonded) -> tuple[list[bool], int]:
    nodes = [(atom, copy) for atom, n in enumerate(lacks) for copy in range(n)]
    edges = [(a, b) for a, b in itertools.combinations(nodes, 2) if a[0] != b[0] and bonded[a[0], b[0]]]
    most = n_matched(nodes, edges)
    wanting = [
        any(
            n_matched([node for node in nodes if node != v], [edge for edge in edges if v not in edge]) == most
            for v in nodes
            if v[0] == atom
        )
        for atom in range(len(lacks))
    ]
    return wanting, len(nodes) - 2 * most


def test_of_random_graphs_the_same_atoms_are_left_over(kernel):
    rng = np.random.default_rng(0)
    lacks = torch.from_numpy(rng.integers(0, 3, (20, 7)))

    bonded = np.triu(rng.random((10, 7, 7)) < 0.35, 1)
    bonded |= bonded.transpose(0, 2, 1)
    molecule = torch.arange(20) % 10
    wanting, n_free = unmatched(lacks, torch.from_numpy(bonded), molecule)
    for row in range(20):
        expected = by_definition(lacks[row].tolist(), bonded[row % 10])
        assert (wanting[row].tolist(), int(n_free[row])) == expected
    assert n_free.unique().numel() > 3
    assert wanting.any(1).eq(n_free > 0).all()


def test_an_odd_ring_needs_its_neighbour(kernel):
    # Fulvene: five ring atoms and one outside that all lack a bond. Without the outer one any of the five is left over.
    bonded = torch.zeros(1, 6, 6, dtype=torch.bool)
    for a, b in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 5)]:
        bonded[0, a, b] = bonded[0, b, a] = True
    lacks = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]])
    wanting, n_free = unmatched(lacks, bonded, torch.zeros(2, dtype=torch.int64))
    assert n_free.tolist() == [0, 1]
    assert wanting.tolist() == [[False] * 6, [True] * 5 + [False]]


def test_what_is_lacking_is_up_to_the_next_valence():
    table = lacking([1, 6, 8, 16, 2], 6)
    assert table[0, 1] == 0
    assert table[1].tolist() == [0, 3, 2, 1, 0, 0, 0]
    assert table[2, :3].tolist() == [0, 1, 0]
    assert table[3].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert not table[4].any()
