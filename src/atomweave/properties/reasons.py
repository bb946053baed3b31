"""Why a molecule has no numbers: what stands in the table in their place."""

from __future__ import annotations

from ..chemistry import xtb

ODD_ELECTRONS = xtb.ODD_ELECTRONS
NO_PARAMETERS = xtb.NO_PARAMETERS
NOT_CONVERGED = xtb.NO_FIELD
NOT_RELAXED = xtb.NOT_RELAXED
CHARGED = "charged"
COINCIDENT = "coincident atoms"
OPEN_SHELL_ATOM = "atom without a closed shell"
NO_EMPTY_ORBITAL = "no empty orbital"
RADICAL = "radical"
"""Unpaired electrons in the Lewis structure, though even in number: as pairs they would be another molecule."""

REASONS = (
    CHARGED, ODD_ELECTRONS, OPEN_SHELL_ATOM, RADICAL, COINCIDENT, NO_PARAMETERS, NOT_CONVERGED, NOT_RELAXED,
    NO_EMPTY_ORBITAL,
)  # fmt: skip
"""Every reason a calculation can give; they lie with the molecule and the method, so trying again gives the same."""


class Unavailable(Exception):  # noqa: N818 - no error: it ends the calculation of one molecule with its reason
    """There is no number; caught in `calculate`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
