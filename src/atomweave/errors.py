"""Errors a user can meet. Each message says what, where, got, wanted, and the next step.

The command line turns the class into an exit status: 2 usage, 3 bad input, 4 refused file, 5 incomplete.
"""

import difflib
from collections.abc import Iterable


class AtomweaveError(Exception):
    """Anything Atomweave refuses on purpose; shown to users as one sentence, without a traceback."""

    exit_status = 3


class UsageError(AtomweaveError):
    """An option, name or configuration value that does not exist or does not fit."""

    exit_status = 2


class InputError(AtomweaveError):
    """A molecule, file or frame that cannot be used: NaN, coincident atoms, unknown element, ..."""

    exit_status = 3


class RefusedFileError(AtomweaveError):
    """A store, checkpoint or weights file that is damaged, of another kind, or not to be trusted."""

    exit_status = 4


class IncompleteError(AtomweaveError):
    """Work that could not be brought to its end; what was done so far is kept."""

    exit_status = 5


class MissingDependencyError(AtomweaveError):
    """An optional package is not installed; the message names the extra to install."""

    exit_status = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence: the nearest known name, then all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(known)}."


def printable(text: str) -> str:
    """Return text from a file or a file's name fit for a terminal: escape sequences and line breaks are spelt out."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shorten(value: object) -> str:
    """Return a value as Python writes it, short enough for a sentence."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."
