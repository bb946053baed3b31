"""Which checks of PoseBusters make up a suite, with thresholds of our own, whatever version is installed.

Functions, parameters and outputs have the names of PoseBusters' own configuration files (M. Buttenschoen, G. M. Morris,
C. M. Deane, Chem. Sci. 15, 3130 (2024)). What surprises: pairs with a hydrogen are left out of lengths, angles and
clashes, an "angle" is the distance between two neighbours of an atom, and the distance from a plane keeps its sign, so
an atom that sticks out to one side may pass where it fails on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LABELS = {
    "loaded": "loaded by RDKit",
    "sanitization": "passes RDKit's sanitisation",
    "inchi_convertible": "InChI convertible",
    "connected": "all atoms connected",
    "no_radicals": "no radicals",
    "bond_angles": "reasonable bond angles",
    "bond_lengths": "reasonable bond lengths",
    "aromatic_flatness": "aromatic ring flatness",
    "ring_nonflatness": "non-aromatic ring non-flatness",
    "double_bond_flatness": "double bond flatness",
    "internal_energy": "reasonable internal energy",
    "steric_clash": "no internal steric clash",
}
"""Every test of either suite, in the order of the thesis's table 5.2."""

ENERGY = "internal_energy"
RATIO = "energy_ratio"


@dataclass(frozen=True, eq=False)
class Check:
    """One call of one function of PoseBusters, which answers one test or several.

    Attributes:
        function: as PoseBusters' configuration names it.
        outputs: our name of a test, or `RATIO` -> the function's name of that output.
        parameters: handed to the function.
    """

    function: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def as_options(self) -> dict[str, Any]:
        """Return the check for a worker, as JSON knows it."""
        return asdict(self)


def names_of_tests(checks: tuple[Check, ...]) -> list[str]:
    """Return the names of the tests that checks answer, in the order of `LABELS`."""
    answered = {name for check in checks for name in check.outputs}
    return [name for name in LABELS if name in answered]


def _geometry(clash: float) -> Check:
    """Bond lengths, angles and clashes against bounds from distance geometry (Å), each widened by a share of itself."""
    return Check(
        "distance_geometry",
        {
            "bond_lengths": "bond_lengths_within_bounds",
            "bond_angles": "bond_angles_within_bounds",
            "steric_clash": "no_internal_clash",
        },
        {
            "bound_matrix_params": {
                "set15bounds": True,
                "scaleVDW": True,
                "doTriangleSmoothing": True,
                "useMacrocycle14config": False,
            },
            "threshold_bad_bond_length": 0.25,
            "threshold_bad_angle": 0.25,
            "threshold_clash": clash,
            "ignore_hydrogens": True,
            "sanitize": True,
            "symmetrize_conjugated_terminal_groups": True,
        },
    )


def _flat(test: str, patterns: Mapping[str, str]) -> Check:
    """Atoms of a pattern lie within 0.25 Å of their common plane."""
    return Check("flatness", {test: "flatness_passes"}, {"flat_systems": patterns, "threshold_flatness": 0.25})


CONNECTED = Check("atoms_connected", {"connected": "all_atoms_connected"})

AROMATIC = _flat(
    "aromatic_flatness",
    {
        "aromatic_5_membered_rings_sp2": "[ar5^2]1[ar5^2][ar5^2][ar5^2][ar5^2]1",
        "aromatic_6_membered_rings_sp2": "[ar6^2]1[ar6^2][ar6^2][ar6^2][ar6^2][ar6^2]1",
    },
)

DOUBLE_BONDS = _flat("double_bond_flatness", {"trigonal_planar_double_bonds": "[C;X3;^2](*)(*)=[C;X3;^2](*)(*)"})

SATURATED_RINGS = Check(
    "flatness",
    {"ring_nonflatness": "flatness_passes"},
    {
        "check_nonflat": True,
        "flat_systems": {
            "non-aromatic_6_membered_rings": (
                "[C,O,S,N;R1]~1[C,O,S,N;R1][C,O,S,N;R1][C,O,S,N;R1][C,O,S,N;R1][C,O,S,N;R1]1"
            ),
            "non-aromatic_6_membered_rings_db03_0": "[C;R1]~1[C;R1][C,O,S,N;R1]~[C,O,S,N;R1][C;R1][C;R1]1",
            "non-aromatic_6_membered_rings_db03_1": "[C;R1]~1[C;R1][C;R1]~[C;R1][C,O,S,N;R1][C;R1]1",
            "non-aromatic_6_membered_rings_db02_0": "[C;R1]~1[C;R1][C;R1][C,O,S,N;R1]~[C,O,S,N;R1][C;R1]1",
            "non-aromatic_6_membered_rings_db02_1": "[C;R1]~1[C;R1][C,O,S,N;R1][C;R1]~[C;R1][C;R1]1",
        },
        "threshold_flatness": 0.05,
    },
)

INTERNAL_ENERGY = Check(
    "energy_ratio",
    {ENERGY: "energy_ratio_passes", RATIO: "energy_ratio"},
    {"threshold_energy_ratio": 100.0, "ensemble_number_conformations": 50, "inchi_strict": False},
)
"""UFF energy at most 100 times the mean of 50 relaxed conformers; the same in both suites."""

THESIS = (CONNECTED, _geometry(clash=0.2), AROMATIC, DOUBLE_BONDS)
"""The tests of the Symphony thesis (2024), tables 5.2 and E.1, but for the energy."""

PACKAGED = (
    Check("loading", {"loaded": "mol_pred_loaded"}),
    Check("rdkit_sanity", {"sanitization": "passes_rdkit_sanity_checks"}),
    Check("inchi_convertible", {"inchi_convertible": "inchi_convertible"}),
    CONNECTED,
    Check("check_radicals", {"no_radicals": "no_radicals"}),
    _geometry(clash=0.3),
    AROMATIC,
    SATURATED_RINGS,
    DOUBLE_BONDS,
)
"""Configuration `mol` of PoseBusters 0.6.5, but for the energy, which that file lists twice."""

SUITES = {"thesis": THESIS, "packaged": PACKAGED}
