"""What workers can do: task name -> the module of this package that answers it, and whose versions decide how."""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

TASKS = {
    "bonds": "chemistry.bonds_task",
    "conformer": "chemistry.conformers_task",
    "grow": "growth.growing_task",
    "gspherenet": "chemistry.gspherenet_checker_task",
    "lookup": "chemistry.lookup_task",
    "openbabel": "chemistry.openbabel_task",
    "posebusters": "evaluation.metrics.posebusters_task",
    "property": "properties.calculation_task",
    "xtb": "evaluation.metrics.relaxation_task",
    "xtb_gap": "evaluation.metrics.gap",
}

DECIDING = ("atomweave", "pyscf", "rdkit", "tblite")
"""Packages of which those who share work must not have different versions."""
DECIDING_FURTHER = {
    "grow": ("numpy", "torch"),
    "openbabel": ("openbabel-wheel", "openbabel"),
    "posebusters": ("posebusters",),
}
"""The same, of single tasks."""


class TaskModule(Protocol):
    """What the module of a task offers."""

    def answer(self, request: bytes, options: dict[str, Any]) -> bytes:
        """Return the answer to one request."""

    def prepare(self, options: dict[str, Any]) -> None:
        """Import what the answers need; not counted into any molecule's time."""


def deciding(name: str) -> tuple[str, ...]:
    """Return the packages whose versions decide a task's answers."""
    return (*DECIDING, *DECIDING_FURTHER.get(name, ()))


def task_module(name: str) -> TaskModule:
    """Import the module of a task."""
    return cast("TaskModule", importlib.import_module(f"{__package__.partition('.')[0]}.{TASKS[name]}"))
