"""What the command line asks of molecules, and what it says of a request that lies out of range."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any


def read_conditions(named: dict[str, float | str | None], others: Sequence[str]) -> dict[str, float | str]:
    """Return what is asked, by the condition's name.

    Args:
        named: of options that have a name of their own; None where not given.
        others: "NAME=VALUE" each.

    Raises:
        UsageError: if one is not of that form, or asked twice.
    """
    from ..errors import UsageError

    asked = {name: value for name, value in named.items() if value is not None}
    for text in others:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--condition: got {text!r}, wanted NAME=VALUE, e.g. gap=4.0.")
        if name in asked:
            raise UsageError(f"--condition: {name} is asked twice, {asked[name]} and {value}; ask once.")
        try:
            asked[name] = float(value)
        except ValueError:
            asked[name] = value
    return asked


@contextlib.contextmanager
def range_warnings_as_lines() -> Iterator[None]:
    """Show `OutsideRangeWarning` as one line on stderr, without the place in the code that a library's user needs."""
    from ..growth.conditions import OutsideRangeWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", OutsideRangeWarning)
        show = warnings.showwarning

        def line(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, OutsideRangeWarning):
                print(f"warning: {message}", file=sys.stderr)
            else:
                show(message, category, *place, **options)

        warnings.showwarning = line
        yield
