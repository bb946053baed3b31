"""The worker's task `gspherenet`: the bond orders of one molecule by maximum matching."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..errors import MissingDependencyError
from .matching import Edge, blossom_matching, raised_orders


def prepare(options: dict[str, Any]) -> None:  # noqa: ARG001 - the signature of every task
    """Import networkx."""
    try:
        import networkx as nx  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "bond orders of the G-SphereNet check need networkx, which is not installed: pip install 'atomweave[eval]'"
        ) from None


def answer(request: bytes, options: dict[str, Any]) -> bytes:  # noqa: ARG001 - the signature of every task
    """Return by how much the orders of packed edges are raised."""
    edges, missing = json.loads(request)
    return json.dumps(raised_orders([(a, b) for a, b in edges], missing, blossom_matching)).encode()


def pack_edges(edges: Sequence[Edge], missing: Sequence[int]) -> bytes:
    """Return bonds between atoms that lack bonds, and how many each atom lacks, as bytes."""
    return json.dumps([edges, missing]).encode()


def unpack_raised(answer: bytes) -> list[int]:
    """Return what `answer` found."""
    found: list[int] = json.loads(answer)
    return found
