"""Figures of a set that consists of several files or seeds of one model.

The files are independent draws of one model. So the trials of a share that has an interval (valid, novel ...) are
independent across files too: the set's share is that of all trials together, with the interval of all of them. Other
figures (uniqueness, distances between distributions) depend on how many molecules they are taken of, and duplicates are
sought in each file alone: there the set's figure is the mean over the files, and stays comparable to one file's. Either
way the spread over the files stands beside: wider than the interval allows, it says that the seeds differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .intervals import wilson
from .measure import FILES, Measure, Spread

if TYPE_CHECKING:
    from .metric import Result


def pooled(results: Sequence[Mapping[str, Result]]) -> dict[str, Measure]:
    """Return the figures of a set by name: of its one sample, or of its samples together.

    Args:
        results: for each sample, metric name -> result.
    """
    found: dict[str, list[Measure]] = {}
    for result in results:
        own: dict[str, Measure] = {}
        for measure in (measure for one in result.values() for measure in one.measures):
            own.setdefault(measure.name, measure)
        for name, measure in own.items():
            found.setdefault(name, []).append(measure)
    return {name: measures[0] if len(results) == 1 else over_files(measures) for name, measures in found.items()}


def over_files(measures: Sequence[Measure]) -> Measure:
    """Return one figure of several files, each of which has it."""
    first = measures[0]
    count, total = sum(measure.count for measure in measures), sum(measure.total for measure in measures)
    known = [measure for measure in measures if math.isfinite(measure.value)]
    values = np.array([measure.value for measure in known])
    of_all = dict.fromkeys(measure.note for measure in measures if measure.note)
    floors = [measure.floor for measure in measures if measure.floor is not None]
    together = replace(
        first,
        count=count,
        total=total,
        floor=float(np.mean(floors)) if floors else None,
        note="; ".join(of_all),
        spread=Spread(float(values.mean()), float(values.std(ddof=1)), len(values), FILES) if len(known) > 1 else None,
    )
    if first.kind == "count":
        return replace(together, value=float(count), spread=None)
    if not known:
        return together
    if all(measure.interval is not None for measure in known):
        return _weighted(together, known)
    return replace(together, value=float(values.mean()), interval=None)


def _weighted(together: Measure, known: Sequence[Measure]) -> Measure:
    """Return a figure whose files count by their trials, with its interval.

    Plain shares get Wilson's interval of the pooled counts. Where trials come in clusters (atoms of molecules) or the
    figure is a mean, the files' own intervals are joined by the method of variance estimates recovery (G. Y. Zou,
    A. Donner, Stat. Med. 27, 1693 (2008)): the distances from value to bound add up in squares.
    """
    weights = np.array([measure.total for measure in known], float)
    weights /= weights.sum()
    values = np.array([measure.value for measure in known])
    value = float(weights @ values)
    if all(measure.kind == "share" and measure.interval == wilson(measure.count, measure.total) for measure in known):
        return replace(together, value=value, interval=wilson(together.count, together.total))
    bounds = np.array([measure.interval for measure in known], float)  # (n_files, 2)
    low, high = np.linalg.norm(weights[:, None] * (values[:, None] - bounds), axis=0).tolist()
    return replace(together, value=value, interval=(value - low, value + high))
