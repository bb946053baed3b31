"""Versions of the tools that decide a figure; a figure without them cannot be compared."""

from __future__ import annotations

from ..versions import installed_versions

DECIDING = ("atomweave", "rdkit", "numpy", "torch", "openbabel-wheel", "openbabel", "networkx", "posebusters", "tblite")


def tool_versions(packages: tuple[str, ...] = DECIDING) -> dict[str, str]:
    """Return the version of Python and of each package that is installed."""
    return installed_versions(packages)
