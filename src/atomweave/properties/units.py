"""Atomic units in those of the properties (CODATA 2018)."""

from __future__ import annotations

from ..chemistry.xtb import BOHR, HARTREE

DEBYE = 2.541746473
"""Debye in one e Bohr."""

__all__ = ["BOHR", "DEBYE", "HARTREE"]
