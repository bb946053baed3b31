"""Figures that others published, by the names of our measures, each with what it was measured on and where it stands.

Shares are written in percent here, as in their sources, and turned into shares when the rows are made. Table 5.2 of the
thesis counts valid molecules only, tables 5.1 and 5.3 are of 10,000 molecules a model; its xyz2mol is RDKit 2023.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .evaluation import PublishedRow

THESIS = "thesis (2024)"
THESIS_SYSTEMS = ("Symphony", "EDM", "G-SchNet", "G-SphereNet")
THESIS_CONDITIONS = {
    "Symphony": "10,000 molecules, temperatures 1",
    "EDM": "10,000 molecules, authors' weights",
    "G-SchNet": "10,000 molecules, retrained",
    "G-SphereNet": "10,000 molecules, authors' weights and temperatures",
    "QM9 itself": "all molecules",
}
PERCENT = 0.01


def _columns(
    table: Mapping[str, Sequence[float]], systems: Sequence[str], source: str, scale: float = 1.0
) -> tuple[PublishedRow, ...]:
    """Return one row a system of a table that is written as the source prints it: measure -> one value a system."""
    return tuple(
        PublishedRow(
            system,
            THESIS_CONDITIONS[system],
            source,
            {name: values[place] * scale for name, values in table.items()},
        )
        for place, system in enumerate(systems)
    )


SYMPHONY_TABLE_5_1 = _columns(
    {
        "valid": (99.99, 83.50, 86.74, 74.97, 26.92),
        "openbabel_valid": (94.60, 74.69, 77.75, 61.83, 9.86),
        "lookup_valid": (97.60, 68.11, 90.77, 80.13, 16.36),
        "unique": (99.84, 97.98, 99.16, 96.73, 21.69),
        "openbabel_unique": (99.97, 99.61, 99.95, 98.71, 7.51),
        "lookup_unique": (99.89, 97.68, 98.64, 93.20, 23.29),
    },
    ("QM9 itself", *THESIS_SYSTEMS),
    f"{THESIS}, table 5.1",
    PERCENT,
)

SYMPHONY_TABLE_5_2 = _columns(
    {
        "posebusters/connected": (99.92, 99.88, 99.87, 100.00),
        "posebusters/bond_angles": (99.56, 99.98, 99.88, 97.59),
        "posebusters/bond_lengths": (98.72, 100.00, 99.93, 72.99),
        "posebusters/aromatic_flatness": (100.00, 100.00, 99.95, 99.85),
        "posebusters/double_bond_flatness": (99.07, 98.58, 97.96, 95.99),
        "posebusters/internal_energy": (95.65, 94.88, 95.04, 36.07),
        "posebusters/steric_clash": (98.16, 99.79, 99.57, 98.07),
    },
    THESIS_SYSTEMS,
    f"{THESIS}, table 5.2",
    PERCENT,
)

SYMPHONY_TABLE_5_3 = _columns(
    {
        "bond_mmd/C-H-1": (0.0739, 0.0653, 0.3817, 0.1334),
        "bond_mmd/C-C-1": (0.3254, 0.0956, 0.2530, 1.0503),
        "bond_mmd/C-O-1": (0.2571, 0.0757, 0.5315, 0.6082),
        "bond_mmd/C-N-1": (0.3086, 0.1755, 0.2999, 0.4279),
        "bond_mmd/H-N-1": (0.1032, 0.1137, 0.5968, 0.1660),
        "bond_mmd/C-O-2": (0.3033, 0.0668, 0.2628, 2.0812),
        "bond_mmd/C-N-1.5": (0.3707, 0.1736, 0.5828, 0.4949),
        "bond_mmd/H-O-1": (0.2872, 0.1545, 0.7899, 0.1307),
        "bond_mmd/C-C-1.5": (0.4142, 0.1749, 0.2051, 0.8574),
        "bond_mmd/C-N-2": (0.5938, 0.3237, 0.4194, 2.1197),
        "bispectrum_mmd/C: C2,H2": (0.2165, 0.1003, 0.4333, 0.6210),
        "bispectrum_mmd/C: C1,H3": (0.2668, 0.0025, 0.0640, 1.2004),
        "bispectrum_mmd/C: C3,H1": (0.1111, 0.2254, 0.2045, 1.1209),
        "bispectrum_mmd/C: C2,H1,O1": (0.1500, 0.2059, 0.1732, 0.8361),
        "bispectrum_mmd/C: C1,H2,O1": (0.3300, 0.1082, 0.0954, 1.6772),
        "bispectrum_mmd/O: C1,H1": (0.0282, 0.0056, 0.0487, 0.0030),
        "bispectrum_mmd/C: C2,H1,N1": (0.1481, 0.1521, 0.1967, 1.3461),
        "bispectrum_mmd/C: C2,H1": (0.2525, 0.0468, 0.1788, 0.2403),
        "bispectrum_mmd/C: C1,H2,N1": (0.3631, 0.2728, 0.1610, 0.9171),
        "bispectrum_mmd/N: C2,H1": (0.0953, 0.2339, 0.2105, 0.6141),
        "jsd/atoms": (0.0003, 0.0002, 0.0011, 0.0026),
        "jsd/environments": (0.0039, 0.0057, 0.0150, 0.1016),
    },
    THESIS_SYSTEMS,
    f"{THESIS}, table 5.3",
)

PAPER = "G-SphereNet's paper (2022), table 1"


def _paper(system: str, valid: float, *distances: float) -> PublishedRow:
    kinds = ("C-C", "C-N", "C-O", "C-H", "H-N", "H-O", "mean")
    values = {f"bond_mmd_gspherenet/{kind}": value for kind, value in zip(kinds, distances, strict=True)}
    return PublishedRow(
        system,
        "10,000 molecules, taught on another subset of QM9",
        PAPER,
        {"gspherenet_valid": valid * PERCENT} | values,
    )


GSPHERENET_TABLE_1 = (
    _paper("E-NF", 39.77, 0.775, 0.209, 1.218, 1.218, 1.748, 2.478, 1.274),
    _paper("G-SchNet", 81.49, 0.183, 0.078, 0.320, 1.236, 1.396, 2.399, 0.935),
    _paper("G-SphereNet", 88.18, 1.144, 0.315, 0.305, 0.139, 1.029, 0.831, 0.627),
)


def _later(
    system: str, conditions: str, source: str, spread: Mapping[str, float] | None = None, **percent: float
) -> PublishedRow:
    return PublishedRow(
        system,
        conditions,
        source,
        {name: value * PERCENT for name, value in percent.items()},
        {name: value * PERCENT for name, value in (spread or {}).items()},
    )


_EDM, _QUETZAL = "EDM's paper (2022)", "Quetzal's notebooks (2025), RDKit 2023.3.3"

EDM_TABLE = (
    _later("QM9 itself", "all molecules", _EDM, atom_stable=99.0, molecule_stable=95.2, lookup_valid=97.7),
    _later("E-NF", "as measured for EDM's paper", _EDM,
           atom_stable=85.0, molecule_stable=4.9, lookup_valid=40.2, lookup_valid_unique=39.4),
    _later("G-SchNet", "as measured for EDM's paper", _EDM,
           atom_stable=95.7, molecule_stable=68.1, lookup_valid=85.5, lookup_valid_unique=80.3),
    _later("Symphony", "10,000 molecules, temperatures 1", "Symphony's authors, notebooks of the thesis",
           atom_stable=90.75, molecule_stable=43.91, lookup_valid=68.11, lookup_valid_unique=66.53),
    _later("EDM", "10,000 molecules, 1,000 steps", _EDM,
           atom_stable=98.7, molecule_stable=82.0, lookup_valid=91.9, lookup_valid_unique=90.7),
    _later("GeoLDM", "10,000 molecules", "GeoLDM's paper (2023)",
           atom_stable=98.9, molecule_stable=89.4, lookup_valid=93.8, lookup_valid_unique=92.7),
    _later("GeoBFN", "2,000 steps", "GeoBFN's paper (2024)",
           atom_stable=99.31, molecule_stable=93.32, lookup_valid=96.88, lookup_valid_unique=92.41),
    _later("Quetzal", "3 x 10,000 molecules, 165 M parameters", _QUETZAL,
           {"atom_stable": 0.05, "molecule_stable": 0.3, "lookup_valid": 0.2, "lookup_valid_unique": 0.1,
            "valid": 0.02, "valid_unique": 0.1},
           atom_stable=98.30, molecule_stable=87.6, lookup_valid=94.7, lookup_valid_unique=90.1,
           valid=99.1, valid_unique=94.0),
    _later("SymDiff", "as measured in Quetzal's notebooks", _QUETZAL,
           atom_stable=98.8, molecule_stable=87.6, lookup_valid=95.7, valid=92.8, valid_unique=91.4),
)  # fmt: skip


def merged(*tables: Sequence[PublishedRow]) -> tuple[PublishedRow, ...]:
    """Return one row a system from several tables; where two give one figure, the first counts.

    QM9's own rows are left out, for the reference says the same.

    For tables that show many figures at once; each source keeps its own row in the suite that is named after it.
    """
    rows: dict[str, PublishedRow] = {}
    for row in (row for table in tables for row in table if row.system != "QM9 itself"):
        known = rows.get(row.system, PublishedRow(row.system, "", "", {}))
        rows[row.system] = PublishedRow(
            row.system,
            "; ".join(dict.fromkeys(filter(None, (known.conditions, row.conditions)))),
            "; ".join(dict.fromkeys(filter(None, (known.source, row.source)))),
            {**row.values, **known.values},
            {**row.spread, **known.spread},
        )
    return tuple(rows.values())
