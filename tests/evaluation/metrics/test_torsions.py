"""Torsions of molecules that chemists know by heart, and RDKit's of molecules from QM9."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.metrics.torsions import LINEAR, Torsions, torsions
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules


def torsions_of(*molecules: Molecule) -> dict[str, list[float]]:
    """Return sorted torsions by kind; what lies within rounding of the seam is written as 180."""
    found = torsions(judged(molecules).graphs)
    assert ((found.values > -180) & (found.values <= 180)).all()
    return {kind: rounded(values) for kind, values in found.by_kind().items()}


def rounded(values: np.ndarray | list[float]) -> list[float]:
    values = np.round(values, 6) + 0.0  # no negative zero
    return sorted(np.where(values == -180, 180.0, values).tolist())


@pytest.mark.parametrize(
    ("molecule", "expected"),
    [
        (internal.ethane(60), {"H-C-C-H": [-60.0] * 3 + [60.0] * 3 + [180.0] * 3}),
        (internal.ethane(0), {"H-C-C-H": [-120.0] * 3 + [0.0] * 3 + [120.0] * 3}),
        (internal.ethane(20), {"H-C-C-H": [-100.0] * 3 + [20.0] * 3 + [140.0] * 3}),
        (internal.hydrogen_peroxide(111.5), {"H-O-O-H": [111.5]}),
        (internal.hydrogen_peroxide(-111.5), {"H-O-O-H": [-111.5]}),
        (internal.hydrogen_peroxide(180), {"H-O-O-H": [180.0]}),
        (internal.ethylene(), {"H-C=C-H": [0.0] * 2 + [180.0] * 2}),
        (internal.ethylene("FH", "FH"), {"F-C=C-F": [0.0], "F-C=C-H": [180.0] * 2, "H-C=C-H": [0.0]}),
        (internal.ethylene("FH", "HF"), {"F-C=C-F": [180.0], "F-C=C-H": [0.0] * 2, "H-C=C-H": [180.0]}),
        (
            worked.benzene(),
            {"C-C:C-C": [0.0] * 6, "C-C:C-H": [180.0] * 12, "H-C:C-H": [0.0] * 6},
        ),
        (worked.water(), {}),
        (worked.methane(), {}),
        (worked.carbon_dioxide(), {}),
        (internal.acetylene(), {}),
    ],
    ids=lambda value: value.formula if isinstance(value, Molecule) else "",
)
def test_torsions_worked_by_hand(molecule, expected):
    assert torsions_of(molecule) == expected


@pytest.mark.parametrize(("torsion", "name"), [(180.0, "anti"), (63.0, "gauche"), (-63.0, "the other gauche")])
def test_butane(torsion, name):
    found = torsions_of(internal.butane(torsion))
    assert found["C-C-C-C"] == [torsion], name
    assert len(found["C-C-C-H"]) == 2 * 3 + 4  # methyl hydrogens, and those of the middle bond
    assert len(found["H-C-C-H"]) == 2 * 6 + 4


def test_cyclopropane_has_no_chain_that_ends_where_it_began():
    found = torsions_of(internal.cyclopropane())
    assert "C-C-C-C" not in found
    # About a C-C bond each carbon has two hydrogens and the third carbon, which both share.
    assert len(found["H-C-C-H"]) == 3 * 4
    assert len(found["C-C-C-H"]) == 3 * 4
    assert found["H-C-C-H"] == pytest.approx(sorted([0.0] * 6 + [-v for v in eclipsed()] + eclipsed()), abs=1e-6)


def eclipsed() -> list[float]:
    """Torsions of hydrogens on different sides of the ring: twice the angle of one with the plane, seen along C-C."""
    up, out = np.sin(np.radians(57)), np.cos(np.radians(57)) * np.sin(np.radians(150))
    return [float(2 * np.degrees(np.arctan2(up, out)))] * 3


def test_a_mirror_image_turns_every_sign():
    for molecule in [internal.hydrogen_peroxide(), internal.butane(63.0), *qm9_molecules().values()]:
        found, mirror = torsions_of(molecule), torsions_of(internal.mirrored(molecule))
        assert found.keys() == mirror.keys()
        for kind, values in found.items():
            assert mirror[kind] == pytest.approx(rounded([-value for value in values]), abs=2e-6)


def test_torsions_agree_with_rdkit():
    from rdkit.Chem import rdMolTransforms

    signs = {1.0: "-", 1.5: ":", 2.0: "=", 3.0: "#"}
    n_torsions = 0
    for molecule in [*qm9_molecules().values(), *map(worked.embedded, internal.CROOKED)]:
        mol = judged([molecule]).verdicts[0].perception.mol
        conformer = mol.GetConformer()
        expected: dict[str, list[float]] = {}
        for bond in mol.GetBonds():
            b, c = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            for a in (atom.GetIdx() for atom in mol.GetAtomWithIdx(b).GetNeighbors()):
                for d in (atom.GetIdx() for atom in mol.GetAtomWithIdx(c).GetNeighbors()):
                    if a in {c, d} or d == b:
                        continue
                    bends = [rdMolTransforms.GetAngleDeg(conformer, *three) for three in ((a, b, c), (b, c, d))]
                    if max(bends) > 180 - LINEAR:
                        continue
                    chain = [mol.GetAtomWithIdx(index).GetSymbol() for index in (a, b, c, d)]
                    chain = min(chain, chain[::-1])
                    kind = f"{chain[0]}-{chain[1]}{signs[bond.GetBondTypeAsDouble()]}{chain[2]}-{chain[3]}"
                    expected.setdefault(kind, []).append(rdMolTransforms.GetDihedralDeg(conformer, a, b, c, d))
                    n_torsions += 1
        found = torsions_of(molecule)
        assert found.keys() == expected.keys()
        for kind, values in expected.items():
            assert found[kind] == pytest.approx(rounded(values), abs=2e-6)
    assert n_torsions > 250


def test_a_nearly_linear_arm_gives_no_torsion():
    """H-N=C=O, its N=C=O bent to either side of the limit."""
    for bend, counted in ((180.0, False), (171.0, False), (169.0, True)):
        acid = internal.from_internal(
            ("C",), ("N", 0, 1.21), ("O", 0, 1.17, 1, bend), ("H", 1, 1.00, 0, 124.0, 2, 180.0)
        )
        assert bool(torsions_of(acid)) == counted
    assert torsions_of(acid) == {"H-N=C-O": [180.0]}


def test_molecules_are_told_apart():
    found = torsions(judged([internal.hydrogen_peroxide(), worked.water(), internal.ethylene()]).graphs)
    assert sorted(found.molecule.tolist()) == [0] + [2] * 4


def test_no_torsions_in_nothing():
    for molecules in ([], [None], [worked.argon()]):
        assert len(torsions(judged(molecules).graphs).values) == 0


def test_distance_goes_the_short_way_round():
    """From 170 to -170 degrees it is 20 degrees, not 340."""
    metric = Torsions()
    reference = Reference(arrays=metric.describe(judged([internal.hydrogen_peroxide(170.0)])).arrays)
    other = metric.measure(judged([internal.hydrogen_peroxide(-170.0)]), reference).measures
    assert [(measure.name, measure.value) for measure in other] == [
        ("torsion_w1/H-O-O-H", pytest.approx(20.0)),
        ("torsion_w1/mean", pytest.approx(20.0)),
    ]


def test_a_racemate_is_half_as_far_as_the_mirror_image():
    """So says the docstring: 111.5 and -111.5 degrees are 137 apart."""
    metric = Torsions()
    right, left = internal.hydrogen_peroxide(111.5), internal.hydrogen_peroxide(-111.5)
    reference = Reference(arrays=metric.describe(judged([right])).arrays)
    for molecules, expected in (([right], 0.0), ([right, left], 68.5), ([left], 137.0)):
        measures = metric.measure(judged(molecules), reference).measures
        assert measures[0].value == pytest.approx(expected)


def test_kinds_about_double_and_aromatic_bonds_have_their_places():
    molecules = [worked.benzene(), internal.ethylene("FH", "FH"), internal.butane(), internal.ethane()]
    metric = Torsions(n_single=2, n_aromatic=1, n_double=1)
    reference = Reference(arrays=metric.describe(judged(molecules)).arrays)
    found = [measure.name for measure in metric.measure(judged(molecules), reference).measures]
    assert found == [
        "torsion_w1/H-C-C-H", "torsion_w1/C-C-C-H", "torsion_w1/C-C:C-H", "torsion_w1/F-C=C-H", "torsion_w1/mean",
    ]  # fmt: skip
