"""Checks and what they count; see the package."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import MODULES

MOST_SHOWN = 20
"""Failures that are kept word by word; the rest are counted."""


@dataclass(frozen=True)
class Count:
    """What a check found."""

    n: int  # cases that were tried
    failures: Sequence[str] = ()  # one sentence a failure
    notes: Mapping[str, float | str] = field(default_factory=dict)  # further figures, e.g. {"longest, s": 0.3}


@dataclass(frozen=True)
class Check:
    """A function that counts, with its two sizes."""

    name: str
    section: str  # title of its module
    claim: str  # one sentence that holds where there are no failures
    unit: str  # what is counted, in the plural
    small: int  # 0 if it is run by `make reliability` alone
    large: int
    function: Callable[[int, int, Path], Count]

    def run(self, size: int, seed: int, folder: Path) -> Count:
        """Run it.

        Args:
            size: how many cases are wanted at least.
            seed: of everything that is drawn.
            folder: an empty one, for its files.
        """
        return self.function(size, seed, folder)

    def line(self, count: Count) -> str:
        """Return what was counted as one line of JSON."""
        return json.dumps({"check": self.name} | self.record(count))

    def record(self, count: Count) -> dict[str, Any]:
        """Return what was counted as plain values."""
        shown = list(count.failures[:MOST_SHOWN])
        record = {"n": count.n, "unit": self.unit, "failures": len(count.failures), "notes": dict(count.notes)}
        return record | ({"shown": shown} if shown else {})


def check(unit: str, small: int, large: int) -> Callable[[Callable[[int, int, Path], Count]], Check]:
    """Make a check of a function; its name and the first paragraph of its docstring are the check's."""

    def make(function: Callable[[int, int, Path], Count]) -> Check:
        claim = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        section = (inspect.getmodule(function).__doc__ or "").split("\n")[0].rstrip(".")
        return Check(function.__name__, section, claim, unit, small, large, function)

    return make


def all_checks() -> list[Check]:
    """Return the checks of all modules, in the order in which they are written down."""
    found = []
    for name in MODULES:
        module = importlib.import_module(f"{__package__}.{name}")
        found += [value for value in vars(module).values() if isinstance(value, Check)]
    return found
