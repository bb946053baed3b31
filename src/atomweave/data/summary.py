"""What a store holds, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..columns import TextColumn
from ..species import SYMBOLS
from .store import MoleculeStore


def describe(store: MoleculeStore) -> Iterator[str]:
    """Yield counts, elements, sizes, splits, properties with their units, citation and hash, one line each."""
    yield f"molecules   {len(store):,}"
    sizes = store.sizes
    yield f"atoms       {len(store.numbers):,}; {sizes.min()} to {sizes.max()} a molecule, mean {sizes.mean():.2f}"
    counts = np.bincount(store.numbers, minlength=len(SYMBOLS))
    yield "elements    " + ", ".join(f"{symbol} {counts[SYMBOLS.index(symbol)]:,}" for symbol in store.elements)
    yield from _block("splits", [f"{name} {len(indices):,}" for name, indices in store.splits.items()])
    yield from _block("properties", [_property(store, name) for name in store.properties])
    yield f"citation    {store.citation or 'none given'}"
    yield f"sha256      {store.sha256}"


def _block(title: str, entries: list[str]) -> Iterator[str]:
    for i, entry in enumerate(entries or ["none"]):
        yield f"{title if i == 0 else '':<11} {entry}"


def _property(store: MoleculeStore, name: str) -> str:
    column, unit = store.properties[name], store.units.get(name)
    head = f"{name} ({unit})" if unit else name
    if isinstance(column, TextColumn):
        missing = int((np.diff(column.offsets) == 0).sum())
        return f"{head}: text" + (f", missing in {missing:,}" if missing else "")
    shape = "" if column.ndim == 1 else f" {column.shape[1:]}"
    finite = column[np.isfinite(column)]
    missing = int(np.isnan(column).reshape(len(store), -1).all(1).sum())
    extent = f", {finite.min():.6g} to {finite.max():.6g}, mean {finite.mean():.6g}" if finite.size else ""
    return f"{head}: {column.dtype}{shape}{extent}" + (f", missing in {missing:,}" if missing else "")
