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


def graph_of(lacks, bonded):
    nodes = [(atom, copy) for atom, n in enumerate(lacks) for copy in range(n)]
    return nodes, [(a, b) for a, b in itertools.combinations(nodes, 2) if a[0] != b[0] and bonded[a[0], b[0]]]


def left_over(lacks, bonded) -> tuple[list[bool], int]:
    """Which atoms some maximum matching leaves over, and how many nodes each one leaves over."""
    nodes, edges = graph_of(lacks, bonded)
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


def n_for_good(lacks, bonded, awaiting) -> int:
    """How many nodes stay left over even if every atom that awaits neighbours gets all the partners it could use."""
    nodes, edges = graph_of(lacks, bonded)
    partners = [(("partner", node), node) for node in nodes if awaiting[node[0]]]
    return len(nodes) - n_covered(nodes, edges, partners)


def n_covered(nodes, edges, partners) -> int:
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges, weight=2)
    graph.add_edges_from(partners, weight=1)
    matching = nx.max_weight_matching(graph)
    return sum(node in nodes for edge in matching for node in edge)


def test_of_random_graphs_the_same_atoms_are_left_over(kernel):
    rng = np.random.default_rng(0)
    lacks = torch.from_numpy(rng.integers(0, 3, (20, 7)))
    bonded = np.triu(rng.random((10, 7, 7)) < 0.35, 1)
    bonded |= bonded.transpose(0, 2, 1)
    molecule = torch.arange(20) % 10
    beside = torch.from_numpy(rng.random((20, 7)) < 0.25)
    awaiting = torch.from_numpy(rng.random((20, 7)) < 0.3)
    found = unmatched(lacks, torch.from_numpy(bonded), molecule, beside, awaiting, 4)
    for row in range(20):
        of_row, bonds = lacks[row].tolist(), bonded[row % 10]
        wanting, n_free = left_over(of_row, bonds)
        assert (found.wanting[row].tolist(), int(found.n_free[row, 0])) == (wanting, n_free)
        with_next = np.zeros((8, 8), bool)
        with_next[:7, :7] = bonds
        with_next[:7, 7] = with_next[7, :7] = beside[row].numpy()
        for more in range(4):
            all_lacks = [*of_row, more]
            assert int(found.n_free[row, more]) == left_over(all_lacks, with_next)[1]
            assert 0 < int(found.n_short[row, more]) <= int(found.n_free[row, more]) or not found.n_free[row, more]
            for next_awaits in (False, True):
                expected = n_for_good(all_lacks, with_next, [*awaiting[row].tolist(), next_awaits])
                assert int(found.n_stuck[row, more, int(next_awaits)]) == expected
    assert found.n_free[:, 0].unique().numel() > 3
    assert found.n_stuck.unique().numel() > 3
    assert found.wanting.any(1).eq(found.n_free[:, 0] > 0).all()


def test_an_odd_ring_needs_its_neighbour(kernel):
    # Fulvene: five ring atoms and one outside that all lack a bond. Without the outer one any of the five is left over,
    # for good unless one of the five awaits a neighbour.
    bonded = torch.zeros(1, 6, 6, dtype=torch.bool)
    for a, b in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 5)]:
        bonded[0, a, b] = bonded[0, b, a] = True
    lacks = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0]])
    awaiting = torch.zeros(3, 6, dtype=torch.bool)
    awaiting[2, 3] = True
    beside = torch.nn.functional.one_hot(torch.tensor([5, 0, 0]), 6).bool()
    found = unmatched(lacks, bonded, torch.zeros(3, dtype=torch.int64), beside, awaiting, 3)
    assert found.wanting.tolist() == [[False] * 6, [True] * 5 + [False], [True] * 5 + [False]]
    assert found.n_free.tolist() == [[0, 1, 2], [1, 0, 1], [1, 0, 1]]
    assert found.n_short.tolist() == [[0, 1, 1], [1, 0, 1], [1, 0, 1]]  # both bonds are of the atom that comes last
    assert found.n_stuck.tolist() == [
        [[0, 0], [1, 0], [2, 0]], [[1, 1], [0, 0], [1, 0]], [[0, 0], [0, 0], [1, 0]]
    ]  # fmt: skip


def test_what_is_lacking_is_up_to_the_next_valence():
    table = lacking([1, 6, 8, 16, 2], 6)
    assert table[0, 1] == 0
    assert table[1].tolist() == [0, 3, 2, 1, 0, 0, 0]
    assert table[2, :3].tolist() == [0, 1, 0]
    assert table[3].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert not table[4].any()
