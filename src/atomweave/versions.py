"""Versions of the packages that decide a figure; a figure without them cannot be compared."""

from __future__ import annotations

import importlib.metadata
import platform


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the version of Python and of each package that is installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
