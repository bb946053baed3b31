"""Published figures as their sources print them; a slip of one digit here would misjudge every model."""

from __future__ import annotations

import pytest

from atomweave.evaluation import published
from atomweave.evaluation.evaluation import PublishedRow
from atomweave.evaluation.published import merged

TABLES = {
    "5.1": published.SYMPHONY_TABLE_5_1,
    "5.2": published.SYMPHONY_TABLE_5_2,
    "5.3": published.SYMPHONY_TABLE_5_3,
    "gspherenet": published.GSPHERENET_TABLE_1,
    "edm": published.EDM_TABLE,
}
SHARES = ("valid", "unique", "stable", "posebusters")


def row(table: str, system: str) -> PublishedRow:
    return next(one for one in TABLES[table] if one.system == system)


@pytest.mark.parametrize(
    ("table", "system", "name", "value"),
    [
        ("5.1", "Symphony", "valid", 0.8350),
        ("5.1", "Symphony", "lookup_valid", 0.6811),
        ("5.1", "QM9 itself", "openbabel_valid", 0.9460),
        ("5.1", "EDM", "lookup_valid", 0.9077),
        ("5.1", "G-SchNet", "lookup_unique", 0.9320),
        ("5.1", "G-SphereNet", "openbabel_unique", 0.0751),
        ("5.2", "Symphony", "posebusters/internal_energy", 0.9565),
        ("5.2", "G-SphereNet", "posebusters/bond_lengths", 0.7299),
        ("5.3", "Symphony", "bond_mmd/C-H-1", 0.0739),
        ("5.3", "G-SphereNet", "bispectrum_mmd/N: C2,H1", 0.6141),
        ("5.3", "EDM", "jsd/environments", 0.0057),
        ("gspherenet", "G-SphereNet", "gspherenet_valid", 0.8818),
        ("gspherenet", "G-SphereNet", "bond_mmd_gspherenet/C-C", 1.144),
        ("gspherenet", "G-SphereNet", "bond_mmd_gspherenet/mean", 0.627),
        ("edm", "EDM", "molecule_stable", 0.820),
        ("edm", "QM9 itself", "atom_stable", 0.990),
        ("edm", "GeoBFN", "molecule_stable", 0.9332),
        ("edm", "Quetzal", "valid", 0.991),
        ("edm", "SymDiff", "valid_unique", 0.914),
    ],
)
def test_figures_are_those_of_their_sources(table: str, system: str, name: str, value: float):
    assert row(table, system).values[name] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("system", ["E-NF", "G-SchNet", "G-SphereNet"])
def test_the_printed_mean_is_that_of_the_printed_bonds(system: str):
    values = row("gspherenet", system).values
    bonds = [values[f"bond_mmd_gspherenet/{kind}"] for kind in ("C-C", "C-N", "C-O", "C-H", "H-N", "H-O")]
    assert sum(bonds) / 6 == pytest.approx(values["bond_mmd_gspherenet/mean"], abs=6e-4)


@pytest.mark.parametrize("table", TABLES)
def test_every_row_says_where_it_stands_and_is_possible(table: str):
    systems = [one.system for one in TABLES[table]]
    assert len(set(systems)) == len(systems)
    for one in TABLES[table]:
        assert one.source
        assert one.conditions
        assert set(one.spread) <= set(one.values)
        for name, value in one.values.items():
            assert 0 <= value <= (1 if any(part in name for part in SHARES) else 3), (one.system, name)
        # Valid and unique molecules cannot be more than valid ones.
        for kind in ("", "lookup_"):
            if f"{kind}valid_unique" in one.values:
                assert one.values[f"{kind}valid_unique"] <= one.values[f"{kind}valid"]
        if "atom_stable" in one.values:
            assert one.values["molecule_stable"] <= one.values["atom_stable"]


def test_merged_rows_keep_the_first_figure_and_every_source():
    first = PublishedRow("A", "10,000 molecules", "here", {"valid": 0.5}, {"valid": 0.1})
    second = PublishedRow("A", "10,000 molecules", "there", {"valid": 0.6, "unique": 0.7})
    data = PublishedRow("QM9 itself", "", "here", {"valid": 1.0})
    other = PublishedRow("B", "", "there", {"unique": 0.2})
    found = merged((first, data), (second, other))
    assert [one.system for one in found] == ["A", "B"]
    assert found[0] == PublishedRow(
        "A", "10,000 molecules", "here; there", {"valid": 0.5, "unique": 0.7}, {"valid": 0.1}
    )
