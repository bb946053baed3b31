"""The biased set: molecules of the data that are good already, as a store of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..columns import TextColumn
from ..data.store import MoleculeStore
from ..errors import InputError
from .objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..columns import Column

TRAIN, VALID = "train", "valid"
"""Splits of a selection: what is learnt from, and what the loss is watched on."""


def select(store: MoleculeStore, objective: Objective, train_split: str, valid_split: str) -> MoleculeStore:
    """Return the good molecules of the training split, and those of the validation split for the validation loss.

    The published index lists hold training, validation and test molecules alike; here nothing outside of the
    training split is learnt from, so that "novel" keeps its meaning.

    Args:
        store: the data; keeps all its columns, so that a model which is told properties goes on hearing them.
        objective: what is good.
        train_split: of the store.
        valid_split: of the store; where none of it is good, or there is none, the loss is watched on what is learnt.

    Raises:
        InputError: if the store lacks the property or the split, or none of its molecules is good.
    """
    values = objective.values(store)
    train = np.sort(store.split(train_split))
    learnt = train[objective.good(values[train])]
    if not len(learnt):
        held = values[train][np.isfinite(values[train])]
        span = f"{held.min():g} to {held.max():g} {objective.unit}" if len(held) else "no values"
        raise InputError(
            f"none of the {len(train):,} molecules of {train_split} has {objective.good_words} (they span {span}): "
            "choose another --threshold."
        )
    watched = np.sort(store.splits.get(valid_split, np.zeros(0, np.int64)))
    watched = watched[objective.good(values[watched])]
    indices = np.concatenate([learnt, watched])
    n_learnt = len(learnt)
    splits = {
        TRAIN: np.arange(n_learnt),
        VALID: np.arange(n_learnt, len(indices)) if len(watched) else np.arange(n_learnt),
    }
    return part(store, indices, splits)


def part(store: MoleculeStore, indices: np.ndarray, splits: dict[str, np.ndarray]) -> MoleculeStore:
    """Return some molecules of a store (n,) with their properties, under new splits."""
    sizes = store.sizes[indices]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    atoms = np.repeat(store.offsets[indices] - offsets[:-1], sizes) + np.arange(offsets[-1])
    return MoleculeStore(
        np.ascontiguousarray(store.numbers[atoms]),
        np.ascontiguousarray(store.positions[atoms]),
        offsets,
        {name: _rows(column, indices) for name, column in store.properties.items()},
        dict(store.units),
        {name: rows.astype(np.int64) for name, rows in splits.items()},
        store.citation,
    )


def joined(stores: Sequence[MoleculeStore], splits: dict[str, np.ndarray]) -> MoleculeStore:
    """Return the molecules of several stores one after the other; a property that one lacks is missing there."""
    units = {name: unit for store in stores for name, unit in store.units.items()}
    both = MoleculeStore.from_molecules((molecule for store in stores for molecule in store), units)
    rows = {name: indices.astype(np.int64) for name, indices in splits.items()}
    citation = next((store.citation for store in stores if store.citation), "")
    return MoleculeStore(both.numbers, both.positions, both.offsets, both.properties, both.units, rows, citation)


def _rows(column: Column, indices: np.ndarray) -> Column:
    return column[indices] if isinstance(column, TextColumn) else np.ascontiguousarray(column[indices])
