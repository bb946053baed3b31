"""What a run says at its start of molecules that teach it nothing, or that it cannot place."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel

from ..growth.loader import Batches
from ..growth.policies.base import Fate, words

LOOKED_AT = 2000
"""Molecules of which a run says at its start how many the growth policy leaves out."""

REACHES = (("position_head", "minimum", "maximum"), ("position", "shortest", "longest"))
"""Where a model's configuration says between which distances, in Å, it places an atom."""


def left_out(batches: Batches, model: BaseModel) -> list[str]:
    """Return sentences on molecules that teach nothing, or have no density, if there are any among those looked at."""
    n_batches = -(-LOOKED_AT // batches.molecules_per_batch)
    fates, distances = batches.look(n_batches)
    kept, total = fates[Fate.KEPT], sum(fates.values())
    sentences = []
    if kept < total:
        sentences.append(f"{total - kept:,} of {total:,} molecules looked at are left out of teaching ({words(fates)})")
    for part, lowest, highest in REACHES:
        head = getattr(model, part, None)
        low, high = getattr(head, lowest, None), getattr(head, highest, None)
        if low is not None and high is not None:
            beyond = (distances < low).any(1) | (distances > high).any(1)
            if beyond.any():
                sentences.append(
                    f"warning: {beyond.sum():,} of {len(beyond):,} molecules looked at place an atom outside of "
                    f"{low:g} to {high:g} Å, where the model has no density (here: {np.nanmin(distances):.3f} to "
                    f"{np.nanmax(distances):.3f} Å): change model.{part}.{lowest} or model.{part}.{highest}"
                )
    return sentences
