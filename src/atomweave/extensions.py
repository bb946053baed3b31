"""Modules of the user's own that add parts: embedders, heads, models, metrics, properties.

`ATOMWEAVE_EXTENSIONS=my_parts,other.parts` names modules that the command line imports before it runs a verb, and every
worker process as it starts. They register what they add when imported (docs/extending.md). Only the environment can
name them: no file that Atomweave reads does.
"""

from __future__ import annotations

import importlib
import os

from .errors import UsageError

VARIABLE = "ATOMWEAVE_EXTENSIONS"


def load_extensions() -> None:
    """Import the modules that the environment names; each once a process.

    Raises:
        UsageError: if one of them cannot be found, or fails as it is imported.
    """
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{VARIABLE}: cannot import {name!r} ({error}); install it, or put its folder on PYTHONPATH."
            ) from None
        except Exception as error:
            raise UsageError(
                f"{VARIABLE}: {name!r} fails as it is imported ({type(error).__name__}: {error}); "
                f"python -c 'import {name}' shows where."
            ) from error
