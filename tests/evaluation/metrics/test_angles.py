"""Bond angles of molecules that chemists know by heart, and RDKit's of molecules from QM9."""

from __future__ import annotations

import numpy as np
import pytest

from atomweave.evaluation.metrics.angles import Angles, bond_angles
from atomweave.evaluation.reference import Reference
from atomweave.molecule import Molecule
from reference import internal
from reference import worked_molecules as worked
from reference.judged import judged
from reference.molecules import qm9_molecules

TIGHT = 1e-9  # degrees: rounding alone
LINEAR_TIGHT = 1e-5  # near 180 degrees the positions' own rounding counts as its square root


def angles_of(*molecules: Molecule) -> dict[str, list[float]]:
    return {kind: sorted(values.tolist()) for kind, values in bond_angles(judged(molecules).graphs).by_kind().items()}


@pytest.mark.parametrize(
    ("molecule", "expected"),
    [
        (worked.water(), {"H-O-H": [104.5]}),
        (internal.ammonia(), {"H-N-H": [106.7] * 3}),
        (worked.methane(), {"H-C-H": [internal.TETRAHEDRAL] * 6}),
        (worked.carbon_dioxide(), {"O-C-O": [180.0]}),
        (worked.hydrogen_cyanide(), {"H-C-N": [180.0]}),
        (internal.acetylene(), {"C-C-H": [180.0] * 2}),
        (internal.ethylene(), {"C-C-H": [121.0] * 4, "H-C-H": [118.0] * 2}),
        (internal.ethylene("FH", "FH"), {"C-C-F": [121.0] * 2, "C-C-H": [121.0] * 2, "F-C-H": [118.0] * 2}),
        (worked.benzene(), {"C-C-C": [120.0] * 6, "C-C-H": [120.0] * 12}),
        (internal.hydrogen_peroxide(), {"H-O-O": [100.0] * 2}),
        (internal.ethane(), {"C-C-H": [internal.TETRAHEDRAL] * 6, "H-C-H": [internal.TETRAHEDRAL] * 6}),
    ],
    ids=lambda value: value.formula if isinstance(value, Molecule) else "",
)
def test_angles_worked_by_hand(molecule, expected):
    found = angles_of(molecule)
    assert found.keys() == expected.keys()
    for kind, values in expected.items():
        assert found[kind] == pytest.approx(values, abs=LINEAR_TIGHT if 180.0 in values else TIGHT)


def test_cyclopropane_strains_its_carbons():
    found = angles_of(internal.cyclopropane())
    assert found["C-C-C"] == pytest.approx([60.0] * 3)
    assert found["H-C-H"] == pytest.approx([114.0] * 3)
    # The projection of a C-H bond on the plane stands 150 degrees from either C-C bond.
    expected = np.degrees(np.arccos(np.cos(np.radians(57)) * np.cos(np.radians(150))))
    assert found["C-C-H"] == pytest.approx([expected] * 12)


def test_angles_agree_with_rdkit():
    from rdkit.Chem import rdMolTransforms

    for molecule in [*qm9_molecules().values(), *map(worked.embedded, internal.CROOKED)]:
        verdict = judged([molecule]).verdicts[0]
        mol = verdict.perception.mol
        expected: dict[str, list[float]] = {}
        for atom in mol.GetAtoms():
            around = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
            for i, first in enumerate(around):
                for second in around[:i]:
                    ends = sorted(mol.GetAtomWithIdx(end).GetSymbol() for end in (first, second))
                    value = rdMolTransforms.GetAngleDeg(mol.GetConformer(), first, atom.GetIdx(), second)
                    expected.setdefault(f"{ends[0]}-{atom.GetSymbol()}-{ends[1]}", []).append(value)
        found = angles_of(molecule)
        assert found.keys() == expected.keys()
        for kind, values in expected.items():
            assert found[kind] == pytest.approx(sorted(values), abs=1e-4)  # RDKit's cosine near 180 degrees


def test_molecules_are_told_apart():
    found = bond_angles(judged([worked.water(), worked.argon(), worked.methane(), worked.water()]).graphs)
    assert found.molecule.tolist() == [0] + [1] * 6 + [2]  # argon has no bond and is no valid molecule


def test_no_angles_in_nothing_and_in_single_bonds():
    for molecules in ([], [None], [Molecule(["H", "F"], [[0, 0, 0], [0, 0, 0.92]])]):
        assert len(bond_angles(judged(molecules).graphs).values) == 0


def test_a_wider_angle_is_as_far_as_it_is_wide():
    """All angles of one set are 2 degrees wider than those of the other."""
    bent = [internal.from_internal(("O",), ("H", 0, 0.96), ("H", 0, 0.96, 1, angle)) for angle in (103.0, 105.0)]
    metric = Angles()
    reference = Reference(arrays=metric.describe(judged(bent[:1] * 3)).arrays)
    figures = {measure.name: measure for measure in metric.measure(judged(bent[1:] * 5), reference).measures}
    assert figures.keys() == {"angle_w1/H-O-H", "angle_w1/mean"}
    assert figures["angle_w1/H-O-H"].value == pytest.approx(2.0)
    assert (figures["angle_w1/H-O-H"].total, figures["angle_w1/H-O-H"].unit) == (5, "°")
    assert figures["angle_w1/mean"].value == pytest.approx(2.0)
    same = metric.measure(judged(bent[:1]), reference).measures
    assert [measure.value for measure in same] == [0.0, 0.0]


def test_without_reference_no_figures():
    assert Angles().measure(judged([worked.water()]), Reference()).measures == ()
