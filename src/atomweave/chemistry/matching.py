"""Bond orders by matching: neighbours that lack bonds are paired off, round by round.

Which of several maximum matchings is found decides where the double bonds of a ring or a chain of odd length lie, so
the search is networkx's, as in the published check. Where there is only one perfect matching, as in chains of even
length, it is found by following what is forced, a hundred times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Edge = tuple[int, int]
Matching = Callable[[Sequence[Edge]], list[int] | None]
"""From edges to the indices of those that are matched, or None if it cannot tell."""


def raised_orders(edges: Sequence[Edge], missing: Sequence[int], matching: Matching) -> list[int] | None:
    """Return by how much the order of each bond is raised, or None if the matching cannot tell.

    Args:
        edges: bonded atoms, ascending.
        missing: how many bonds each atom lacks.
        matching: finds a maximum matching.
    """
    lacks, raised = list(missing), [0] * len(edges)
    while unfilled := [index for index, (a, b) in enumerate(edges) if lacks[a] > 0 and lacks[b] > 0]:
        matched = matching([edges[index] for index in unfilled])
        if matched is None:
            return None
        for index in matched:
            raised[unfilled[index]] += 1
            for atom in edges[unfilled[index]]:
                lacks[atom] -= 1
    return raised


def forced_matching(edges: Sequence[Edge]) -> list[int] | None:
    """Return the perfect matching if it is the only one and every step to it is forced, else None.

    An atom with a single neighbour can only be matched to it; both are taken out, which forces the next.
    """
    number = {edge: index for index, edge in enumerate(edges)}
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    ends = [atom for atom, others in neighbours.items() if len(others) == 1]
    matched = []
    while ends:
        atom = ends.pop()
        if atom not in neighbours:
            continue
        if not neighbours[atom]:  # its only neighbour was taken: the matching is not perfect
            return None
        (partner,) = neighbours[atom]
        matched.append(number[min(atom, partner), max(atom, partner)])
        del neighbours[atom]
        for other in neighbours.pop(partner) - {atom}:
            neighbours[other].discard(partner)
            if len(neighbours[other]) <= 1:
                ends.append(other)
    return None if neighbours else matched


def blossom_matching(edges: Sequence[Edge]) -> list[int]:
    """Return networkx's maximum matching of edges in ascending order, which fixes its choice among equal ones."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_edges_from(edges)
    matched = {(min(pair), max(pair)) for pair in nx.max_weight_matching(graph)}
    return [index for index, edge in enumerate(edges) if edge in matched]
