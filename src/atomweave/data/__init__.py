"""Stores of molecules: what they hold, how they are built, and QM9."""

from .store import MoleculeStore

__all__ = ["MoleculeStore"]
