from __future__ import annotations

import numpy as np
import pytest

from atomweave.discovery.closed_shell import OPEN_OCTET, PIECES, RADICAL, open_shell
from atomweave.evaluation.validity import Verdict, assess
from atomweave.molecule import Molecule
from reference import worked_molecules as worked


def verdict_of(molecule: Molecule) -> Verdict:
    return assess([molecule])[0]


def without(molecule: Molecule, *atoms: int) -> Molecule:
    kept = [index for index in range(len(molecule)) if index not in atoms]
    return Molecule(molecule.numbers[kept], molecule.positions[kept])


@pytest.mark.parametrize("smiles", ["C", "C=CC=O", "c1ccccc1", "C[N+](=O)[O-]", "[NH3+]CC(=O)[O-]", "[C-]#[N+]C", "CF"])
def test_neutral_closed_shells_pass_whatever_their_formal_charges(smiles):
    assert open_shell(verdict_of(worked.embedded(smiles))) == ""


def test_pieces():
    assert open_shell(verdict_of(worked.methane_and_water())) == PIECES


def test_an_odd_number_of_electrons_has_no_neutral_bonds_at_all():
    assert open_shell(verdict_of(worked.methyl())) == "no neutral bond orders"


def test_a_diradical_is_written_as_a_cation_beside_an_anion_and_yet_found():
    propane = worked.embedded("CCC")
    distances = np.linalg.norm(propane.positions[:3, None] - propane.positions[None], axis=2)
    ends = [atom for atom in range(3) if np.sum(distances[atom] < 1.2) == 4]
    verdict = verdict_of(without(propane, *[int(np.argsort(distances[end])[1]) for end in ends]))
    assert "[C+]" in verdict.smiles
    assert open_shell(verdict) == OPEN_OCTET


def test_a_carbene():
    assert open_shell(verdict_of(without(worked.methane(), 1, 2))) == RADICAL


def test_an_invalid_attempt_keeps_its_reason():
    verdict = verdict_of(worked.argon())
    assert open_shell(verdict) == verdict.reason != ""
