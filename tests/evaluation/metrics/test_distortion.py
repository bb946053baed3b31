from __future__ import annotations

import numpy as np
import pytest
from rdkit.Chem import rdMolTransforms

from atomweave.chemistry.bonds import perceive
from atomweave.evaluation.graphs import Graphs
from atomweave.evaluation.metrics.distortion import chains, mean_changes, torsion_angles
from atomweave.evaluation.validity import Verdict
from atomweave.molecule import Molecule
from reference import worked_molecules as worked


def graphs_of(*molecules: Molecule) -> Graphs:
    perceptions = [perceive(molecule) for molecule in molecules]
    assert all(perception.valid for perception in perceptions)
    return Graphs.of([Verdict(*row, "") for row in zip(molecules, [True] * len(molecules), perceptions, strict=True)])


def peroxide(torsion: float) -> Molecule:
    """H-O-O-H with right angles at both oxygens: the torsion can be read off."""
    turn = np.radians(torsion)
    return Molecule(["H", "O", "O", "H"], [[1, 0, 0], [0, 0, 0], [0, 0, 1.4], [np.cos(turn), np.sin(turn), 1.4]])


def changes_of(before: Molecule, after: Molecule) -> dict[str, tuple[float, float]]:
    found = mean_changes(graphs_of(before), after.positions)
    return {name: tuple(rows[0].tolist()) for name, rows in found.items()}


def test_nothing_changes_in_the_same_geometry():
    for name, (total, _) in changes_of(worked.benzene(), worked.benzene()).items():
        assert total == 0, name


def test_stretched_water_by_hand():
    water = worked.water()
    longer = Molecule(water.numbers, [water.positions[0], 1.1 * water.positions[1], water.positions[2]])
    found = changes_of(water, longer)
    assert found["bond"] == pytest.approx((0.096, 2))
    assert found["angle"] == pytest.approx((0, 1), abs=1e-9)
    assert found["torsion"] == (0, 0)


def test_bent_carbon_dioxide_by_hand():
    bent = Molecule(["O", "C", "O"], [[-1.17, 0, 0], [0, 0, 0], [0, 1.17, 0]])
    assert changes_of(worked.carbon_dioxide(), bent)["angle"] == pytest.approx((90, 1))


@pytest.mark.parametrize(("before", "after", "change"), [(60, 100, 40), (-170, 170, 20), (90, -90, 180), (0, -30, 30)])
def test_torsions_turn_the_short_way(before, after, change):
    found = changes_of(peroxide(before), peroxide(after))
    assert found["torsion"] == pytest.approx((change, 1))
    assert found["bond"] == pytest.approx((0, 3), abs=1e-12)
    assert found["angle"] == pytest.approx((0, 2), abs=1e-9)


def test_torsions_about_a_straight_chain_are_left_out():
    acetylene = Molecule(["H", "C", "C", "H"], [[0, 0, -1.66], [0, 0, -0.6], [0, 0, 0.6], [0, 0.05, 1.66]])
    assert len(chains(graphs_of(acetylene))) == 1
    assert changes_of(acetylene, acetylene)["torsion"] == (0, 0)


def test_chains_by_hand():
    """Ethane: 3 x 3. Cyclopropane: about each of 3 ring bonds 2 x 2 H-C-C-H and 2 x 2 C-C-C-H, none of a ring alone."""
    graphs = graphs_of(worked.embedded("CC"), worked.embedded("C1CC1"), worked.water(), worked.benzene())
    owners = graphs.molecule_of_atom[chains(graphs)[:, 0]]
    assert np.bincount(owners, minlength=4).tolist() == [9, 3 * (4 + 4), 0, 6 * 4]


@pytest.mark.parametrize("smiles", ["CCO", "C1CC1O", "CC(=O)N", "C=C=CCO", "NCC(=O)O", "c1ccoc1", "CC=CC", "FC(F)CO"])
def test_torsions_are_rdkits(smiles):
    molecule = worked.embedded(smiles)
    graphs = graphs_of(molecule)
    conformer = perceive(molecule).mol_or_raise().GetConformer()
    atoms = chains(graphs)
    found = torsion_angles(graphs.positions, atoms)
    defined = np.isfinite(found)
    assert defined.sum() >= 5
    expected = [rdMolTransforms.GetDihedralDeg(conformer, *row) for row in atoms[defined].tolist()]
    np.testing.assert_allclose((found[defined] - expected + 180) % 360 - 180, 0, atol=1e-5)


def test_molecules_are_kept_apart():
    pair = graphs_of(worked.water(), worked.benzene())
    after = pair.positions.copy()
    after[3:] *= 1.1
    found = mean_changes(pair, after)
    assert found["bond"][0].tolist() == [0, 2]
    assert found["bond"][1] == pytest.approx((6 * 0.14 + 6 * 0.109, 12))


def test_no_molecules_have_no_changes():
    assert all(rows.shape == (0, 2) for rows in mean_changes(Graphs.of([]), np.zeros((0, 3))).values())
